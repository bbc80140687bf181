"""Metrics of classes and of similarities, their intervals, and tests of the difference between two models."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Metric = Callable[[np.ndarray, np.ndarray], float]  # (targets (n,), predictions (n,)) -> value
COUNTED = ("accuracy", "balanced_accuracy")  # metrics by name, from counts alone: quick with many rows and classes
LOWEST, HIGHEST = 1.0, 5.0  # SICK's scale of relatedness
SIMILAR = 3.5  # from this relatedness on a pair counts as similar
CALIBRATIONS = ("none", "linear", "isotonic")


def binary_metrics(targets, predictions) -> dict[str, float]:
    """Accuracy, and precision, recall and F1 of class 1 (0 where nothing is predicted)."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, predictions, average="binary", pos_label=1, zero_division=0
    )
    scores = {"accuracy": accuracy_score(targets, predictions), "precision": precision, "recall": recall, "f1": f1}
    return {name: float(value) for name, value in scores.items()}


def multiclass_metrics(targets, predictions) -> dict[str, float]:
    """Accuracy and balanced accuracy (macro recall over the classes present in targets)."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    return {
        "accuracy": float(accuracy_score(targets, predictions)),
        "balanced_accuracy": float(balanced_accuracy_score(targets, predictions)),
    }


def best_threshold(targets, scores) -> float:
    """The cut on scores (predict 1 at or above it) with the best F1 of class 1; midway between neighbouring scores.

    Among equally good cuts the middle one, so that a flat optimum does not end at its edge.
    """
    targets, scores = np.asarray(targets, dtype=bool), np.asarray(scores, dtype=float)
    distinct = np.unique(scores)
    cuts = np.concatenate([distinct[:1], (distinct[1:] + distinct[:-1]) / 2])
    predicted = scores >= cuts[:, None]  # (cuts, n)
    hits = (predicted & targets).sum(1)
    f1 = 2 * hits / (predicted.sum(1) + targets.sum())
    best = np.flatnonzero(np.isclose(f1, f1.max()))
    return float(cuts[best[len(best) // 2]])


def paired_difference(first, second, *, test_share: float = 0.2, confidence: float = 0.95) -> dict[str, float]:
    """Mean of first - second over splits, its interval and p value.

    Random splits share training rows, so the plain t test gives too narrow intervals: the variance is corrected as in
    Nadeau & Bengio 2003 ("Inference for the Generalization Error", eq. 9), 1/n + test/train instead of 1/n.

    Args:
        first, second: (n,) scores of two models on the same splits, n >= 2.
        test_share: share of the rows on the test side.
    """
    from scipy import stats

    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    n = len(differences)
    if n < 2:
        raise ValueError("a paired difference needs at least two splits")
    mean, variance = differences.mean(), differences.var(ddof=1)
    error = np.sqrt(variance * (1 / n + test_share / (1 - test_share)))
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * error
    p = 2 * stats.t.sf(abs(mean) / error, n - 1) if error > 0 else float(mean == 0)
    return {"mean": float(mean), "low": float(mean - half), "high": float(mean + half), "p": float(p)}


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
    from scipy import stats

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


def to_similarity(relatedness):
    """y = (r - 1) / 4: 1..5 to 0..1."""
    return (relatedness - LOWEST) / (HIGHEST - LOWEST)


def to_relatedness(similarity):
    """r = 1 + 4 y: 0..1 to 1..5."""
    return LOWEST + (HIGHEST - LOWEST) * similarity


def relatedness_metrics(relatedness, predictions) -> dict[str, float]:
    """Pearson's and Spearman's correlation (0 where either side is constant) and mean squared error.

    Args:
        relatedness, predictions: (n,), n >= 2, both on the 1..5 scale for the error to mean anything.
    """
    from scipy import stats

    truth, guess = np.asarray(relatedness, dtype=float), np.asarray(predictions, dtype=float)
    pearson = spearman = 0.0
    if np.ptp(truth) > 0 and np.ptp(guess) > 0:
        pearson, spearman = stats.pearsonr(truth, guess).statistic, stats.spearmanr(truth, guess).statistic
    return {"pearson": float(pearson), "spearman": float(spearman), "mse": float(((truth - guess) ** 2).mean())}


@dataclass(frozen=True)
class Calibration:
    """A rising map from similarity to relatedness: straight lines between knots, level beyond the outer ones.

    knots, values: (k,) similarities, rising, and the relatedness at each.
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def fit(cls, similarity, relatedness, kind: str = "linear") -> "Calibration":
        """Least squares on pairs that the network was not trained on.

        Args:
            similarity, relatedness: (n,) ignored by "none".
            kind: "none" (r = 1 + 4 s), "linear" (a straight line from 1 to 5), "isotonic" (any rising steps).

        Raises:
            ValueError: unknown kind.
        """
        if kind not in CALIBRATIONS:
            raise ValueError(f"calibration {kind!r} is not one of {', '.join(CALIBRATIONS)}")
        ends = np.array([LOWEST, HIGHEST])
        similarity, relatedness = np.asarray(similarity, dtype=float), np.asarray(relatedness, dtype=float)
        if kind == "none":
            return cls((0.0, 1.0), (LOWEST, HIGHEST))
        if kind == "linear":
            slope, intercept = np.polyfit(similarity, relatedness, 1) if np.ptp(similarity) > 0 else (0.0, 0.0)
            if slope <= 0:  # nothing was learnt, and a falling line would turn the order around: predict the mean
                return cls((0.0,), (float(relatedness.mean()),))
            return cls(tuple(((ends - intercept) / slope).tolist()), tuple(ends.tolist()))
        from sklearn.isotonic import IsotonicRegression

        model = IsotonicRegression(y_min=LOWEST, y_max=HIGHEST, out_of_bounds="clip").fit(similarity, relatedness)
        return cls(tuple(model.X_thresholds_.tolist()), tuple(model.y_thresholds_.tolist()))

    def __call__(self, similarity) -> np.ndarray:
        """(n,) relatedness."""
        return np.interp(np.asarray(similarity, dtype=float), self.knots, self.values)


