import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data.batching import NO_LABEL, EncodedPairs, EncodedSentences, make_loader
from helpers.data.text import UNKNOWN, SentenceReader, Vocabulary, spellings

WORDS = ["a", "dog", "Paris", "NATO", "n't", "is", "t-shirt", "shaped"]
READER = SentenceReader(Vocabulary(WORDS))
ID = {word: i for i, word in enumerate(WORDS, start=2)}


def test_case_decides_which_spelling_is_found_first():
    assert spellings("Dog", "exact") == ("Dog",)
    assert spellings("dOg", "fallback") == ("dOg", "Dog", "DOG", "dog")
    assert spellings("dOg", "lower") == ("dog", "Dog", "DOG")
    with pytest.raises(ValueError, match="case 'upper' is not one of exact, fallback, lower"):
        SentenceReader(Vocabulary([]), "upper")


def test_words_are_found_in_another_case_where_that_is_allowed():
    sentence = "A DOG paris nato"
    assert READER.ids(sentence).tolist() == [ID["a"], ID["dog"], ID["Paris"], ID["NATO"]]
    exact = SentenceReader(READER.vocabulary, "exact")
    assert exact.ids(sentence).tolist() == [UNKNOWN] * 4
    assert exact.ids("a dog").tolist() == [ID["a"], ID["dog"]]


def test_of_several_spellings_the_first_in_the_order_of_the_case_is_taken():
    reader = {
        case: SentenceReader(Vocabulary(["dog", "DOG", "Dog", "cat", "CAT", "Cat", "dOg"]), case)
        for case in ("exact", "fallback", "lower")
    }
    words = {case: one.vocabulary.decode(one.ids("dOg cAT DOG")) for case, one in reader.items()}
    assert words == {
        "exact": ["dOg", "<unk>", "DOG"], "fallback": ["dOg", "Cat", "DOG"], "lower": ["dog", "cat", "dog"],
    }  # fmt: skip
    assert SentenceReader(Vocabulary(["cat", "CAT"])).ids("cAT").tolist() == [3]


def test_a_sentence_without_words_is_one_unknown_word_and_a_long_one_is_cut():
    assert READER.ids("?!").tolist() == [UNKNOWN]
    assert len(READER.ids("dog " * 600)) == 500


def test_hyphenated_words_are_opened_only_when_unknown():
    assert READER.ids("t-shirt").tolist() == [ID["t-shirt"]]
    assert READER.ids("dog-shaped").tolist() == [ID["dog"], ID["shaped"]]
    assert READER.ids("dog-x").tolist() == [ID["dog"], UNKNOWN]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_has_at_least_one_id_of_the_vocabulary(text):
    ids = READER.ids(text)
    assert len(ids) >= 1
    assert ((ids >= UNKNOWN) & (ids < len(READER.vocabulary))).all()


def test_a_batch_holds_first_sentences_then_second_ones():
    rows = EncodedPairs(["a dog", "dog"], ["dog", "is a dog"], READER, targets=[0.25, 1.0], labels=[2, 0])
    assert rows.lengths.tolist() == [2, 3]  # of the longer sentence
    assert rows.index.shape == (2, 2)
    assert len(rows.distinct) == 3  # "dog" is read once
    batch = rows.__getitems__([1, 0])
    assert batch.parts == 2
    assert batch.tokens.tolist() == [
        [ID["dog"], 0, 0], [ID["a"], ID["dog"], 0], [ID["is"], ID["a"], ID["dog"]], [ID["dog"], 0, 0],
    ]  # fmt: skip
    assert batch.lengths.tolist() == [1, 2, 3, 1]
    assert (batch.targets.tolist(), batch.labels.tolist(), batch.rows.tolist()) == ([1.0, 0.25], [0, 2], [1, 0])
    assert len(batch) == 2


def test_triplets_have_three_parts_and_what_is_not_given_is_empty():
    rows = EncodedSentences([["a"], ["dog"], ["a dog"]], READER)
    batch = rows.__getitems__([0])
    assert (batch.parts, batch.tokens.shape) == (3, (3, 2))
    assert batch.labels.tolist() == [NO_LABEL]
    assert torch.nn.functional.cross_entropy(torch.rand(1, 3), batch.labels, reduction="sum") == 0
    assert all(torch.equal(vars(batch)[name], tensor) for name, tensor in vars(batch.to(torch.device("cpu"))).items())
    assert all(tensor.is_meta for tensor in vars(batch.to("meta")).values())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.lists(st.sampled_from(WORDS), max_size=9)] * 2), min_size=1, max_size=25))
def test_every_pair_stands_in_exactly_one_batch_as_it_was_given(rows):
    first, second = ([" ".join(row[side]) for row in rows] for side in (0, 1))
    encoded = EncodedPairs(first, second, READER, targets=np.linspace(0, 1, len(rows)))
    seen = []
    for batch in make_loader(encoded, 4, generator=torch.Generator().manual_seed(0)):
        assert batch.tokens.shape[1] == batch.lengths.max()
        for place, row in enumerate(batch.rows.tolist()):
            for number, sentence in ((place, first[row]), (place + len(batch), second[row])):
                assert batch.tokens[number, : batch.lengths[number]].tolist() == READER.ids(sentence).tolist()
                assert (batch.tokens[number, batch.lengths[number] :] == 0).all()
            seen.append(row)
    assert sorted(seen) == list(range(len(rows)))


def test_bad_rows_are_named():
    with pytest.raises(TypeError, match="sentence 1 is NoneType"):
        EncodedPairs(["a", None], ["a", "b"], READER)
    with pytest.raises(ValueError, match="2 first sentences, but 1"):
        EncodedPairs(["a", "b"], ["c"], READER)
    with pytest.raises(ValueError, match="1 first sentences, but 2"):
        EncodedPairs(["a"], ["c"], READER, targets=[1, 2])
