"""What every augmentation shares: the frame of new training pairs, and the check that nothing held out stands in it."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from helpers.data.pairs import normalize_sentence, pair_keys, repeats, without_repeats

COLUMNS = [
    "pair_id", "sentence_a", "sentence_b", "relatedness", "entailment", "partition", "technique", "source_pair_id",
    "detail",
]  # fmt: skip
_MADE_BY = ("synonyms", "antonyms", "repaired", "neighbours", "deletion", "rated")
FIRST_ID = {name: 1_000_000 * (1 + i) for i, name in enumerate(_MADE_BY)}  # of new pairs: SICK's are below 10,000


class LeakError(ValueError):
    """New training pairs that hold a held-out pair, or an invented sentence that is held out."""


def make_pairs(rows: Iterable[tuple], technique: str) -> pd.DataFrame:
    """A frame of new pairs from (sentence_a, sentence_b, relatedness, entailment, source_pair_id, detail).

    Returns:
        COLUMNS; pair_id counts from the technique's FIRST_ID, partition is "train".
    """
    frame = pd.DataFrame(rows, columns=[*COLUMNS[1:5], *COLUMNS[7:]])
    frame = frame.assign(pair_id=FIRST_ID[technique] + np.arange(len(frame)), partition="train", technique=technique)
    return frame[COLUMNS].astype({"relatedness": float, "source_pair_id": int})


def candidate_pairs(
    train: pd.DataFrame, encode: Callable[[list[str]], np.ndarray], *, seed: int, test: pd.DataFrame, near=2, far=1,
    among=30,
) -> pd.DataFrame:  # fmt: skip
    """Pairs of training sentences that nobody rated: every sentence beside some of those like it, and beside any other.

    Args:
        train: training pairs, with the columns of load_sick().
        encode: sentences -> (n, dim) vectors, by whose cosine sentences are alike.
        test: what must stay unseen: none of its pairs is among the new ones.
        near: partners drawn from the `among` most alike.
        far: partners drawn from all.

    Returns:
        As make_pairs(), technique "rated"; relatedness is NaN and entailment empty: see sick_fit for who fills them.
        source_pair_id is 0.
    """
    texts = sorted({*train["sentence_a"], *train["sentence_b"]})
    vectors = encode(texts)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    alike = np.argsort(-cosine, axis=1, kind="stable")[:, : min(among, len(texts) - 1)]
    rng = np.random.default_rng(seed)
    rows = []
    for text, best in zip(texts, alike, strict=True):
        partners = [*rng.choice(best, min(near, len(best)), replace=False), *rng.integers(len(texts), size=far)]
        rows += [(text, texts[partner], np.nan, "", 0, "") for partner in partners]
    new = drop_known(make_pairs(rows, "rated"), train)
    return new[~leaks(new, test, train)].reset_index(drop=True)


def drop_known(new: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Without pairs that stand in the training pairs or earlier among the new ones, and those of equal sentences."""
    equal = pd.Series([one == other for one, other in pair_keys(new)], index=new.index, dtype=bool)
    return without_repeats(new[~repeats(new, train).pair & ~equal])


def leaks(new: pd.DataFrame, held_out: pd.DataFrame, train: pd.DataFrame) -> pd.Series:
    """Which new pairs leak: the pair is held out, in either order, or one of its sentences is held out and invented.

    Sentences are compared after normalize_sentence(). One that stands in a training pair is not invented: most of
    SICK's training sentences also stand in its test partition, in other pairs.

    Returns:
        A boolean for each row of new.
    """
    trained = {sentence for key in pair_keys(train) for sentence in key}
    tested = {sentence for key in pair_keys(held_out) for sentence in key} - trained
    pair = repeats(new, held_out).pair
    invented = [not tested.isdisjoint(key) for key in pair_keys(new)]
    return pd.Series(pair | pd.Series(invented, dtype=bool).to_numpy(), index=new.index, dtype=bool)


def check_no_leak(new: pd.DataFrame, held_out: pd.DataFrame, train: pd.DataFrame) -> None:
    """Refuse new pairs with which a model would be trained on what it is judged by.

    Args:
        new: pairs made from the training pairs.
        held_out: SICK's test partition, with whatever else must stay unseen: trial, the held-out fold.
        train: the pairs the new ones were made from.

    Raises:
        LeakError: leaks() finds some; names the first.
    """
    found = new[leaks(new, held_out, train)]
    if not found.empty:
        row = found.iloc[0]
        raise LeakError(
            f"{len(found)} of {len(new)} new pairs hold a held-out pair or sentence, the first in row "
            f"{found.index[0]!r}: {normalize_sentence(row['sentence_a'])!r} with "
            f"{normalize_sentence(row['sentence_b'])!r}; drop those rows, or make pairs with augment()"
        )
