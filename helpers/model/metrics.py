"""Metrics over examples (scikit-learn underneath), and what a difference between models is worth."""

import numpy as np
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_recall_fscore_support


def binary_metrics(targets, predictions) -> dict[str, float]:
    """Accuracy, and precision, recall and F1 of class 1 (0 where nothing is predicted)."""
    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, predictions, average="binary", pos_label=1, zero_division=0
    )
    scores = {"accuracy": accuracy_score(targets, predictions), "precision": precision, "recall": recall, "f1": f1}
    return {name: float(value) for name, value in scores.items()}


def multiclass_metrics(targets, predictions) -> dict[str, float]:
    """Accuracy and balanced accuracy (macro recall over the classes present in targets)."""
    return {
        "accuracy": float(accuracy_score(targets, predictions)),
        "balanced_accuracy": float(balanced_accuracy_score(targets, predictions)),
    }


def best_threshold(targets, scores) -> float:
    """The cut on scores (predict 1 at or above it) with the best F1 of class 1; midway between two neighbouring scores.

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

    Random splits share training rows, so the plain t test is too sure of itself: the variance is corrected as in
    Nadeau & Bengio 2003 ("Inference for the Generalization Error", eq. 9), 1/n + test/train instead of 1/n.

    Args:
        first, second: (n,) scores of two models on the same splits, n >= 2.
        test_share: share of the rows on the test side.
    """
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    n = len(differences)
    if n < 2:
        raise ValueError("a paired difference needs at least two splits")
    mean, variance = differences.mean(), differences.var(ddof=1)
    error = np.sqrt(variance * (1 / n + test_share / (1 - test_share)))
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * error
    p = 2 * stats.t.sf(abs(mean) / error, n - 1) if error > 0 else float(mean == 0)
    return {"mean": float(mean), "low": float(mean - half), "high": float(mean + half), "p": float(p)}
