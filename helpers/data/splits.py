"""Which rows train, validate and test: duplicates, seeded splits, and pairs of sentences that repeat others."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helpers import settings
from helpers.data.text import normal_form, normalize_sentence

if TYPE_CHECKING:
    import pandas as pd

STS_TOP = 5.0  # STS scores run from 0 to 5


@dataclass(frozen=True)
class Split:
    """The three sides of a corpus: row numbers, or (see take) the rows themselves.

    Args:
        train, valid, test: (n,) sorted row numbers; valid is empty where there is none.

    Example:
        >>> split = stratified_split([0, 1] * 50, seed=0)
        >>> len(split.train), len(split.valid), len(split.test)
        (80, 0, 20)
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    def joined(self) -> "Split":
        """The validation side put into the training side, sorted: for trainings that watch nothing."""
        return Split(np.union1d(self.train, self.valid), self.valid[:0], self.test)

    def take(self, frame: "pd.DataFrame") -> "Split":
        """The rows of a frame, side by side: three frames, each numbered from 0, with the frame's attrs."""
        return Split(*(frame.iloc[rows].reset_index(drop=True) for rows in (self.train, self.valid, self.test)))


def stratified_split(labels, *, seed: int, test_size: float = 0.2) -> Split:
    """Train and test with the same share of every label.

    Args:
        labels: (n,) label of every row.
        test_size: share of the rows, or how many.
    """
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(labels))
    train, test = train_test_split(rows, test_size=test_size, stratify=np.asarray(labels), random_state=seed)
    return Split(np.sort(train), np.arange(0), np.sort(test))


def grouped_split(labels, groups, *, seed: int, folds: int = 5) -> Split:
    """Stratified train and test that keep every group whole on one side: one fold of `folds` is the test side."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    labels = np.asarray(labels)
    train, test = next(splitter.split(np.zeros(len(labels)), labels, np.asarray(groups)))
    return Split(np.sort(train), np.arange(0), np.sort(test))


def deduplicate(frame: "pd.DataFrame", column: str, label: str | None = None) -> "pd.DataFrame":
    """Keep the first row of every distinct text.

    Raises:
        ValueError: the same text has two labels (names text and labels).
    """
    if label is not None:
        labels = frame.groupby(column)[label].nunique()
        if (labels > 1).any():
            text = labels.index[labels > 1][0]
            raise settings.WrongValue(f"{text!r} has more than one {label}: decide which is right before splitting")
    unique = frame.drop_duplicates(column).reset_index(drop=True)
    unique.attrs = dict(frame.attrs)
    return unique


def fold_text(texts: "pd.Series") -> "pd.Series":
    """Lower case, every number to 0, every run of other signs to one space: equal results are near-duplicates."""
    folded = texts.map(normal_form).str.replace(r"\d+", "0", regex=True)
    return folded.str.replace(r"[^\w]+|_", " ", regex=True).str.strip()


# Pairs of sentences


class Repeats(NamedTuple):
    """Which rows of a frame occur in a reference, a (n,) mask each."""

    pair: np.ndarray  # the pair, in either order
    both: np.ndarray  # both sentences, in whatever pairs
    any: np.ndarray  # at least one sentence


def pair_key(first: str, second: str) -> tuple[str, str]:
    """The two normalised sentences in alphabetical order: a pair and its swap have one key."""
    one, other = sorted((normalize_sentence(first), normalize_sentence(second)))
    return one, other


def pair_keys(frame: "pd.DataFrame") -> list[tuple[str, str]]:
    """pair_key() of every row (columns sentence_a and sentence_b)."""
    return [pair_key(*pair) for pair in zip(frame["sentence_a"], frame["sentence_b"], strict=True)]


def repeats(frame: "pd.DataFrame", reference: "pd.DataFrame") -> Repeats:
    """Compare pairs with those of a reference, after normalize_sentence().

    Args:
        frame, reference: with columns sentence_a and sentence_b.
    """
    keys, reference_keys = pair_keys(frame), set(pair_keys(reference))
    seen = {sentence for key in reference_keys for sentence in key}
    found = np.array([[one in seen, other in seen] for one, other in keys], dtype=bool).reshape(-1, 2)
    pair = np.array([key in reference_keys for key in keys], dtype=bool)
    return Repeats(pair, found.all(1), found.any(1))


def without_repeats(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The first row of every distinct pair, whatever the order of its sentences; attrs and row labels are kept."""
    import pandas as pd

    kept = frame[~pd.Series(pair_keys(frame), index=frame.index, dtype=object).duplicated()]
    kept.attrs = dict(frame.attrs)
    return kept


def pretraining_pairs(
    sts: "pd.DataFrame", sick: "pd.DataFrame", *, held_out: "pd.DataFrame | None" = None
) -> "pd.DataFrame":
    """Scored STS pairs to train on before SICK, without any sentence that a SICK model is later evaluated on.

    Dropped: rows without a score; every row with a sentence of SICK's test partition, or of held_out; all but the
    first of the pairs that occur more than once (STS Benchmark and the SemEval sets share most of theirs).

    Args:
        sts: as load_sts() returns it.
        sick: as load_sick() returns it, with its test partition.
        held_out: further pairs no training may see, such as the held-out fold of a cross-validation.

    Returns:
        sentence_a, sentence_b, similarity (score / 5, 0 to 1), source; attrs of sts.

    Raises:
        ValueError: sick has no test partition, so that nothing could be checked.
    """
    import pandas as pd

    evaluated = [sick[sick["partition"] == "test"], *([] if held_out is None else [held_out])]
    if evaluated[0].empty:
        raise settings.WrongValue(
            "sick holds no row of partition test: pass load_sick() whole, so that its pairs are dropped"
        )
    scored = sts[sts["score"].notna()]
    kept = without_repeats(scored[~repeats(scored, pd.concat(evaluated)).any])
    pairs = kept.assign(similarity=kept["score"] / STS_TOP)[["sentence_a", "sentence_b", "similarity", "source"]]
    pairs = pairs.reset_index(drop=True)
    pairs.attrs = dict(sts.attrs)
    return pairs
