import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data.batching import make_triplets
from helpers.data.text import normalize_sentence

PAIRS = [
    ("A dog runs", "The dog is running", 4.8, "ENTAILMENT"),
    ("A dog runs.", "A cat sleeps", 1.5, "NEUTRAL"),
    ("a dog runs", "No dog runs", 4.0, "CONTRADICTION"),
    ("Two men", "Two boys", 3.9, "NEUTRAL"),
]


def frame(rows=PAIRS):
    return pd.DataFrame(rows, columns=["sentence_a", "sentence_b", "relatedness", "entailment"])


def as_set(triplets):
    return {tuple(map(normalize_sentence, row)) for row in triplets[["anchor", "positive", "negative"]].to_numpy()}


def test_graded_triplets_share_a_sentence_and_keep_the_gap():
    found = make_triplets(frame(), seed=0, gap=1.0, unrelated=0)
    assert as_set(found) == {
        ("a dog runs", "the dog is running", "a cat sleeps"),
        ("a dog runs", "no dog runs", "a cat sleeps"),
    }
    assert set(found["kind"]) == {"graded"}
    assert len(make_triplets(frame(), seed=0, gap=0.5, unrelated=0)) == 3


def test_the_gap_is_a_least_one_and_by_default_a_whole_point():
    rows = [
        ("a", "b", 4.0, "NEUTRAL"),
        ("a", "c", 3.0, "NEUTRAL"),
        ("x", "y", 3.9, "NEUTRAL"),
        ("x", "z", 3.0, "NEUTRAL"),
    ]
    assert as_set(make_triplets(frame(rows), seed=0, unrelated=0)) == {("a", "b", "c")}
    assert as_set(make_triplets(frame(rows), seed=0, unrelated=0, gap=0.5)) == {("a", "b", "c"), ("x", "y", "z")}
    with pytest.raises(ValueError, match="no triplet"):
        make_triplets(frame(rows), seed=0, unrelated=0, gap=1.1)


def test_the_shared_sentence_may_stand_on_either_side_and_is_spelled_as_it_first_was():
    rows = [
        ("Red one", "Shared!", 5.0, "NEUTRAL"),
        ("shared", "Blue one", 1.0, "NEUTRAL"),
        ("SHARED", "shared", 3, "NEUTRAL"),
    ]
    found = make_triplets(frame(rows), seed=0, unrelated=0)
    assert found.to_numpy().tolist() == [["Shared!", "Red one", "Blue one", "graded"]]


def test_a_triplet_stands_once():
    rows = [("a", "b", 5.0, "NEUTRAL"), ("a", "c", 1.0, "NEUTRAL"), ("A", "C.", 1.5, "NEUTRAL")]
    assert len(make_triplets(frame(rows), seed=0, unrelated=0)) == 1


def test_pairs_rated_4_or_more_get_one_unrelated_sentence_in_each_direction():
    rows = [(f"left {i}", f"right {i}", 4.0 if i < 30 else 3.9, "NEUTRAL") for i in range(60)]
    found = make_triplets(frame(rows), seed=0)
    assert set(found["kind"]) == {"unrelated"}
    assert 50 < len(found) <= 60  # now and then the sentence drawn is one of the pair
    assert {int(name.split()[1]) for name in found["anchor"]} <= set(range(30))
    assert {name.split()[0] for name in found["anchor"]} == {"left", "right"}


def test_contradictions_count_as_negatives_only_if_wanted():
    found = make_triplets(frame(), seed=0, unrelated=0, contradictions=True)
    assert as_set(found[found["kind"] == "contradiction"]) == {("a dog runs", "the dog is running", "no dog runs")}
    assert "contradiction" not in set(make_triplets(frame(), seed=0)["kind"])


def test_unrelated_sentences_were_never_paired_with_either_side():
    rows = [*PAIRS, *((f"left {i}", f"right {i}", 4.5, "ENTAILMENT") for i in range(30))]
    found = make_triplets(frame(rows), seed=0, gap=9, unrelated=3)
    keys = {frozenset(map(normalize_sentence, row[:2])) for row in rows}
    assert set(found["kind"]) == {"unrelated"}
    for anchor, positive, negative in as_set(found):
        assert frozenset((anchor, positive)) in keys
        assert negative not in (anchor, positive)
        assert not {frozenset((anchor, negative)), frozenset((positive, negative))} & keys


def test_partners_of_either_side_are_never_its_unrelated_sentence():
    own = [(side, f"{side} {i}", 1.0, "NEUTRAL") for side in ("hub", "rim") for i in range(5)]
    rows = [("hub", "rim", 4.5, "NEUTRAL"), *own, ("far", "away", 1.0, "NEUTRAL")]
    found = make_triplets(frame(rows), seed=0, gap=9, unrelated=500)
    assert as_set(found) == {(*pair, name) for pair in (("hub", "rim"), ("rim", "hub")) for name in ("far", "away")}


def test_the_seed_decides():
    rows = [(f"left {i}", f"right {i}", 4.5, "ENTAILMENT") for i in range(30)]
    first, again, other = (make_triplets(frame(rows), seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from("abcdef")] * 2, st.integers(1, 5)), min_size=1, max_size=15))
def test_a_positive_is_rated_higher_than_its_negative(rows):
    pairs = frame([(*row, "NEUTRAL") for row in rows])
    try:
        found = make_triplets(pairs, seed=0, gap=1.0, unrelated=0)
    except ValueError:
        return
    ratings = {}
    for one, other, relatedness, _ in pairs.to_numpy():
        ratings.setdefault(frozenset((one, other)), []).append(relatedness)
    for anchor, positive, negative in as_set(found):
        assert len({anchor, positive, negative}) == 3
        gap = max(ratings[frozenset((anchor, positive))]) - min(ratings[frozenset((anchor, negative))])
        assert gap >= 1
    assert len(as_set(found)) == len(found)


def test_what_makes_no_triplet_is_refused():
    with pytest.raises(ValueError, match="1 pairs make no triplet"):
        make_triplets(frame(PAIRS[3:]), seed=0)
    with pytest.raises(ValueError, match="gap=0"):
        make_triplets(frame(), seed=0, gap=0)
