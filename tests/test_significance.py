import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from helpers.model.metrics import bootstrap_interval, mcnemar, paired_bootstrap


def noisy(n, classes, right, seed):
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, n)
    return targets, np.where(random.random(n) < right, targets, random.integers(0, classes, n))


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize(
    ("name", "function"), [("accuracy", accuracy_score), ("balanced_accuracy", balanced_accuracy_score)]
)
def test_counted_metrics_are_those_of_scikit_learn_on_the_same_resamples(name, function):
    targets, predictions = noisy(60, 12, 0.7, seed=1)
    quick = bootstrap_interval(name, targets, predictions, samples=50, seed=3)
    assert quick == pytest.approx(bootstrap_interval(function, targets, predictions, samples=50, seed=3))


def test_an_interval_is_as_wide_as_theory_says_and_holds_the_metric():
    targets, predictions = noisy(2000, 2, 0.6, seed=2)
    accuracy = (targets == predictions).mean()
    low, high = bootstrap_interval("accuracy", targets, predictions, samples=2000, seed=0)
    half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / 2000)
    assert low == pytest.approx(accuracy - half, abs=0.004)
    assert high == pytest.approx(accuracy + half, abs=0.004)
    narrow = bootstrap_interval("accuracy", targets, predictions, samples=2000, seed=0, confidence=0.5)
    assert low < narrow[0] < accuracy < narrow[1] < high


def test_the_seed_decides():
    targets, predictions = noisy(100, 5, 0.5, seed=4)
    first, again, other = (bootstrap_interval("accuracy", targets, predictions, seed=s, samples=30) for s in (1, 1, 2))
    assert first == again != other


def test_labels_may_be_names_and_hundreds_of_classes_are_no_trouble():
    targets, predictions = noisy(5000, 632, 0.9, seed=5)
    named = [f"c{i}" for i in targets], [f"c{i}" for i in predictions]
    interval = bootstrap_interval("balanced_accuracy", *named, samples=20, seed=0)
    plain = bootstrap_interval("balanced_accuracy", targets, predictions, samples=20, seed=0)
    assert interval == pytest.approx(plain)
    assert interval[0] < balanced_accuracy_score(targets, predictions) < interval[1]


def test_any_function_of_targets_and_predictions_can_be_resampled():
    random = np.random.default_rng(0)
    targets = random.normal(size=300)
    predictions = targets + random.normal(size=300)
    low, high = bootstrap_interval(lambda t, p: stats.pearsonr(t, p)[0], targets, predictions, samples=200, seed=0)
    assert low < stats.pearsonr(targets, predictions)[0] < high
    assert 0.5 < low < high < 0.9


def test_a_paired_difference_is_surer_than_two_intervals():
    targets, good = noisy(400, 2, 0.8, seed=6)
    better = np.where(np.arange(400) < 20, targets, good)  # right wherever `good` is, and in a few more rows
    paired = paired_bootstrap("accuracy", targets, better, good, samples=400, seed=1)
    assert paired["difference"] == pytest.approx((better == targets).mean() - (good == targets).mean())
    assert 0 <= paired["low"] < paired["difference"] < paired["high"]
    alone = bootstrap_interval("accuracy", targets, good, samples=400, seed=1)
    assert paired["high"] - paired["low"] < alone[1] - alone[0]


def test_equal_predictions_differ_by_nothing():
    targets, predictions = noisy(50, 3, 0.5, seed=7)
    paired = paired_bootstrap("balanced_accuracy", targets, predictions, predictions, samples=20, seed=0)
    assert paired == {"difference": 0, "low": 0, "high": 0}


def test_mcnemar_against_the_hand_count():
    targets = np.zeros(12, int)
    first = np.array([0] * 9 + [1] * 3)  # right in rows 0 to 8
    second = np.array([0] * 2 + [1] * 7 + [0] + [1] * 2)  # right in rows 0, 1 and 9
    found = mcnemar(targets, first, second)
    assert (found["only_first"], found["only_second"]) == (7, 1)
    assert found["p"] == pytest.approx(2 * (1 + 8) / 2**8)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=40))
def test_mcnemar_is_symmetric_and_its_p_a_probability(rows):
    targets, first, second = np.array(rows).T
    one, other = mcnemar(targets, first, second), mcnemar(targets, second, first)
    assert one["p"] == pytest.approx(other["p"])
    assert 0 <= one["p"] <= 1 + 1e-12
    assert one["only_first"] == other["only_second"]
    difference = (first == targets).sum() - (second == targets).sum()
    assert one["only_first"] - one["only_second"] == difference


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="'f2' is not one of accuracy, balanced_accuracy"):
        bootstrap_interval("f2", [1], [1], seed=0)
    with pytest.raises(ValueError, match="3 targets but 2 predictions"):
        mcnemar([1, 2, 3], [1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="no rows"):
        bootstrap_interval("accuracy", [], [], seed=0)
    with pytest.raises(ValueError, match="confidence=95"):
        bootstrap_interval("accuracy", [1], [1], seed=0, confidence=95)
    with pytest.raises(ValueError, match="samples=0"):
        bootstrap_interval("accuracy", [1], [1], seed=0, samples=0)
