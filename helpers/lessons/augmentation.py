"""Notebook 06: what readers accepted of each technique's pairs, what the technique is worth, how its training went."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers.data.corpora import SchemaError, check_one_of
from helpers.data.splits import pair_keys
from helpers.model.metrics import paired_difference
from helpers.report.plots import COLORS, course, panels, wilson

NAMES = {  # of sick_studies.AUGMENTATIONS, as tables and figures call them
    "none": "sin aumento",
    "synonyms": "sinónimos",
    "antonyms": "antónimos",
    "repaired": "pares transitivos",
    "neighbours": "vecinos en ambas",
    "deletion": "borrado en ambas",
    "all": "las cinco juntas",
    "rated": "calificados por la red",
}
COLUMNS = ("source_pair_id", "detail", "acceptable", "note")  # of a committed sample that was read


def read_pairs(path: str | Path) -> pd.DataFrame:
    """A committed sample of new pairs that was read: source_pair_id, detail, acceptable (bool), note.

    Raises:
        SchemaError: a column is missing, or acceptable is neither 0 nor 1.
    """
    table = pd.read_csv(path, dtype={"acceptable": str, "note": str, "detail": str}, keep_default_na=False)
    for column in [name for name in COLUMNS if name not in table]:
        raise SchemaError(path, 1, column, "a column of that name in the header", list(table))
    for row, value in enumerate(table["acceptable"], start=2):
        check_one_of(path, row, "acceptable", value, ("0", "1"))
    return table.assign(acceptable=table["acceptable"] == "1")


def as_read(rated: pd.DataFrame) -> pd.Series:
    """How a rated pair appears in a sample that was read: a hash of its sentences, which are not ours, and the rating.

    Args:
        rated: sentence_a, sentence_b, relatedness; the order of the two sentences does not matter.
    """
    keys = [hashlib.sha256("\t".join(key).encode()).hexdigest()[:12] for key in pair_keys(rated)]
    return pd.Series(keys, rated.index) + rated["relatedness"].map(": {:.2f}".format)


def accepted_shares(readings: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Per technique: how many pairs were read and accepted, the share, and its 95% interval (Wilson 1927)."""
    table = pd.DataFrame({name: {"read": len(t), "accepted": t["acceptable"].sum()} for name, t in readings.items()}).T
    low, high = wilson(table["accepted"], table["read"])
    return table.assign(share=table["accepted"] / table["read"], low=low, high=high)


def paired_effects(arms: pd.DataFrame, plain: pd.DataFrame, metrics: Iterable[str]) -> pd.DataFrame:
    """What each technique adds: its score minus that of training without augmentation, seed by seed.

    The training pairs are the same for every seed and the seeds are independent, so the plain paired t interval holds;
    it speaks of other seeds on this test set, not of other test sets.

    Args:
        arms: technique, model_seed and the metrics, a row per training.
        plain: the same of the trainings without augmentation.

    Returns:
        Indexed by technique and metric: delta (mean difference), low and high (95% interval) and p, all three NaN with
        one seed, seeds (how many both have).

    Raises:
        ValueError: a technique has no seed in common with the training without augmentation.
    """
    base, rows = plain.set_index("model_seed"), {}
    for technique, arm in arms.groupby("technique", sort=False):
        arm = arm.set_index("model_seed")
        seeds = arm.index.intersection(base.index)
        if seeds.empty:
            raise ValueError(f"{technique}: none of its seeds {list(arm.index)} was trained without augmentation")
        for metric in metrics:
            rows[technique, metric] = _difference(arm.loc[seeds, metric], base.loc[seeds, metric])
    table = pd.DataFrame.from_dict(rows, orient="index").astype({"seeds": int})
    table.index = pd.MultiIndex.from_tuples(table.index, names=["technique", "metric"])
    return table


def _difference(first: pd.Series, second: pd.Series) -> dict[str, float]:
    found = {"mean": float(np.mean(first - second))} | dict.fromkeys(("low", "high", "p"), float("nan"))
    if len(first) > 1:
        found = paired_difference(first, second, test_share=0.0)
    return {"delta": found["mean"]} | {name: found[name] for name in ("low", "high", "p")} | {"seeds": len(first)}


def effects(table: pd.DataFrame, metrics: Mapping[str, str]) -> tuple[Figure, np.ndarray]:
    """Differences with their intervals, a panel per metric, a line per technique; on the zero line nothing changed.

    Args:
        table: as paired_effects() returns it.
        metrics: metric -> label.
    """
    techniques = list(dict.fromkeys(table.index.get_level_values("technique")))[::-1]  # the first one at the top
    places = np.arange(len(techniques))
    figure, axes = panels(len(metrics), width=3.6, height=0.42 * len(techniques) + 1.3)
    for ax, (metric, label) in zip(axes[0], metrics.items(), strict=True):
        rows = table.xs(metric, level="metric").loc[techniques]
        ends = [(rows["delta"] - rows["low"]).fillna(0), (rows["high"] - rows["delta"]).fillna(0)]
        ax.axvline(0, color="0.3", linewidth=1)
        ax.errorbar(rows["delta"], places, xerr=ends, fmt="D", color=COLORS[1], capsize=4, markersize=5)
        ax.set_yticks(places, [NAMES.get(name, name) for name in techniques] if ax is axes[0, 0] else [])
        ax.set(xlabel=label, ylim=(-0.6, len(techniques) - 0.4))
        ax.locator_params(axis="x", nbins=5)
    figure.suptitle("Diferencia con el entrenamiento sin aumento (media e intervalo del 95 %)", fontsize=11)
    return figure, axes


def training_curves(
    histories: Mapping[str, pd.DataFrame], steps: Mapping[str, int], metrics: Mapping[str, str]
) -> tuple[Figure, np.ndarray]:
    """Metrics against gradient steps, one colour an arm: epochs of an enlarged training set are longer.

    Args:
        histories: arm -> History.frame().
        steps: arm -> steps per epoch.
        metrics: column without train_ or valid_ -> label.
    """
    figure, axes = panels(len(metrics), width=4.4, height=3.7)
    for (name, frame), color in zip(histories.items(), COLORS, strict=False):
        done = (1 + np.arange(len(frame))) * steps[name]
        kept = int(frame["valid_pearson"].argmax()) if "valid_pearson" in frame else None
        for ax, (column, label) in zip(axes[0], metrics.items(), strict=True):
            train = {"alpha": 0.7, "label": None if f"valid_{column}" in frame else name}
            course(ax, done, frame, column, kept=kept, color=color, train=train, valid={"label": name}, dot={})
            ax.set(xlabel="pasos de gradiente", ylabel=label)
    axes[0, -1].legend(title="— trial  - - entrenamiento", fontsize=9, title_fontsize=8)
    return figure, axes
