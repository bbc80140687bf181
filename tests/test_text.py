"""Tokenizers, their one Unicode form, and the vocabularies."""

import subprocess
import sys
import unicodedata

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpers.data.batching import EncodedTexts, SubwordTitles, WordTitles
from helpers.data.splits import fold_text
from helpers.data.text import (
    PADDING,
    UNKNOWN,
    FeatureVocabulary,
    SentenceReader,
    Vocabulary,
    clean_tokens,
    features,
    normalize_sentence,
    shape,
    title_tokens,
    token_pairs,
    token_parts,
    tokenize,
    tokenize_sentence,
    trace,
    word_form,
)

ACCENTED = "Ñandú, pingüino: ¡Él está aquí! Ǿrsted Å İstanbul 90°"
TOKENIZERS = {
    "words": tokenize,
    "space": lambda text: tokenize(text, "space"),
    "chars": lambda text: tokenize(text, "chars"),
    "clean": clean_tokens,
    "steps": trace,
    "title": title_tokens,
    "sentence": tokenize_sentence,
    "compared": normalize_sentence,
}


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.text(max_size=40) | st.text("aeEnÑ´1 '-’\u0301\u0303\u0308\u1f7bé<>", max_size=20))
@example(text=ACCENTED)
def test_tokens_do_not_depend_on_the_unicode_form(name, text):
    composed, decomposed = (TOKENIZERS[name](unicodedata.normalize(form, text)) for form in ("NFC", "NFD"))
    assert TOKENIZERS[name](text) == composed == decomposed


def test_a_decomposed_accent_stays_in_its_word():
    text = unicodedata.normalize("NFD", "Niño ÉL 12")
    assert tokenize(text) == ["niño", "él"]
    assert tokenize(text, "space") == ["Niño", "ÉL", "12"]
    assert tokenize(text, "chars")[:5] == ["N", "i", "ñ", "o", " "]
    assert clean_tokens(text) == ["niño"]
    assert title_tokens(text) == ["niño", "él", "12"]
    assert tokenize_sentence(text) == ["Niño", "ÉL", "12"]
    assert normalize_sentence(text) == "ni o l 12"


def test_ids_do_not_depend_on_the_unicode_form():
    composed, decomposed = (unicodedata.normalize(form, "Ñandú Él") for form in ("NFC", "NFD"))
    vocabulary = Vocabulary(["ñandú", "él", "Ñandú"])
    words, parts = WordTitles(vocabulary), SubwordTitles.build([composed], min_count=1)
    for text in (composed, decomposed):
        assert SentenceReader(vocabulary).ids(text).tolist() == [4, 3]
        assert words.encode([text]).tokens[0].tolist() == [2]
        assert parts.encode([text]).tokens[0].tolist() == [
            parts.pairs.index(pair) + 1 for pair in ("<s> ñandú", "ñandú él")
        ]
        assert EncodedTexts([text], None, vocabulary).tokens[0].tolist() == [2, 3]
        assert fold_text(pd.Series([text])).tolist() == ["ñandú él"]


@given(st.text(), st.sampled_from(["words", "space", "chars"]))
def test_every_text_has_at_least_one_token_and_none_is_empty(text, scheme):
    tokens = tokenize(text, scheme)
    assert tokens
    assert all(tokens)


@given(st.text())
def test_space_tokens_lose_nothing_but_white_space(text):
    text = unicodedata.normalize("NFC", text)
    assert tokenize(text, "space") == (text.split() or ["<vacío>"])


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
    assert Vocabulary.build(texts).tokens[2:] == ["a", "b", "c"]
    assert Vocabulary.build(texts, min_count=3).tokens[2:] == []
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


def test_features_are_the_token_its_form_shape_length_and_n_grams_of_two_to_five():
    assert features("Ab1") == [
        "t:Ab1", "w:ab0", "s:Xx9", "l:X3",
        "=<A", "=Ab", "=b1", "=1>", "=<Ab", "=Ab1", "=b1>", "=<Ab1", "=Ab1>", "=<Ab1>",
        "~<a", "~ab", "~b0", "~0>", "~<ab", "~ab0", "~b0>", "~<ab0", "~ab0>", "~<ab0>",
    ]  # fmt: skip
    assert features("aa")[4:] == ["=<a", "=aa", "=a>", "=<aa", "=aa>", "=<aa>"]
    assert max(len(name) for name in features("abcdefgh")[4:]) == len("=") + 5
    long = features("x" * 50)
    assert {"s:xxxxxxxx", "l:x15"} <= set(long)
    assert "l:x14" in features("x" * 14)


def test_only_the_first_40_characters_of_a_token_have_features():
    assert FeatureVocabulary.of("a" * 39 + "bc") == features("a" * 39 + "b")


def test_parts_of_a_titles_token_are_those_of_its_first_30_characters():
    token = "".join(chr(ord("a") + i % 26) for i in range(40))
    assert token_parts(token, (2, 3)) == [f"={token}", *token_parts(token[:30], (2, 3))[1:]]
    assert "cd>" in token_parts(token, (2, 3))


def test_pairs_begin_with_the_start_of_the_title():
    assert token_pairs(["funda", "samsung", "j7"]) == ["<s> funda", "funda samsung", "samsung j7"]


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


def test_feature_ids_count_from_one_in_alphabetical_order_of_what_two_texts_hold():
    vocabulary = FeatureVocabulary.build([["ab", "ab"], ["ab"], ["b"]])
    assert vocabulary.names == sorted(features("ab"))
    assert vocabulary.encode("ab").tolist() == [vocabulary.names.index(name) + 1 for name in features("ab")]
    assert len(vocabulary) == len(features("ab")) + 1
    assert FeatureVocabulary.build([["ab"], ["ab"]], min_count=3).names == []


def test_reading_texts_loads_no_heavy_library():
    code = (
        "import sys, helpers.data, helpers.data.text, helpers.data.splits, helpers.data.corpora, helpers.data.vectors;"
        "heavy = {'torch', 'pandas', 'gensim', 'sklearn', 'scipy', 'nltk', 'mlflow'} & set(sys.modules); print(*heavy);"
        "helpers.data.Batch; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "True"]


def test_the_package_names_what_it_offers_and_nothing_else():
    import helpers.data

    assert {"Vocabulary", "load_sms", "make_loader", "read_vectors"} <= set(dir(helpers.data))
    for name in helpers.data.__all__:
        assert getattr(helpers.data, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'load_imdb'"):
        helpers.data.load_imdb  # noqa: B018
