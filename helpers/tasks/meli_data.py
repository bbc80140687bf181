"""MeLi titles as the notebooks and models read them, and the two ways to part them: the course's own, or the slice's.

Whole set: the course's train, validation and test subsets. Slice: only its official test file is there, which is then
parted 80/10/10 by a seed, stratified; a result on the slice never saw the course's training titles.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from helpers import settings
from helpers.data.corpora import MELI_SUBSETS, load_meli
from helpers.data.splits import stratified_split

FIRST_SPLIT_SEED = 1  # 0 is for development; reported seeds begin here
FOLDS = 5
TITLE_COLUMNS = ("title", "category", "label_quality", "split")


@dataclass(frozen=True)
class Parts:
    """Row numbers of the three sides, sorted."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def titles(rows: int | None = None) -> pd.DataFrame:
    """title, category, label_quality, split, target (categories numbered by order of appearance).

    Args:
        rows: take whole categories, drawn by a seed, up to about this many titles (profile quick: few titles of many
            categories teach nothing in the time there is); None takes all.
    """
    frame = load_meli(columns=TITLE_COLUMNS)
    attrs = frame.attrs
    if rows is not None and rows < len(frame):
        sizes = frame["category"].value_counts().sort_index().sample(frac=1, random_state=settings.SEED)
        kept = sizes.index[sizes.cumsum() <= rows]
        frame = frame[frame["category"].isin(kept)].reset_index(drop=True)
    frame = frame.assign(target=pd.factorize(frame["category"])[0])
    frame.attrs = attrs
    return frame


def categories(frame: pd.DataFrame) -> list[str]:
    """Names of the categories in the order of their targets."""
    return frame.drop_duplicates("target").sort_values("target")["category"].tolist()


def is_whole(frame: pd.DataFrame) -> bool:
    """Are the course's three subsets there?"""
    return set(frame["split"].unique()) == set(MELI_SUBSETS)


def partitions(frame: pd.DataFrame, split_seed: int) -> Parts:
    """The course's own subsets where they are there, whatever the seed; else 80/10/10 of the rows, stratified."""
    if is_whole(frame):
        return Parts(*(np.flatnonzero(frame["split"] == subset) for subset in MELI_SUBSETS))
    outer = stratified_split(frame["target"], seed=split_seed, test_size=0.1)
    inner = stratified_split(frame["target"].to_numpy()[outer.train], seed=split_seed, test_size=1 / 9)
    return Parts(outer.train[inner.train], outer.train[inner.test], outer.test)


def folds(frame: pd.DataFrame, *, count: int = FOLDS, seed: int = FIRST_SPLIT_SEED) -> Iterator[tuple]:
    """(train rows, test rows) of each fold, stratified: every row is tested once."""
    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(frame)), frame["target"])
