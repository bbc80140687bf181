"""Losses of a siamese network: ranking pairs and triplets, and graded relatedness."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, mse_loss

SCORES = 5  # relatedness runs from 1 to SCORES


def pairwise_ranking_loss(distance: Tensor, y: Tensor, margin: float, *, power: int = 1) -> Tensor:
    """Pairwise ranking loss, as the assignment writes it: y d + (1 - y) max(0, m - d), mean over pairs.

    With y in {0, 1}, alike pairs are drawn together and the others pushed m apart (with power=2 this is twice the loss
    of Hadsell, Chopra & LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping").

    A graded y changes what is asked for. At power=1 the loss of a pair is linear in d up to m, with slope 2y - 1: its
    minimum lies at d = 0 for every y > 1/2 and at d = m for every y < 1/2, as if y were rounded. At power=2 it lies at
    d = (1 - y) m: a distance for every grade.

    Args:
        distance: (n,) Euclidean distance d of the two sentence vectors.
        y: (n,) 1 alike, 0 not; or a grade between.
        margin: m > 0.
        power: 1, or 2 for squared distance and squared hinge.

    Raises:
        ValueError: margin not above 0.
    """
    _check_margin(margin)
    apart = (margin - distance).clamp(min=0)
    return (y * distance.pow(power) + (1 - y) * apart.pow(power)).mean()


def triplet_ranking_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Triplet ranking loss, as the assignment writes it: max(0, m - (||a - n|| - ||a - p||)), mean over triplets.

    Args:
        anchor, positive, negative: (n, d) vectors; Euclidean distances.
        margin: m > 0.

    Raises:
        ValueError: margin not above 0.
    """
    _check_margin(margin)
    far, near = euclidean_distance(anchor, negative), euclidean_distance(anchor, positive)
    return (margin - (far - near)).clamp(min=0).mean()


def similarity_mse_loss(similarity: Tensor, y: Tensor) -> Tensor:
    """Mean squared error of a similarity in 0..1 against y = (relatedness - 1) / 4 (Mueller & Thyagarajan 2016).

    Args:
        similarity, y: (n,).
    """
    return mse_loss(similarity, y)


def score_distribution(y: Tensor, scores: int = SCORES) -> Tensor:
    """Sparse target distribution over the scores 1..K whose mean is the relatedness (Tai et al. 2015, section 4.2).

    A relatedness between two whole scores is shared by these two alone, the nearer one taking more.

    Args:
        y: (n,) relatedness from 1 to `scores`.

    Returns:
        (n, scores), rows summing to 1.

    Raises:
        ValueError: a relatedness outside the scale.
    """
    if len(y) and not (y.min() >= 1 and y.max() <= scores):
        raise ValueError(f"relatedness from {y.min():.3f} to {y.max():.3f}: it must lie between 1 and {scores}")
    steps = torch.arange(1, scores + 1, device=y.device)
    return (1 - (y.unsqueeze(-1) - steps).abs()).clamp(min=0)


def expected_score(logits: Tensor) -> Tensor:
    """Mean of the predicted distribution over the scores 1..K: (n, K) logits to (n,) relatedness."""
    return logits.softmax(-1) @ torch.arange(1, logits.size(-1) + 1, dtype=logits.dtype, device=logits.device)


def relatedness_kl_loss(logits: Tensor, y: Tensor) -> Tensor:
    """KL(target || predicted), the target being score_distribution(y); mean over pairs (Tai et al. 2015, section 4.2).

    Args:
        logits: (n, K) one per score.
        y: (n,) relatedness from 1 to K.
    """
    target = score_distribution(y, logits.size(-1))
    return (torch.xlogy(target, target) - target * log_softmax(logits, -1)).sum(-1).mean()


def entailment_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over the pairs that have a label (a negative one marks those without); 0 where none has.

    Args:
        logits: (n, classes).
        labels: (n,) class, or -100.
    """
    labelled = labels >= 0
    if not labelled.any():
        return logits.sum() * 0
    return cross_entropy(logits[labelled], labels[labelled])


def euclidean_distance(first: Tensor, second: Tensor) -> Tensor:
    """||u - v|| of every row, (n,); its gradient at distance 0 is 0, not NaN."""
    return torch.linalg.vector_norm(first - second, dim=-1)


def _check_margin(margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin={margin}: must be above 0")
