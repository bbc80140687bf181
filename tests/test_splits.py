import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from helpers.data.splits import Split, deduplicate, fold_text, grouped_split, stratified_split


def test_deduplicate_keeps_the_first_and_the_attributes():
    frame = pd.DataFrame({"text": ["a", "b", "a", "c"], "label": [0, 1, 0, 1], "row": range(4)})
    frame.attrs["sha256"] = "x"
    unique = deduplicate(frame, "text", "label")
    assert unique["text"].tolist() == ["a", "b", "c"]
    assert unique["row"].tolist() == [0, 1, 3]
    assert unique.index.tolist() == [0, 1, 2]
    assert unique.attrs == {"sha256": "x"}


def test_deduplicate_refuses_one_text_under_two_labels():
    frame = pd.DataFrame({"text": ["a", "hola", "hola"], "label": [0, 1, 0]})
    with pytest.raises(ValueError, match="'hola' has more than one label"):
        deduplicate(frame, "text", "label")


def test_folding_makes_near_duplicates_equal():
    texts = pd.Series(["Call 0871-234 NOW!!", "call 0999 777 now", "call 0999 77 now", "ñandú_1"])
    folded = fold_text(texts)
    assert folded[0] == "call 0 0 now" == folded[1] == folded[2]
    assert folded[3] == "ñandú 0"
    assert fold_text(pd.Series(["¡Hola, 12_34 a  b!"])).tolist() == ["hola 0 0 a b"]


def test_stratified_split_is_seeded_disjoint_and_keeps_the_shares():
    labels = np.array([1] * 20 + [0] * 80)
    first, again, other = (stratified_split(labels, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)
    assert sorted([*first.train, *first.test]) == list(range(100))
    assert labels[first.test].sum() == 4
    assert len(first.valid) == 0


@pytest.mark.parametrize("seed", [0, 7])
def test_splits_are_scikit_learns_in_rising_order(seed):
    rng = np.random.default_rng(1)
    labels, groups = rng.integers(0, 2, 200), rng.integers(0, 60, 200)
    train, test = train_test_split(np.arange(200), test_size=0.2, stratify=labels, random_state=seed)
    split = stratified_split(labels, seed=seed)
    assert (split.train.tolist(), split.test.tolist()) == (sorted(train), sorted(test))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    train, test = next(folds.split(labels, labels, groups))
    split = grouped_split(labels, groups, seed=seed)
    assert (split.train.tolist(), split.test.tolist()) == (sorted(train), sorted(test))
    assert len(split.valid) == 0


def test_a_split_gives_its_sides_of_a_frame():
    frame = pd.DataFrame({"x": list("abcdef")})
    frame.attrs["sha256"] = "x"
    split = Split(np.array([0, 5]), np.array([2]), np.array([1, 3]))
    sides = split.take(frame)
    assert [side["x"].tolist() for side in (sides.train, sides.valid, sides.test)] == [["a", "f"], ["c"], ["b", "d"]]
    assert sides.test.index.tolist() == [0, 1]
    assert sides.train.attrs == sides.test.attrs == {"sha256": "x"}
    joined = split.joined()
    assert [rows.tolist() for rows in (joined.train, joined.valid, joined.test)] == [[0, 2, 5], [], [1, 3]]


def test_grouped_split_never_cuts_a_group():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 2, 300), rng.integers(0, 90, 300)
    split = grouped_split(labels, groups, seed=1)
    assert not set(groups[split.train]) & set(groups[split.test])
    assert sorted([*split.train, *split.test]) == list(range(300))
    assert 0.1 < len(split.test) / 300 < 0.3
