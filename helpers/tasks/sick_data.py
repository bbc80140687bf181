"""Which SICK pairs train, are held out and judge; the STS pairs that may come before; their words' vectors."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from helpers import settings
from helpers.data.corpora import load_sick, load_sts
from helpers.data.pairs import pretraining_pairs
from helpers.data.sick_vectors import VectorTable, vector_table
from helpers.data.splits import stratified_split
from helpers.tasks.sick_config import Config

FOLDS = 5
EVALUATIONS = ("trial", "test", *(f"cv{fold}" for fold in range(FOLDS)))


class Sides(NamedTuple):
    """Pairs that train, pairs held out of training to select an epoch and to calibrate, pairs that judge."""

    train: pd.DataFrame
    held: pd.DataFrame
    judged: pd.DataFrame


def sides(evaluate_on: str, *, held_share: float = 0.1, rows: int | None = None) -> Sides:
    """The SICK pairs of an evaluation; the same ones every time.

    Args:
        evaluate_on: "test" (train on the train partition, hold out the trial one), "trial", or "cv0" to "cv4": a fold
            of train and trial together, stratified by relatedness; pairs that share a sentence may stand on different
            sides, as they do between SICK's own partitions. But for "test" the held-out pairs are a share of the
            training side.
        held_share: of the training side.
        rows: cut each side to about so many pairs, stratified (profile quick).

    Raises:
        ValueError: another evaluation.
    """
    if evaluate_on not in EVALUATIONS:
        raise ValueError(f"evaluate_on={evaluate_on!r} is not one of {', '.join(EVALUATIONS)}")
    frame = load_sick()
    parts = {name: part.reset_index(drop=True) for name, part in frame.groupby("partition")}
    if evaluate_on == "test":
        found = [parts["train"], parts["trial"], parts["test"]]
    else:
        rest, judged = parts["train"], parts["trial"]
        if evaluate_on != "trial":
            pool = pd.concat([rest, judged], ignore_index=True)
            folds = StratifiedKFold(FOLDS, shuffle=True, random_state=settings.SEED).split(pool, _levels(pool))
            rest, judged = (pool.iloc[side] for side in list(folds)[int(evaluate_on[2:])])
        split = stratified_split(_levels(rest), seed=settings.SEED, test_size=held_share)
        found = [rest.iloc[split.train], rest.iloc[split.test], judged]
    found = [_cut(part.reset_index(drop=True), rows) for part in found]
    for part in found:
        part.attrs = dict(frame.attrs)
    return Sides(*found)


def _levels(frame: pd.DataFrame) -> pd.Series:
    """Five equally large levels of relatedness."""
    return pd.qcut(frame["relatedness"].rank(method="first"), 5, labels=False)


def _cut(frame: pd.DataFrame, rows: int | None) -> pd.DataFrame:
    if rows is None or rows >= len(frame):
        return frame
    return frame.iloc[stratified_split(_levels(frame), seed=settings.SEED, test_size=rows).test].reset_index(drop=True)


def unseen(chosen: Sides, *, with_held: bool = True) -> pd.DataFrame:
    """What nothing trained on may hold: the pairs that judge, those held out, and SICK's test whatever judges."""
    sick = load_sick()
    test = sick[sick["partition"] == "test"]
    return pd.concat([test, chosen.judged, *([chosen.held] if with_held else [])], ignore_index=True)


def sts_pairs(chosen: Sides, rows: int | None = None) -> pd.DataFrame:
    """STS pairs to train on first, with no sentence of unseen().

    Args:
        rows: so many of them, seeded (profile quick).

    Returns:
        As pretraining_pairs().
    """
    found = pretraining_pairs(load_sts(), load_sick(), held_out=unseen(chosen))
    if rows is None or rows >= len(found):
        return found
    return found.sample(rows, random_state=settings.SEED).reset_index(drop=True)


def covered(sts: pd.DataFrame, table: VectorTable, share: float) -> pd.DataFrame:
    """The pairs of which at least this share of the words has a vector: of the others an encoder reads mostly gaps.

    Raises:
        ValueError: none is left.
    """
    known = [np.mean(table.known_words(f"{a} {b}") or [False]) for a, b in zip(*sentences(sts), strict=True)]
    kept = sts[np.array(known) >= share].reset_index(drop=True)
    if kept.empty:
        raise ValueError(f"no STS pair has vectors for {share:.0%} of its words: lower pretrain_coverage")
    return kept


def words_of(config: Config, chosen: Sides, sts: pd.DataFrame | None, seed: int) -> VectorTable:
    """The word vectors of a configuration; words of the judged pairs are but looked up among pretrained ones."""
    frames = [chosen.train, chosen.held, *([] if sts is None else [sts])]
    trained, judged = ([s for frame in group for s in _both(frame)] for group in (frames, [chosen.judged]))
    return vector_table(config.vectors, trained, case=config.case, unknown=config.unknown, seed=seed, lookup=judged)


def sentences(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The first and the second sentences."""
    return frame["sentence_a"].tolist(), frame["sentence_b"].tolist()


def _both(frame: pd.DataFrame) -> Iterable[str]:
    return (sentence for column in sentences(frame) for sentence in column)
