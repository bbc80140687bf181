"""Titles that mislead: which to read, what a reader said of them, and how high a score that leaves within reach."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data.schema import SchemaError, check_one_of

STRATA = ("agree", "disagree", "one_right", "both_right")  # what the two quick classifiers did with a title
LOSSES = {"label": 0.0, "both": 0.5, "alternative": 1.0, "neither": 0.5}  # judgement -> error of who reads that way


def strata(labels: np.ndarray, predicted: pd.DataFrame) -> np.ndarray:
    """Which of STRATA each row of out_of_fold() falls in; both wrong: did they agree on the category?"""
    first, second = predicted["centroid"].to_numpy(), predicted["neighbours"].to_numpy()
    right = (first == labels).astype(int) + (second == labels)
    return np.select([right == 2, right == 1, first == second], ["both_right", "one_right", "agree"], "disagree")


def draw_readings(labels: np.ndarray, predicted: pd.DataFrame, sizes: dict[str, int], *, seed: int) -> pd.DataFrame:
    """A seeded sample of titles to be read by a person, each with its label and one other category.

    The other category is the wrong prediction (the centroid's where both are wrong) or, where both classifiers are
    right, their rival: these are controls, that also tell how the reader reads.

    Args:
        sizes: stratum -> titles; a larger sample holds the smaller one of the same seed.

    Returns:
        row, stratum, label, alternative, label_first (in which order the reader is shown the two), shuffled.
    """
    rng, stratum = np.random.default_rng(seed), strata(labels, predicted)
    rows = [rng.permutation(np.flatnonzero(stratum == name))[: sizes.get(name, 0)] for name in STRATA]
    rows = rng.permutation(np.concatenate(rows))
    label, said = labels[rows], predicted.iloc[rows]
    other = said["centroid"].where(said["centroid"] != label, said["neighbours"])
    other = other.where(other != label, said["rival"]).to_numpy()
    columns = {"row": rows, "stratum": stratum[rows], "label": label, "alternative": other}
    return pd.DataFrame(columns | {"label_first": rng.random(len(rows)) < 0.5})


def read_readings(path: Path) -> pd.DataFrame:
    """A committed table of readings: row, stratum, label, alternative, judgement.

    Raises:
        SchemaError: a column is missing or a value is none of those allowed.
    """
    table = pd.read_csv(path)
    for column in {"row", "stratum", "label", "alternative", "judgement"} - set(table):
        raise SchemaError(path, 1, column, "a column of that name in the header", list(table))
    for row, (stratum, judgement) in enumerate(zip(table["stratum"], table["judgement"], strict=True), start=2):
        check_one_of(path, row, "stratum", stratum, STRATA)
        check_one_of(path, row, "judgement", judgement, LOSSES)
    return table


def ceiling(readings: pd.DataFrame, shares: dict[str, float], *, seed: int, draws: int = 10_000) -> dict[str, float]:
    """Accuracy of one who judges every title as the readings do and then must choose: mean and 95% interval.

    Each stratum's judgements have a Dirichlet posterior (Perks' prior, 1/4 each); LOSSES says what a judgement costs.

    Args:
        shares: stratum -> its share of all rows.
    """
    rng, costs = np.random.default_rng(seed), np.array(list(LOSSES.values()))
    counts = pd.crosstab(readings["stratum"], readings["judgement"]).reindex(columns=list(LOSSES), fill_value=0)
    posterior = {stratum: rng.dirichlet(row + 1 / len(costs), draws) for stratum, row in counts.iterrows()}
    right = 1 - sum(shares[stratum] * (judged @ costs) for stratum, judged in posterior.items())
    low, high = np.quantile(right, [0.025, 0.975])
    return {"mean": float(right.mean()), "low": float(low), "high": float(high)}
