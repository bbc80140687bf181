import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from helpers.model.metrics import best_threshold, binary_metrics, multiclass_metrics, paired_difference

labels = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1)


@given(labels)
def test_binary_metrics_equal_scikit_learn(pairs):
    targets, predictions = map(list, zip(*pairs, strict=True))
    got = binary_metrics(targets, predictions)
    assert got["accuracy"] == pytest.approx(reference.accuracy_score(targets, predictions))
    assert got["f1"] == pytest.approx(reference.f1_score(targets, predictions, zero_division=0))
    assert got["precision"] == pytest.approx(reference.precision_score(targets, predictions, zero_division=0))
    assert got["recall"] == pytest.approx(reference.recall_score(targets, predictions, zero_division=0))


def test_multiclass_metrics_by_hand():
    got = multiclass_metrics([0, 0, 0, 1, 2], [0, 0, 1, 1, 0])
    assert got == {"accuracy": pytest.approx(3 / 5), "balanced_accuracy": pytest.approx((2 / 3 + 1 + 0) / 3)}


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30))
def test_no_cut_is_better_than_the_best_threshold(pairs):
    targets, scores = map(np.array, zip(*pairs, strict=True))
    assume(targets.any())

    def f1(cut):
        return reference.f1_score(targets, scores >= cut, zero_division=0)

    assert f1(best_threshold(targets, scores)) == pytest.approx(max(f1(cut) for cut in scores))


def test_paired_difference_is_wider_than_the_plain_t_test():
    first, second = np.array([0.97, 0.98, 0.96, 0.99]), np.array([0.95, 0.97, 0.96, 0.96])
    got = paired_difference(first, second)
    plain = stats.ttest_rel(first, second)
    low, high = plain.confidence_interval()
    assert got["mean"] == pytest.approx((first - second).mean())
    assert got["low"] < low < high < got["high"]
    assert got["p"] > plain.pvalue


def test_paired_difference_without_a_test_side_is_the_plain_t_test():
    first, second = np.array([0.97, 0.98, 0.96, 0.99]), np.array([0.95, 0.97, 0.96, 0.96])
    got = paired_difference(first, second, test_share=0.0)
    plain = stats.ttest_rel(first, second)
    assert (got["low"], got["high"]) == pytest.approx(tuple(plain.confidence_interval()))
    assert got["p"] == pytest.approx(plain.pvalue)


def test_paired_difference_without_a_difference():
    assert paired_difference([0.5, 0.6], [0.5, 0.6])["p"] == 1


def test_one_split_is_no_comparison():
    with pytest.raises(ValueError, match="at least two splits"):
        paired_difference([0.5], [0.4])
