"""How sure a number is: bootstrap intervals over test rows, and McNemar's exact test between two classifiers."""

from collections.abc import Callable

import numpy as np
from scipy import stats

Metric = Callable[[np.ndarray, np.ndarray], float]  # (targets (n,), predictions (n,)) -> value
COUNTED = ("accuracy", "balanced_accuracy")  # metrics by name, from counts alone: quick with many rows and classes


def bootstrap_interval(
    metric: str | Metric, targets, predictions, *, samples: int = 1000, seed: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of a metric over test rows (Efron & Tibshirani 1993, ch. 13).

    Args:
        metric: "accuracy", "balanced_accuracy" (macro recall over the classes of the resampled targets), or a function
            of targets and predictions, which may then be anything rows can be taken of.
        targets, predictions: (n, ...) one row per example.
        samples: resamples of n rows with replacement.

    Returns:
        (low, high).

    Raises:
        ValueError: no rows, unequal lengths, or an unknown metric.
    """
    values = _resampled(metric, targets, [predictions], samples, seed)[:, 0]
    return _interval(values, confidence)


def paired_bootstrap(
    metric: str | Metric, targets, first, second, *, samples: int = 1000, seed: int, confidence: float = 0.95
) -> dict[str, float]:
    """Difference first - second of two models on the same rows: both are scored on the same resamples.

    Args:
        metric, targets, samples: as in bootstrap_interval.
        first, second: (n, ...) predictions.

    Returns:
        "difference" on all rows, "low" and "high" of its percentile interval.
    """
    values = _resampled(metric, targets, [first, second], samples, seed)
    whole = _scorer(metric, targets, [first, second])(None)
    low, high = _interval(values[:, 0] - values[:, 1], confidence)
    return {"difference": whole[0] - whole[1], "low": low, "high": high}


def mcnemar(targets, first, second) -> dict[str, float]:
    """McNemar's exact test: of the rows that only one of two classifiers gets right, does one get more than its half?

    Returns:
        "only_first" and "only_second", rows that only that one gets right; "p", two-sided (binomial, 1/2).

    Raises:
        ValueError: unequal lengths.
    """
    targets, first, second = _rows(targets, first, second)
    first_right, second_right = first == targets, second == targets
    only_first, only_second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    disputed = only_first + only_second
    p = stats.binomtest(only_first, disputed, 0.5).pvalue if disputed else 1.0
    return {"only_first": only_first, "only_second": only_second, "p": float(p)}


def _interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: must lie between 0 and 1")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _resampled(metric: str | Metric, targets, predictions: list, samples: int, seed: int) -> np.ndarray:
    """(samples, len(predictions)): every model scored on the same rows of each resample."""
    if samples < 1:
        raise ValueError(f"samples={samples}: must be at least 1")
    score, n, random = _scorer(metric, targets, predictions), len(targets), np.random.default_rng(seed)
    return np.array([score(random.integers(0, n, n)) for _ in range(samples)])


def _scorer(metric: str | Metric, targets, predictions: list) -> Callable[[np.ndarray | None], list[float]]:
    """A function from row numbers (None: every row once) to the score of each model."""
    targets, *predictions = _rows(targets, *predictions)
    if isinstance(metric, str):
        return _counted(metric, targets, [prediction == targets for prediction in predictions])

    def score(rows: np.ndarray | None) -> list[float]:
        chosen = slice(None) if rows is None else rows
        return [float(metric(targets[chosen], prediction[chosen])) for prediction in predictions]

    return score


def _counted(name: str, targets: np.ndarray, right: list[np.ndarray]) -> Callable[[np.ndarray | None], list[float]]:
    if name not in COUNTED:
        raise ValueError(f"metric {name!r} is not one of {', '.join(COUNTED)}; any other is given as a function")
    n = len(targets)
    classes = np.unique(targets, return_inverse=True)[1].ravel() if name == "balanced_accuracy" else np.zeros(n, int)

    def score(rows: np.ndarray | None) -> list[float]:
        taken = np.ones(n) if rows is None else np.bincount(rows, minlength=n)  # how often each row was drawn
        sizes = np.bincount(classes, taken)
        present = sizes > 0
        return [float((np.bincount(classes, taken * hits)[present] / sizes[present]).mean()) for hits in right]

    return score


def _rows(targets, *predictions) -> list[np.ndarray]:
    arrays = [np.asarray(part) for part in (targets, *predictions)]
    if len(arrays[0]) == 0:
        raise ValueError("no rows: there is nothing to resample or compare")
    for part in arrays[1:]:
        if len(part) != len(arrays[0]):
            raise ValueError(f"{len(arrays[0])} targets but {len(part)} predictions")
    return arrays
