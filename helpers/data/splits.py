"""Which rows train, validate and test: duplicates out first, then seeded stratified splits."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split


@dataclass(frozen=True)
class Split:
    """Row numbers of the two sides, sorted."""

    train: np.ndarray  # (n_train,)
    test: np.ndarray  # (n_test,)


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
    return Split(np.sort(train), np.sort(test))


def grouped_split(labels, groups, *, seed: int, folds: int = 5) -> Split:
    """Stratified split that keeps every group whole on one side: one fold of `folds` is the test side."""
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    labels = np.asarray(labels)
    train, test = next(splitter.split(np.zeros(len(labels)), labels, np.asarray(groups)))
    return Split(np.sort(train), np.sort(test))
