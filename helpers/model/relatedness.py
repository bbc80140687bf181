"""How good a similarity is: correlations, calibration to 1..5, similar or not, entailment from the vectors."""

from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

LOWEST, HIGHEST = 1.0, 5.0  # SICK's scale of relatedness
SIMILAR = 3.5  # from this relatedness on a pair counts as similar
CALIBRATIONS = ("none", "linear", "isotonic")


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
            if slope <= 0:  # it would turn the order around; nothing was learnt, and the mean is the best guess
                return cls((0.0,), (float(relatedness.mean()),))
            return cls(tuple(((ends - intercept) / slope).tolist()), tuple(ends.tolist()))
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


def pair_features(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """|u - v| and u * v side by side: (n, d), (n, d) -> (n, 2d)."""
    return np.concatenate([np.abs(first - second), first * second], axis=1)


def entailment_classifier(*, C: float = 0.01) -> Pipeline:
    """Three-way entailment from pair_features(): scaled, multinomial logistic regression.

    Args:
        C: inverse strength of the L2 penalty.
    """
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
