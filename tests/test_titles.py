import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data.batching import SubwordTitles, WordTitles, from_description
from helpers.data.text import MAX_TOKENS, UNKNOWN, Vocabulary, title_tokens, token_parts

TITLES = ["Funda Samsung J7", "funda iphone 7", "Zapatilla Nike negra", "zapatilla samsung j7"]


def test_tokens_are_lower_case_and_keep_digits():
    assert title_tokens("Funda J7+ Ñandú!") == ["funda", "j7", "ñandú"]
    assert title_tokens("😀 !!") == title_tokens("") == ["<vacío>"]
    assert len(title_tokens("a " * 10_000)) == MAX_TOKENS


def test_parts_are_the_token_and_its_distinct_ngrams_with_borders():
    assert token_parts("aa", (2, 3)) == ["=aa", "<a", "aa", "a>", "<aa", "aa>"]
    assert len(token_parts("x" * 10_000, (2, 5))) < 20


def test_parts_and_pairs_below_the_count_are_not_known():
    reader = SubwordTitles.build(TITLES, min_count=2)
    assert "=funda" in reader.parts
    assert "=iphone" not in reader.parts
    assert reader.pairs == ["<s> funda", "<s> zapatilla", "samsung j7"]
    assert SubwordTitles.build(TITLES, min_count=2, pairs=False).pairs == []


def test_by_default_n_grams_of_two_to_five_that_two_titles_hold_are_kept():
    reader = SubwordTitles.build(["funda", "funda", "otra"])
    assert reader.parts == sorted(token_parts("funda", (2, 5)))
    assert reader.ngrams == SubwordTitles([], []).ngrams == (2, 5)
    assert SubwordTitles.build(["funda", "funda"], min_count=3).parts == []


def test_ids_count_from_one_and_0_is_a_pair_not_seen_often_enough():
    reader = SubwordTitles(["=funda", "fun"], ["<s> funda", "funda roja"])
    data = reader.encode(["funda roja", "roja funda"])
    assert [data.tokens[i].tolist() for i in (0, 1)] == [[1, 2], [0, 0]]
    assert [data.types[i].tolist() for i in (0, 1)] == [[1, 2], [2, 1]]
    assert [data.type_features[i].tolist() for i in range(3)] == [[], [1, 2], []]  # 0 is padding


def test_titles_may_come_as_their_tokens():
    tokens = [title_tokens(title) for title in TITLES]
    reader = SubwordTitles.build(TITLES, min_count=1)
    assert SubwordTitles.build(tokens, min_count=1).description() == reader.description()
    raw, cut = reader.encode(TITLES), reader.encode(tokens)
    assert raw.tokens.values.tolist() == cut.tokens.values.tolist()
    assert raw.type_features.values.tolist() == cut.type_features.values.tolist()


def test_a_title_counts_once_however_often_it_repeats_a_word():
    reader = SubwordTitles.build(["oso oso oso", "pez"], min_count=2)
    assert reader.parts == reader.pairs == []


def test_pairs_are_the_tokens_and_parts_the_features_of_a_batch():
    reader = SubwordTitles.build(TITLES, min_count=2)
    data = reader.encode(["funda samsung j7", "pez"], np.array([4, 5]))
    batch = data.__getitems__([0, 1])
    assert [reader.pairs[i - 1] for i in batch.tokens[0] if i] == ["<s> funda", "samsung j7"]
    assert batch.lengths.tolist() == [3, 1]
    assert batch.targets.tolist() == [4, 5]
    ends = [*batch.features.offsets.tolist()[1:], len(batch.features.ids)]
    spans = [batch.features.ids[a:b].tolist() for a, b in zip(batch.features.offsets.tolist(), ends, strict=True)]
    first = spans[batch.features.index[0, 0]]
    assert {reader.parts[i - 1] for i in first} == set(token_parts("funda", (2, 5)))
    assert spans[batch.features.index[1, 1]] == []  # padding has no features


def test_words_skip_stop_words_and_an_empty_title_is_one_unknown_token():
    reader = WordTitles(Vocabulary(["funda", "samsung"]), {"para"})
    data = reader.encode(["Funda para Samsung", "para", "", "funda rarísima"])
    assert [data.tokens[i].tolist() for i in range(4)] == [[2, 3], [UNKNOWN], [UNKNOWN], [2, UNKNOWN]]
    assert reader.encode(["funda " * 100]).lengths.tolist() == [MAX_TOKENS] == [60]


@pytest.mark.parametrize(
    "reader", [SubwordTitles.build(TITLES, ngrams=(3, 4)), WordTitles(Vocabulary(["funda"]), {"samsung"})]
)
def test_a_description_gives_the_same_reader_back(reader):
    again = from_description(reader.description())
    assert again.description() == reader.description()
    for title in ("funda de samsung j7", "de", ""):
        first, second = (r.encode([title]).__getitems__([0]) for r in (reader, again))
        assert first.tokens.tolist() == second.tokens.tolist()
        assert (first.features is None) == (second.features is None)
        if first.features:
            assert first.features.ids.tolist() == second.features.ids.tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=5))
def test_any_text_can_be_encoded(titles):
    data = SubwordTitles.build(TITLES, min_count=1).encode(titles)
    assert (data.lengths >= 1).all()
    batch = data.__getitems__(range(len(titles)))
    assert batch.features.index.shape == batch.tokens.shape
