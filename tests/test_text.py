import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.data.text import PADDING, UNKNOWN, FeatureVocabulary, Vocabulary, features, shape, tokenize, word_form


@given(st.text(), st.sampled_from(["words", "space", "chars"]))
def test_every_text_has_at_least_one_token_and_none_is_empty(text, scheme):
    tokens = tokenize(text, scheme)
    assert tokens
    assert all(tokens)


@given(st.text())
def test_space_tokens_lose_nothing_but_white_space(text):
    kept = "".join(tokenize(text, "space"))
    assert kept == "".join(text.split()) or not "".join(text.split())


def test_schemes_keep_what_they_promise():
    text = "WIN £1000 now, don't wait!"
    assert tokenize(text, "words") == ["win", "now", "don't", "wait"]
    assert tokenize(text, "space") == ["WIN", "£1000", "now,", "don't", "wait!"]
    assert "".join(tokenize(text, "chars")) == text


def test_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="'bytes' is not one of words, space, chars"):
        tokenize("hola", "bytes")


def test_vocabulary_ranks_by_frequency_and_knows_what_it_does_not_know():
    vocabulary = Vocabulary.build([["b", "a", "a"], ["a", "c"]])
    assert vocabulary.tokens == ["<pad>", "<unk>", "a", "b", "c"]
    assert vocabulary.encode(["a", "zzz", "c"]).tolist() == [2, UNKNOWN, 4]
    assert vocabulary.decode([2, PADDING]) == ["a", "<pad>"]


def test_vocabulary_limits():
    texts = [["a", "a", "b", "b", "c"]]
    assert Vocabulary.build(texts, min_count=2).tokens[2:] == ["a", "b"]
    assert Vocabulary.build(texts, max_size=1).tokens[2:] == ["a"]
    assert Vocabulary.build(texts, min_count=2, extra=["b", "z"]).tokens[2:] == ["a", "b", "z"]


def test_vocabulary_refuses_a_token_twice():
    with pytest.raises(ValueError, match="twice"):
        Vocabulary(["a", "a"])


@given(st.lists(st.text(min_size=1), unique=True).filter(lambda words: not {"<pad>", "<unk>"} & set(words)))
def test_encoding_and_decoding_known_words_is_the_identity(words):
    vocabulary = Vocabulary(words)
    assert vocabulary.decode(vocabulary.encode(words)) == words


def test_shape_and_word_form():
    assert [shape(token) for token in ("Free", "XXX", "08712", "£", "ñandú", "ÁRBOL")] == [
        "Xxxx", "XXX", "99999", "£", "xxxxx", "XXXXX",
    ]  # fmt: skip
    assert [word_form(token) for token in ("FREE", "08712", "£")] == ["free", "00000", "£"]


def test_numbers_share_prefix_length_and_form_but_not_their_last_digits():
    first, second = set(features("08712300220")), set(features("08719899217"))
    shared = first & second
    assert {"=<0871", "l:911", "w:00000000000", "~000>"} <= shared
    assert "t:08712300220" not in shared
    assert "=220>" not in shared


def test_case_changes_some_features_and_keeps_others():
    upper, lower = set(features("FREE")), set(features("free"))
    assert {"w:free"} <= upper & lower
    assert {"=<FRE", "~<free"} <= upper
    assert "=<free" in lower
    assert not any(name.startswith("~") for name in lower)  # nothing to say twice


TEXTS = [["free", "100"], ["FREE"], ["freed"]]


@given(st.text(min_size=1, max_size=200))
def test_known_features_have_ids_inside_the_table(token):
    vocabulary = FeatureVocabulary.build(TEXTS, min_count=1)
    ids = vocabulary.encode(token)
    assert all(PADDING < i < len(vocabulary) for i in ids)
    assert [vocabulary.names[i - 1] for i in ids] == [name for name in features(token[:40]) if name in vocabulary.index]


def test_features_of_too_few_texts_are_left_out():
    vocabulary = FeatureVocabulary.build([["free", "free"], ["FREE"], ["ver"]], min_count=2)
    assert "w:free" in vocabulary.index
    assert "t:free" not in vocabulary.index  # twice, but in one text
    assert vocabulary.encode("ver").tolist() == []


def test_feature_ids_do_not_depend_on_the_order_of_the_texts():
    assert FeatureVocabulary.build(TEXTS).names == FeatureVocabulary.build(TEXTS[::-1]).names
