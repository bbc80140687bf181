import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.model.metrics import (
    Calibration,
    entailment_classifier,
    relatedness_metrics,
    similar_accuracy,
    similar_threshold,
    to_relatedness,
    to_similarity,
)
from helpers.model.siamese import symmetric_features

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.uniform(1, 5, 200)
NOISY = to_similarity(TRUTH) * 0.5 + 0.1 + RANDOM.normal(0, 0.05, 200)  # right order, wrong scale
LISTS = st.lists(st.tuples(st.floats(1, 5), st.floats(-2, 2, width=16)), min_size=2, max_size=40)


def test_the_scales_are_each_others_inverse():
    assert to_similarity(np.array([1, 3.5, 5])).tolist() == [0, 0.625, 1]
    assert to_relatedness(to_similarity(TRUTH)) == pytest.approx(TRUTH)


def test_metrics_are_scipys():
    found = relatedness_metrics(TRUTH, NOISY)
    assert found["pearson"] == pytest.approx(stats.pearsonr(TRUTH, NOISY)[0])
    assert found["spearman"] == pytest.approx(stats.spearmanr(TRUTH, NOISY)[0])
    assert relatedness_metrics([1, 5], [2, 2]) == {"pearson": 0, "spearman": 0, "mse": 5}


@pytest.mark.parametrize("kind", ["linear", "isotonic"])
def test_calibration_mends_the_scale_and_keeps_the_order(kind):
    fitted = Calibration.fit(NOISY, TRUTH, kind)
    error = ((fitted(NOISY) - TRUTH) ** 2).mean()
    assert error < 0.2 < ((to_relatedness(NOISY) - TRUTH) ** 2).mean()
    assert (np.diff(fitted(np.sort(NOISY))) >= 0).all()
    assert stats.spearmanr(fitted(NOISY), NOISY)[0] > 0.99


def test_a_linear_calibration_is_the_least_squares_line_cut_to_the_scale():
    similarity, relatedness = np.array([0.2, 0.4, 0.6]), np.array([2.0, 3.0, 4.0])
    fitted = Calibration.fit(similarity, relatedness, "linear")
    assert fitted([0.2, 0.5, 0.7]).tolist() == pytest.approx([2, 3.5, 4.5])
    assert fitted([-9, 9]).tolist() == [1, 5]


def test_without_calibration_the_scale_is_only_stretched_and_cut():
    assert Calibration.fit([], [], "none")([-1, 0, 0.625, 1, 2]).tolist() == [1, 1, 3.5, 5, 5]


@pytest.mark.parametrize("similarity", [[0.3] * 4, [0.4, 0.3, 0.2, 0.1]])
def test_nothing_learnt_is_answered_with_the_mean(similarity):
    fitted = Calibration.fit(similarity, [1.0, 2.0, 3.0, 4.0], "linear")
    assert fitted([0, 0.5]).tolist() == [2.5, 2.5]


@settings(max_examples=100, deadline=None)
@given(LISTS, st.sampled_from(["none", "linear", "isotonic"]))
def test_any_calibration_rises_stays_on_the_scale_and_survives_json(rows, kind):
    relatedness, similarity = np.array(rows).T
    fitted = Calibration.fit(similarity, relatedness, kind)
    said = fitted(np.linspace(-3, 3, 50))
    assert ((said >= 1) & (said <= 5)).all()
    assert (np.diff(said) >= -1e-9).all()
    back = Calibration(**{name: tuple(row) for name, row in json.loads(json.dumps(asdict(fitted))).items()})
    assert back == fitted


def test_an_unknown_calibration_is_refused():
    with pytest.raises(ValueError, match="'cubic' is not one of none, linear, isotonic"):
        Calibration.fit([0.1], [2.0], "cubic")


@settings(max_examples=100, deadline=None)
@given(LISTS)
def test_no_other_cut_gets_more_pairs_right(rows):
    relatedness, predictions = np.array(rows).T
    best = similar_accuracy(relatedness, predictions, similar_threshold(relatedness, predictions))
    others = [*predictions, predictions.max() + 1]
    assert best == pytest.approx(max(similar_accuracy(relatedness, predictions, cut) for cut in others))


def test_the_cut_lies_midway_and_three_and_a_half_is_similar():
    relatedness, predictions = [3.4, 3.5, 2, 5], [0.2, 0.4, 0.1, 0.9]
    assert similar_threshold(relatedness, predictions) == pytest.approx(0.3)
    assert similar_accuracy(relatedness, predictions, 0.3) == 1
    assert similar_accuracy(relatedness, predictions, 0.5) == 0.75


def test_entailment_is_predicted_from_symmetric_features():
    first = RANDOM.normal(size=(300, 4))
    second = first.copy()
    labels = np.arange(300) % 3
    second[labels == 1, 0] += 3
    second[labels == 2, 1] *= -1
    features = symmetric_features(first, second)
    assert np.array_equal(features, symmetric_features(second, first))
    assert features.shape == (300, 8)
    fitted = entailment_classifier(C=1.0).fit(features[:200], labels[:200])
    assert (fitted.predict(features[200:]) == labels[200:]).mean() > 0.8