def similar_threshold(relatedness, predictions) -> float:
    """The cut on predictions (similar at or above it) that gets most pairs right; relatedness >= 3.5 is similar.

    It lies midway between two neighbouring predictions; of equally good cuts the middle one.
    """
    predictions = np.asarray(predictions, dtype=float)
    similar = np.asarray(relatedness) >= SIMILAR
    distinct, place = np.unique(predictions, return_inverse=True)
    gained = np.bincount(place.ravel(), np.where(similar, -1, 1))  # by moving the cut above this value
    right = similar.sum() + np.concatenate([[0], np.cumsum(gained)])  # (distinct + 1,), the cut before each value
    best = np.flatnonzero(right == right.max())
    cuts = np.concatenate([distinct[:1], (distinct[1:] + distinct[:-1]) / 2, [np.nextafter(distinct[-1], np.inf)]])
    return float(cuts[best[len(best) // 2]])


def similar_accuracy(relatedness, predictions, threshold: float) -> float:
    """Share of pairs on the right side: similar (r >= 3.5) at or above the threshold, the others below it."""
    return float(((np.asarray(relatedness) >= SIMILAR) == (np.asarray(predictions) >= threshold)).mean())


def scores(relatedness, predictions, threshold: float | None = None) -> dict[str, float]:
    """relatedness_metrics() and accuracy; without a threshold at the best cut of these very pairs."""
    cut = similar_threshold(relatedness, predictions) if threshold is None else threshold
    return relatedness_metrics(relatedness, predictions) | {"accuracy": similar_accuracy(relatedness, predictions, cut)}


def entailment_classifier(*, C: float = 0.01) -> "Pipeline":
    """Three-way entailment from siamese.symmetric_features(): scaled, multinomial logistic regression.

    Args:
        C: inverse strength of the L2 penalty.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
