"""What is measured about the preparation of titles: counts by hand on small cases."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.data.splits import Split
from helpers.data.text import STEPS
from helpers.lessons.preprocessing import (
    bag_of_words_hits,
    centroid_hits,
    course_agreement,
    difference_kinds,
    macro_recall,
    padding_share,
    share,
    step_table,
    title_means,
    without,
)

PARTS = Split(np.array([0, 1, 2, 3]), np.array([4, 5]), np.array([], dtype=int))


def test_step_table_counts_what_each_step_changes():
    table = step_table(["Mesa 40cm", "mesa  ratona", "TV"])
    assert list(table.index) == [name for name, _ in STEPS]
    assert table["changed"].tolist() == [2, 0, 1, 0, 0, 1, 1, 2]
    assert table.loc["lower_case", ["tokens", "distinct"]].tolist() == [5, 4]
    assert table.loc["split_alphanumerics", ["before", "after"]].tolist() == ["40cm", "40 cm"]
    assert table.loc["drop_short", ["tokens", "distinct", "before"]].tolist() == [3, 2, "cm"]
    assert table.loc["strip_tags", ["before", "after"]].tolist() == ["", ""]


def test_every_difference_from_the_course_has_one_reason():
    course = pd.DataFrame(
        [
            ("Mesa Para Patio", ["mesa", "patio"]),
            ("Mesa 140x78cm", ["mesa", "xcm"]),
            ("Bolso Hop®", ["bolso", "hop®"]),
            ("Bolso Hop® 140x78cm", ["bolso", "hop®", "xcm"]),
            ("Mesa", ["silla"]),
        ],
        columns=["title", "tokenized_title"],
    )
    agrees = course_agreement(course, {"para"})
    assert agrees.sum().to_dict() == {"literal": 0, "no_stop_words": 1, "unsplit": 2, "signs": 2, "unsplit_signs": 4}
    assert difference_kinds(agrees).tolist() == ["same", "split", "signs", "both", "other"]


def test_stop_words_go_and_the_order_stays():
    assert without([["mesa", "para", "sol"], ["para"]], {"para"}) == [["mesa", "sol"], []]


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=30))
def test_macro_recall_is_balanced_accuracy(rows):
    targets = np.array([target for target, _ in rows])
    hits = np.array([hit for _, hit in rows])
    predicted = np.where(hits, targets, (targets + 1) % 4)
    recalls = [np.mean(predicted[targets == target] == target) for target in np.unique(targets)]
    assert macro_recall(hits, targets) == pytest.approx(np.mean(recalls))


def test_bag_of_words_learns_from_training_rows_only():
    texts = ["mesa ratona", "mesa patio", "heladera frost", "heladera", "mesa nueva", "mesa ratona"]
    targets = np.array([0, 0, 1, 1, 0, 1])
    assert bag_of_words_hits(texts, targets, PARTS).tolist() == [True, False]


def test_titles_are_means_of_unit_vectors_and_the_nearest_centroid_wins():
    words, matrix = ["mesa", "heladera"], np.array([[2.0, 0.0], [0.0, 5.0]])
    titles = [["mesa"], ["mesa", "nunca"], ["heladera"], ["heladera"], ["mesa", "mesa", "heladera"], ["nunca"]]
    means = title_means(titles, words, matrix)
    np.testing.assert_allclose(means[4], np.array([2, 1]) / np.sqrt(5))
    np.testing.assert_allclose(means[[1, 2, 5]], [[1, 0], [0, 1], [0, 0]])
    assert centroid_hits(means, np.array([7, 7, 9, 9, 7, 9]), PARTS).tolist() == [True, False]


def test_share_counts_tokens_not_types():
    assert share([["a", "a", "b"], ["c"]], {"a"}.__contains__) == 0.5


@pytest.mark.parametrize(("strategy", "expected"), [("sorted", 0.0), ("equal", 0.0)])
def test_padding_of_batches_of_like_length(strategy, expected):
    padded, batches = padding_share(np.array([1, 3, 1, 3]), strategy, 2, seed=0)
    assert padded == expected
    assert sorted(batch.tolist() for batch in batches) == [[1, 1], [3, 3]]


def test_padding_counts_the_empty_cells():
    padded, batches = padding_share(np.array([1, 2, 3]), "random", 3, seed=0)
    assert padded == pytest.approx(3 / 9)
    assert len(batches) == 1
