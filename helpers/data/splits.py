"""Which rows train, validate and test: duplicates out first, then seeded stratified splits. Sentence pairs: tokens of a sentence, which pairs repeat others, and the STS pairs that SICK may be trained after."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split


@dataclass(frozen=True)
class Split:
    """The three sides of a corpus: row numbers, or (see take) the rows themselves.

    Args:
        train, valid, test: (n,) row numbers; valid is empty where there is none.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    def joined(self) -> "Split":
        """The validation side put into the training side, sorted: for trainings that watch nothing."""
        return Split(np.union1d(self.train, self.valid), self.valid[:0], self.test)

    def take(self, frame: pd.DataFrame) -> "Split":
        """The rows of a frame, side by side: three frames, each numbered from 0, with the frame's attrs."""
        sides = [frame.iloc[rows].reset_index(drop=True) for rows in (self.train, self.valid, self.test)]
        for side in sides:
            side.attrs = dict(frame.attrs)
        return Split(*sides)


def deduplicate(frame: pd.DataFrame, column: str, label: str | None = None) -> pd.DataFrame:
    """Keep the first row of every distinct text.

    Raises:
        ValueError: the same text stands under two labels (names text and labels).
    """
    if label is not None:
        labels = frame.groupby(column)[label].nunique()
        if (labels > 1).any():
            text = labels.index[labels > 1][0]
            raise ValueError(f"{text!r} stands under more than one {label}: decide which is right before splitting")
    unique = frame.drop_duplicates(column).reset_index(drop=True)
    unique.attrs = dict(frame.attrs)
    return unique


def fold_text(texts: pd.Series) -> pd.Series:
    """Lower case, every digit to 0, all else that is no letter to one space: equal results are near-duplicates."""
    folded = texts.str.lower().str.replace(r"\d+", "0", regex=True)
    return folded.str.replace(r"[^\w]+|_", " ", regex=True).str.strip()


def stratified_split(labels, *, seed: int, test_size: float = 0.2) -> Split:
    """Stratified train/test split by seed."""
    rows = np.arange(len(labels))
    train, test = train_test_split(rows, test_size=test_size, stratify=np.asarray(labels), random_state=seed)
    return Split(np.sort(train), np.arange(0), np.sort(test))


def grouped_split(labels, groups, *, seed: int, folds: int = 5) -> Split:
    """Stratified split that keeps every group whole on one side: one fold of `folds` is the test side."""
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    labels = np.asarray(labels)
    train, test = next(splitter.split(np.zeros(len(labels)), labels, np.asarray(groups)))
    return Split(np.sort(train), np.arange(0), np.sort(test))


STS_TOP = 5.0  # STS scores run from 0 to 5
_WORDS = re.compile(r"[a-z0-9]+")
_TOKENS = re.compile(
    r"n't\b"  # the negation of isn't, as a word of its own
    r"|'(?:s|m|d|ll|re|ve)\b"
    r"|[^\W\d_]+?(?=n't\b)"  # what it negates
    r"|\d+(?:[.,]\d+)*"  # 12, 1,000, 3.5
    r"|[^\W_]+(?:-[^\W_]+)*",  # t-shirt stays one word
    re.IGNORECASE,
)


def tokenize_sentence(sentence: str) -> list[str]:
    """Words as written, cut as the Penn Treebank does, whose cut GloVe's and word2vec's English vocabularies know.

    "isn't" gives "is" and "n't", "man's" gives "man" and "'s", "t-shirt" stays whole, a number is one word. Case is
    kept: looking a word up decides about it. Punctuation is dropped: in SICK it is 860 commas and 63 full stops, while
    almost every STS sentence ends in a full stop, so that a model would learn from it which corpus it reads.
    """
    return _TOKENS.findall(sentence.replace("’", "'"))


def normalize_sentence(sentence: str) -> str:
    """Lower case, then the maximal runs of [a-z0-9], joined by one space: equal results count as the same sentence."""
    return " ".join(_WORDS.findall(sentence.lower()))


def pair_key(first: str, second: str) -> tuple[str, str]:
    """The two normalised sentences in alphabetical order: a pair and its swap have one key."""
    one, other = sorted((normalize_sentence(first), normalize_sentence(second)))
    return one, other


class Repeats(NamedTuple):
    """Which rows of a frame were met in a reference, a (n,) mask each."""

    pair: np.ndarray  # the pair, in either order
    both: np.ndarray  # both sentences, in whatever pairs
    any: np.ndarray  # at least one sentence


def repeats(frame: pd.DataFrame, reference: pd.DataFrame) -> Repeats:
    """Compare pairs with those of a reference, after normalize_sentence().

    Args:
        frame, reference: with columns sentence_a and sentence_b.
    """
    keys, reference_keys = pair_keys(frame), set(pair_keys(reference))
    seen = {sentence for key in reference_keys for sentence in key}
    found = np.array([[one in seen, other in seen] for one, other in keys], dtype=bool).reshape(-1, 2)
    pair = np.array([key in reference_keys for key in keys], dtype=bool)
    return Repeats(pair, found.all(1), found.any(1))


def pair_keys(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """pair_key() of every row."""
    return [pair_key(*pair) for pair in zip(frame["sentence_a"], frame["sentence_b"], strict=True)]


def without_repeats(frame: pd.DataFrame) -> pd.DataFrame:
    """The first row of every distinct pair, whatever the order of its sentences; attrs and row labels are kept."""
    kept = frame[~pd.Series(pair_keys(frame), index=frame.index, dtype=object).duplicated()]
    kept.attrs = dict(frame.attrs)
    return kept


def pretraining_pairs(sts: pd.DataFrame, sick: pd.DataFrame, *, held_out: pd.DataFrame | None = None) -> pd.DataFrame:
    """Scored STS pairs to train on before SICK, with nothing that a SICK model is later judged by.

    Dropped: rows without a score; every row that holds a sentence of SICK's test partition, or of held_out; all but
    the first of the pairs that stand more than once (STS Benchmark and the SemEval sets share most of theirs).

    Args:
        sts: as load_sts() returns it.
        sick: as load_sick() returns it, with its test partition.
        held_out: further pairs that nothing may be known of, as the held-out fold of a cross-validation.

    Returns:
        sentence_a, sentence_b, similarity (score / 5, 0 to 1), source; attrs of sts.

    Raises:
        ValueError: sick has no test partition, so that nothing could be checked.
    """
    judged = [sick[sick["partition"] == "test"], *([] if held_out is None else [held_out])]
    if judged[0].empty:
        raise ValueError("sick holds no row of partition test: pass load_sick() whole, so that its pairs are dropped")
    scored = sts[sts["score"].notna()]
    kept = without_repeats(scored[~repeats(scored, pd.concat(judged)).any])
    pairs = kept.assign(similarity=kept["score"] / STS_TOP)[["sentence_a", "sentence_b", "similarity", "source"]]
    pairs = pairs.reset_index(drop=True)
    pairs.attrs = dict(sts.attrs)
    return pairs
