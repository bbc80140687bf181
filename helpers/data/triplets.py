"""Triplets (anchor, positive, negative) out of graded pairs: what a triplet loss learns from."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pandas as pd

from helpers.data.pairs import normalize_sentence

COLUMNS = ["anchor", "positive", "negative", "kind"]
Partners = dict[str, list[tuple[str, float, str]]]  # sentence -> (partner, relatedness, entailment) of its pairs


def make_triplets(
    frame: pd.DataFrame, *, seed: int, gap: float = 1.0, related: float = 4.0, unrelated: int = 1, contradictions=False
) -> pd.DataFrame:
    """Triplets from the pairs of one side of a split, and from nothing else.

    Args:
        frame: sentence_a, sentence_b, relatedness, and entailment if contradictions are wanted.
        seed: of the sampling of unrelated sentences.
        gap: two pairs that share a sentence, rated so far apart or more, make a triplet of kind "graded": the shared
            sentence, its better and its worse partner.
        related: from this relatedness on a pair gives, in both directions, triplets of kind "unrelated" ...
        unrelated: ... as many as this, each with a random sentence that is paired with neither of the two.
        contradictions: add triplets of kind "contradiction": a sentence, one it forms an entailment with, one it
            contradicts, whatever their relatedness. In SICK contradictions average 3.60, above neutral pairs (2.96):
            they are no natural negatives.

    Returns:
        anchor, positive, negative, kind; no triplet twice (after normalize_sentence).

    Raises:
        ValueError: gap not above 0, or no triplet comes out of the frame.
    """
    if gap <= 0:
        raise ValueError(f"gap={gap}: must be above 0, or the better partner would not be better")
    partners, spelled = _partners(frame, contradictions)
    rows = [*_graded(partners, gap), *_unrelated(partners, related, unrelated, np.random.default_rng(seed))]
    rows += _contradicting(partners) if contradictions else []
    if not rows:
        raise ValueError(f"{len(frame)} pairs make no triplet with gap={gap}, related={related}, unrelated={unrelated}")
    triplets = pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(COLUMNS[:3]).reset_index(drop=True)
    for column in COLUMNS[:3]:
        triplets[column] = triplets[column].map(spelled)
    return triplets


def _partners(frame: pd.DataFrame, labelled: bool) -> tuple[Partners, dict[str, str]]:
    """Partners of every sentence, and how a normalised sentence was first spelled."""
    partners, spelled = defaultdict(list), {}
    labels = frame["entailment"] if labelled else [""] * len(frame)
    columns = zip(frame["sentence_a"], frame["sentence_b"], frame["relatedness"], labels, strict=True)
    for first, second, relatedness, label in columns:
        one, other = normalize_sentence(first), normalize_sentence(second)
        spelled.setdefault(one, first)
        spelled.setdefault(other, second)
        if one != other:
            partners[one].append((other, relatedness, label))
            partners[other].append((one, relatedness, label))
    return partners, spelled


def _graded(partners: Partners, gap: float) -> Iterator[tuple]:
    for anchor, rated in partners.items():
        for positive, high, _ in rated:
            for negative, low, _ in rated:
                if high - low >= gap and positive != negative:
                    yield anchor, positive, negative, "graded"


def _unrelated(partners: Partners, related: float, count: int, random: np.random.Generator) -> Iterator[tuple]:
    sentences = list(partners)
    met = {anchor: {anchor, *(partner for partner, *_ in rated)} for anchor, rated in partners.items()}
    for anchor, rated in partners.items():
        for positive, relatedness, _ in rated:
            if relatedness < related:
                continue
            drawn = [sentences[i] for i in random.integers(0, len(sentences), count)]
            strangers = [sentence for sentence in drawn if sentence not in met[anchor] | met[positive]]
            yield from ((anchor, positive, negative, "unrelated") for negative in strangers)


def _contradicting(partners: Partners) -> Iterator[tuple]:
    for anchor, rated in partners.items():
        for positive in (partner for partner, _, label in rated if label == "ENTAILMENT"):
            for negative in (partner for partner, _, label in rated if label == "CONTRADICTION"):
                if positive != negative:
                    yield anchor, positive, negative, "contradiction"
