import numpy as np
import pandas as pd
import pytest

from helpers.lessons.meli import accuracy_by, by_category, confused_pairs, unknown_share, word_effects

FRAME = pd.DataFrame({"category": list("AAAABBBCC"), "predicted": list("AABBBBACC")})


def test_worst_category_first_with_its_usual_mistake():
    table = by_category(FRAME)
    assert table.index.tolist() == ["A", "B", "C"]
    assert table["recall"].tolist() == pytest.approx([0.5, 2 / 3, 1])
    assert table["titles"].tolist() == [4, 3, 2]
    assert table["mostly"].tolist()[:2] == ["B", "A"]
    assert pd.isna(table["mostly"]["C"])


def test_a_confused_pair_adds_both_directions():
    (row,) = confused_pairs(FRAME).to_dict("records")
    assert (row["first"], row["second"]) == ("A", "B")
    assert (row["first_as_second"], row["second_as_first"], row["errors"]) == (2, 1, 3)
    assert row["share"] == pytest.approx(3 / 7)


def test_accuracy_in_bins_counts_every_title_once():
    right = pd.DataFrame({"m": [True, False, True, True]})
    table = accuracy_by(right, pd.Series([1, 1, 2, 9]), [0, 2, 4])
    assert table["m"].tolist() == pytest.approx([0.5, 1, 1])
    assert table["titles"].tolist() == [2, 1, 1]


def test_the_word_that_decides_has_the_largest_effect():
    def predict_proba(titles):
        p = np.array([0.9 if "funda" in title else 0.2 for title in titles])
        return np.stack([1 - p, p], 1)

    effects = word_effects(predict_proba, "funda roja", 1)
    assert effects.index.tolist() == ["funda", "roja"]
    assert effects["funda"] == pytest.approx(np.log(9) - np.log(0.25))
    assert effects["roja"] == 0


def test_unknown_words_are_those_of_no_title_in_training():
    words = pd.Series([["a", "b"], ["a", "c"], ["a", "d"], ["c", "d", "e", "a"]])
    shares = unknown_share(words, [(np.array([2, 3]), np.array([0, 1])), (np.array([0, 1]), np.array([2, 3]))])
    assert shares.tolist() == pytest.approx([0.5, 0, 0.5, 0.5])
