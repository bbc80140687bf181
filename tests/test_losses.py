import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.model.siamese import (
    entailment_loss,
    euclidean_distance,
    expected_score,
    pairwise_ranking_loss,
    relatedness_kl_loss,
    score_distribution,
    similarity_mse_loss,
    triplet_ranking_loss,
)


def minimum(y, power, margin=2.0):
    """The distance at which the pairwise loss of one pair is least."""
    distances = torch.linspace(0, 3, 301)
    losses = [pairwise_ranking_loss(d, torch.tensor(y), margin, power=power) for d in distances]
    return distances[int(torch.stack(losses).argmin())].item()


def test_the_pairwise_loss_is_the_assignments_formula():
    distance = torch.tensor([0.3, 0.3, 0.3, 2.0])
    y = torch.tensor([1.0, 0.0, 0.25, 0.0])
    by_hand = [0.3, 1 - 0.3, 0.25 * 0.3 + 0.75 * 0.7, 0.0]
    assert pairwise_ranking_loss(distance, y, 1.0).item() == pytest.approx(sum(by_hand) / 4)
    squared = [0.09, 0.49, 0.25 * 0.09 + 0.75 * 0.49, 0.0]
    assert pairwise_ranking_loss(distance, y, 1.0, power=2).item() == pytest.approx(sum(squared) / 4)


def test_the_pairwise_loss_is_torchs_hinge_embedding_loss_for_binary_y():
    distance, y = torch.rand(50) * 2, torch.randint(0, 2, (50,)).float()
    theirs = nn.functional.hinge_embedding_loss(distance, 2 * y - 1, margin=1.3)
    assert pairwise_ranking_loss(distance, y, 1.3).item() == pytest.approx(theirs.item(), abs=1e-6)


def test_a_graded_y_is_rounded_by_the_formula_as_written_and_graded_by_its_square():
    assert [minimum(y, 1) for y in (0.1, 0.4, 0.6, 0.9)] == pytest.approx([2, 2, 0, 0], abs=0.02)
    assert [minimum(y, 2) for y in (0.0, 0.4, 0.6, 1.0)] == pytest.approx([2, 1.2, 0.8, 0], abs=0.02)


def test_the_triplet_loss_is_the_assignments_formula_and_torchs():
    anchor, positive, negative = torch.zeros(2, 2), torch.tensor([[3.0, 4], [0, 1]]), torch.tensor([[0.0, 2], [6, 8]])
    assert triplet_ranking_loss(anchor, positive, negative, 1.0).item() == pytest.approx(((1 - (2 - 5)) + 0) / 2)
    vectors = torch.randn(3, 40, 6)
    theirs = nn.TripletMarginLoss(margin=0.7, eps=0)(*vectors)
    assert triplet_ranking_loss(*vectors, 0.7).item() == pytest.approx(theirs.item(), abs=1e-5)


def test_a_triplet_loss_is_a_ranking_of_the_two_distances():
    anchor, positive, negative = torch.randn(3, 30, 5)
    far, near = euclidean_distance(anchor, negative), euclidean_distance(anchor, positive)
    theirs = nn.MarginRankingLoss(margin=1.0)(far, near, torch.ones(30))
    assert triplet_ranking_loss(anchor, positive, negative, 1.0).item() == pytest.approx(theirs.item(), abs=1e-6)


def test_equal_vectors_have_no_distance_and_a_finite_gradient():
    vectors = torch.ones(2, 3, requires_grad=True)
    distance = euclidean_distance(vectors, torch.ones(2, 3))
    pairwise_ranking_loss(distance, torch.tensor([1.0, 0.0]), 1.0).backward()
    assert distance.tolist() == [0, 0]
    assert torch.isfinite(vectors.grad).all()


@pytest.mark.parametrize("margin", [0, -1.0])
def test_a_margin_is_positive(margin):
    with pytest.raises(ValueError, match="must be above 0"):
        pairwise_ranking_loss(torch.zeros(1), torch.zeros(1), margin)
    with pytest.raises(ValueError, match="must be above 0"):
        triplet_ranking_loss(*torch.zeros(3, 1, 2), margin)


def test_a_score_is_shared_by_its_two_neighbours():
    found = score_distribution(torch.tensor([1.0, 3.6, 5.0]))
    assert found.tolist() == [[1, 0, 0, 0, 0], pytest.approx([0, 0, 0.4, 0.6, 0], abs=1e-6), [0, 0, 0, 0, 1]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(1, 5), min_size=1, max_size=20))
def test_the_target_distribution_has_the_score_as_its_mean(scores):
    y = torch.tensor(scores)
    target = score_distribution(y)
    assert target.sum(-1).tolist() == pytest.approx([1] * len(scores), abs=1e-5)
    assert (target @ torch.arange(1.0, 6.0)).tolist() == pytest.approx(y.tolist(), abs=1e-5)
    assert ((target > 0).sum(-1) <= 2).all()


@pytest.mark.parametrize("score", [0.9, 5.1, math.nan])
def test_a_score_off_the_scale_is_refused(score):
    with pytest.raises(ValueError, match="between 1 and 5"):
        score_distribution(torch.tensor([3.0, score]))


def test_the_kl_loss_is_torchs_and_is_least_at_the_target():
    logits, y = torch.randn(20, 5), torch.rand(20) * 4 + 1
    theirs = nn.functional.kl_div(logits.log_softmax(-1), score_distribution(y), reduction="batchmean")
    assert relatedness_kl_loss(logits, y).item() == pytest.approx(theirs.item(), abs=1e-6)
    perfect = score_distribution(y).clamp(min=1e-9).log()
    assert relatedness_kl_loss(perfect, y).item() == pytest.approx(0, abs=1e-5)
    assert expected_score(perfect).tolist() == pytest.approx(y.tolist(), abs=1e-4)


def test_the_squared_error_is_a_mean():
    assert similarity_mse_loss(torch.tensor([0.5, 1.0]), torch.tensor([0.0, 1.0])).item() == pytest.approx(0.125)


def test_entailment_is_learnt_from_labelled_pairs_alone():
    logits = torch.randn(4, 3, requires_grad=True)
    loss = entailment_loss(logits, torch.tensor([0, -100, 2, -100]))
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(logits[[0, 2]], torch.tensor([0, 2])).item())
    loss.backward()
    assert (logits.grad[[1, 3]] == 0).all()
    assert entailment_loss(logits, torch.full((4,), -100)).item() == 0


@pytest.mark.parametrize("power", [1, 2])
def test_gradients_pull_alike_pairs_together_and_push_others_apart(power):
    vectors = torch.tensor([[0.0, 0.0], [0.0, 0.0]], requires_grad=True)
    others = torch.tensor([[0.6, 0.0], [0.6, 0.0]])
    pairwise_ranking_loss(euclidean_distance(vectors, others), torch.tensor([1.0, 0.0]), 1.0, power=power).backward()
    assert vectors.grad[0, 0] < 0  # a step against the gradient goes to the other
    assert vectors.grad[1, 0] > 0
