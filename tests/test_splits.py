import numpy as np
import pandas as pd
import pytest

from helpers.data.splits import deduplicate, fold_text, grouped_split, stratified_split


def test_deduplicate_keeps_the_first_and_the_attributes():
    frame = pd.DataFrame({"text": ["a", "b", "a"], "label": [0, 1, 0]})
    frame.attrs["sha256"] = "x"
    unique = deduplicate(frame, "text", "label")
    assert unique["text"].tolist() == ["a", "b"]
    assert unique.attrs == {"sha256": "x"}


def test_deduplicate_refuses_one_text_under_two_labels():
    frame = pd.DataFrame({"text": ["a", "hola", "hola"], "label": [0, 1, 0]})
    with pytest.raises(ValueError, match="'hola' stands under more than one label"):
        deduplicate(frame, "text", "label")


def test_folding_makes_near_duplicates_equal():
    texts = pd.Series(["Call 0871-234 NOW!!", "call 0999 777 now", "call 0999 77 now", "ñandú_1"])
    folded = fold_text(texts)
    assert folded[0] == "call 0 0 now" == folded[1] == folded[2]
    assert folded[3] == "ñandú 0"


def test_stratified_split_is_seeded_disjoint_and_keeps_the_shares():
    labels = np.array([1] * 20 + [0] * 80)
    first, again, other = (stratified_split(labels, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)
    assert sorted([*first.train, *first.test]) == list(range(100))
    assert labels[first.test].sum() == 4


def test_grouped_split_never_cuts_a_group():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 2, 300), rng.integers(0, 90, 300)
    split = grouped_split(labels, groups, seed=1)
    assert not set(groups[split.train]) & set(groups[split.test])
    assert sorted([*split.train, *split.test]) == list(range(300))
    assert 0.1 < len(split.test) / 300 < 0.3
