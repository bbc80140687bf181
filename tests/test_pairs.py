import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data.corpora import load_sick, load_sts
from helpers.data.splits import pair_key, pretraining_pairs, repeats, without_repeats
from helpers.data.text import normalize_sentence, tokenize_sentence

TEXTS = st.text(max_size=80)


def pairs(*rows, **columns):
    return pd.DataFrame([row[:2] for row in rows], columns=["sentence_a", "sentence_b"]).assign(**columns)


def sick(*test):
    frame = pairs(("A man sings", "A man is singing"), *test)
    return frame.assign(partition=["train"] + ["test"] * len(test))


def sts(*rows):
    return pairs(*rows, score=[row[2] for row in rows], source="made up")


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ("A man isn't singing", ["A", "man", "is", "n't", "singing"]),
        ("The man's T-shirt, which is grey.", ["The", "man", "'s", "T-shirt", "which", "is", "grey"]),
        ("They’ll pay $1,000.50 (12%)", ["They", "'ll", "pay", "1,000.50", "12"]),
        ("red,white and U.S.", ["red", "white", "and", "U", "S"]),
        ("can't won't", ["ca", "n't", "wo", "n't"]),
        ("I'd, I'm, we've, we'll, they're", ["I", "'d", "I", "'m", "we", "'ve", "we", "'ll", "they", "'re"]),
        ("  ?! ", []),
        ("", []),
    ],
)
def test_sentences_are_cut_as_the_vectors_vocabulary_was(sentence, tokens):
    assert tokenize_sentence(sentence) == tokens


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_any_text_is_cut_into_words_that_stand_in_it(text):
    for token in tokenize_sentence(text):
        assert token in unicodedata.normalize("NFC", text).replace("’", "'")
        assert any(sign.isalnum() for sign in token)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_normalising_twice_changes_nothing_more(text):
    once = normalize_sentence(text)
    assert normalize_sentence(once) == once
    assert set(once) <= set("abcdefghijklmnopqrstuvwxyz0123456789 ")
    assert "  " not in once
    assert once == once.strip()


def test_sentences_are_compared_as_lower_case_words_and_numbers():
    assert normalize_sentence("  A T-shirt, No. 12… isn't ") == "a t shirt no 12 isn t"
    assert pair_key("Two, men", "A dog!") == ("a dog", "two men")


@given(TEXTS, TEXTS)
def test_a_pair_has_no_order(first, second):
    assert pair_key(first, second) == pair_key(second, first)


def test_repeats_are_found_whatever_order_case_and_punctuation():
    reference = pairs(("A dog runs.", "A cat sleeps"), ("Two men", "Nobody"))
    frame = pairs(("a cat, sleeps", "A DOG RUNS"), ("A dog runs", "two men!"), ("A dog runs", "a bird"), ("x", "y"))
    found = repeats(frame, reference)
    assert found.pair.tolist() == [True, False, False, False]
    assert found.both.tolist() == [True, True, False, False]
    assert found.any.tolist() == [True, True, True, False]
    assert [mask.tolist() for mask in repeats(frame, reference.iloc[:0])] == [[False] * 4] * 3
    assert [len(mask) for mask in repeats(frame.iloc[:0], reference)] == [0] * 3


def test_the_first_of_equal_pairs_is_kept():
    frame = pairs(("a b", "c"), ("C", "A b."), ("a", "c"))
    assert without_repeats(frame).index.tolist() == [0, 2]


def test_pretraining_pairs_hold_nothing_of_the_test():
    judged = sick(("The dog is running", "A dog runs"), ("Two boys play", "Nobody is there"))
    kept = pretraining_pairs(
        sts(
            ("A dog runs.", "the dog is running", 5.0),  # the pair, the other way round
            ("A bird", "TWO BOYS PLAY!", 1.0),  # one sentence
            ("Fresh one", "Fresh two", 4.0),
            ("fresh two.", "Fresh one", 3.0),  # again
            ("Unscored", "Fresh", np.nan),
            ("A man sings", "A man is singing", 2.5),  # of the training partition: allowed
        ),
        judged,
    )
    assert kept["sentence_a"].tolist() == ["Fresh one", "A man sings"]
    assert kept["similarity"].tolist() == [0.8, 0.5]


def test_pairs_of_the_trial_partition_may_be_trained_on():
    whole = sick(("x", "y"), ("Fresh one", "Fresh two")).assign(partition=["train", "test", "trial"])
    assert pretraining_pairs(sts(("Fresh one", "other", 4.0)), whole)["sentence_a"].tolist() == ["Fresh one"]


def test_pretraining_pairs_hold_nothing_of_a_held_out_fold():
    held = pairs(("Fresh one", "whatever"))
    rows = sts(("Fresh one", "Fresh two", 4.0), ("Three", "Four", 1.0))
    assert pretraining_pairs(rows, sick(("x", "y")), held_out=held)["sentence_a"].tolist() == ["Three"]


WORDS = st.lists(st.sampled_from(["a", "A", "dog", "dog.", "runs", "isn't", "sits,"]), min_size=1, max_size=3)
SENTENCES = WORDS.map(" ".join)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=8), st.lists(st.tuples(SENTENCES, SENTENCES)))
def test_no_made_up_pair_leaks(rows, test):
    judged = sick(("z", "z"), *test)
    kept = pretraining_pairs(sts(*((*row, 2.0) for row in rows)), judged)
    forbidden = {normalize_sentence(s) for pair in test for s in pair}
    assert not forbidden & {normalize_sentence(s) for column in ("sentence_a", "sentence_b") for s in kept[column]}
    keys = [pair_key(*pair) for pair in zip(kept["sentence_a"], kept["sentence_b"], strict=True)]
    assert len(keys) == len(set(keys))


def test_the_sample_corpora_leak_and_the_filter_catches_it():
    whole, scored = load_sick(), load_sts()
    test = whole[whole["partition"] == "test"]
    assert repeats(scored, test).any.sum() > 0
    kept = pretraining_pairs(scored, whole)
    assert 0 < len(kept) < len(scored)
    assert not repeats(kept, test).any.any()
    assert kept["similarity"].between(0, 1).all()
    assert kept.attrs["sha256"] == scored.attrs["sha256"]


def test_a_frame_without_test_is_no_safeguard():
    with pytest.raises(ValueError, match="no row of partition test"):
        pretraining_pairs(sts(("a", "b", 1.0)), sick())
