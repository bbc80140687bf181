import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from helpers.data.batching import EncodedTexts, LengthBatches, PadSequences, Ragged, make_loader
from helpers.data.text import PADDING, FeatureVocabulary, Vocabulary, tokenize, word_form

TEXTS = ["uno dos tres", "dos", "cuatro cinco", "uno uno uno uno", "seis"]
sequences = st.lists(st.lists(st.integers(1, 99), max_size=9).map(lambda s: np.array(s, dtype=np.int64)), min_size=1)


@given(sequences, st.data())
def test_ragged_gives_back_what_went_in(lists, data):
    ragged = Ragged(lists)
    rows = np.array(data.draw(st.lists(st.integers(0, len(lists) - 1), min_size=1)))
    values, begins = ragged.take(rows)
    padded = ragged.pad(rows)
    for position, row in enumerate(rows):
        length = len(lists[row])
        assert values[begins[position] : begins[position] + length].tolist() == lists[row].tolist()
        assert ragged[row].tolist() == lists[row].tolist()
        assert padded[position, :length].tolist() == lists[row].tolist()
        assert (padded[position, length:] == PADDING).all()


@given(st.lists(st.lists(st.integers(1, 9), max_size=8), min_size=1), st.integers(1, 5), st.integers(0, 5))
def test_pad_sequences(lists, min_length, extra):
    collate = PadSequences(min_length, min_length + extra, pad_value=0)
    tokens, lengths, targets = collate([(sequence, i) for i, sequence in enumerate(lists)])
    assert min_length <= tokens.size(1) <= min_length + extra
    for i, sequence in enumerate(lists):
        kept = sequence[: min_length + extra]
        assert tokens[i].tolist() == kept + [0] * (tokens.size(1) - len(kept))
        assert lengths[i] == max(1, len(kept))
    assert targets.tolist() == list(range(len(lists)))


def test_pad_sequences_is_a_collate_fn():
    data = [([1, 2, 3], 0), ([4], 1), ([5, 6], 0)]
    tokens, lengths, targets = next(iter(DataLoader(data, batch_size=3, collate_fn=PadSequences())))
    assert tokens.tolist() == [[1, 2, 3], [4, 0, 0], [5, 6, 0]]
    assert (lengths.tolist(), targets.tolist()) == ([3, 1, 2], [0, 1, 0])


def test_padding_takes_the_value_that_is_asked_for():
    ragged = Ragged([np.array([5]), np.array([6, 7])])
    assert ragged.pad(np.array([1, 0])).tolist() == [[6, 7], [5, 0]]
    assert ragged.pad(np.array([1, 0]), value=9).tolist() == [[6, 7], [5, 9]]
    tokens, lengths, _ = PadSequences(min_length=4, max_length=5, pad_value=9)([([1] * 9, 0), ([], 0), ([2, 3], 1)])
    assert tokens.tolist() == [[1] * 5, [9] * 5, [2, 3, 9, 9, 9]]
    assert lengths.tolist() == [5, 1, 2]
    assert PadSequences(min_length=3, pad_value=9)([([1], 0)])[0].tolist() == [[1, 9, 9]]


def test_pad_sequences_refuses_contradictory_lengths():
    with pytest.raises(ValueError, match="min_length=5, max_length=2"):
        PadSequences(5, 2)


lengths_strategy = st.lists(st.integers(1, 30), min_size=1, max_size=80)


@given(lengths_strategy, st.integers(1, 20), st.sampled_from(["random", "sorted", "equal"]), st.booleans())
def test_batches_hold_every_row_once_and_len_counts_them(lengths, batch_size, strategy, shuffled):
    generator = torch.Generator().manual_seed(0) if shuffled else None
    sampler = LengthBatches(lengths, batch_size, strategy, generator)
    batches = list(sampler)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert len(batches) == len(sampler)
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    if strategy == "equal":
        assert all(len({lengths[row] for row in batch}) == 1 for batch in batches)
    if strategy == "sorted" and not shuffled:
        assert [lengths[row] for batch in batches for row in batch] == sorted(lengths)


def test_without_a_generator_rows_keep_their_order_within_a_length():
    lengths = [3, 1, 2, 1, 3, 1]
    batches = {strategy: list(LengthBatches(lengths, 2, strategy)) for strategy in ("random", "sorted", "equal")}
    assert batches["random"] == [[0, 1], [2, 3], [4, 5]]
    assert batches["sorted"] == [[1, 3], [5, 2], [0, 4]]
    assert batches["equal"] == [[1, 3], [5], [2], [0, 4]]


@pytest.mark.parametrize("strategy", ["random", "sorted", "equal"])
def test_rows_then_batches_are_shuffled_by_the_generator(strategy):
    lengths = [1 + i * i % 7 for i in range(200)]
    generator = torch.Generator().manual_seed(5)
    rows = torch.randperm(200, generator=generator).tolist()
    if strategy != "random":
        rows = sorted(rows, key=lengths.__getitem__)  # keeps the drawn order within a length
    groups = [rows] if strategy != "equal" else [[r for r in rows if lengths[r] == n] for n in sorted(set(lengths))]
    batches = [group[i : i + 8] for group in groups for i in range(0, len(group), 8)]
    expected = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
    assert list(LengthBatches(lengths, 8, strategy, torch.Generator().manual_seed(5))) == expected


def test_shuffling_differs_between_epochs_and_repeats_with_the_seed():
    def two_epochs():
        sampler = LengthBatches(range(1, 60), 4, "random", torch.Generator().manual_seed(3))
        return list(sampler), list(sampler)

    first, second = two_epochs()
    assert first != second
    assert two_epochs() == (first, second)


@pytest.mark.parametrize("kwargs", [{"strategy": "longest"}, {"batch_size": 0}])
def test_sampler_refuses_nonsense(kwargs):
    with pytest.raises(ValueError, match=str(next(iter(kwargs.values())))):
        LengthBatches([1, 2], **({"batch_size": 2} | kwargs))


def test_a_batch_holds_ids_lengths_targets_and_rows():
    vocabulary = Vocabulary.build(map(tokenize, TEXTS[:3]))
    data = EncodedTexts(TEXTS, [0, 1, 0, 1, 0], vocabulary)
    batch = data.__getitems__([3, 0])
    assert batch.tokens.tolist() == [[3, 3, 3, 3], [3, 2, 4, 0]]
    assert (batch.lengths.tolist(), batch.targets.tolist(), batch.rows.tolist()) == ([4, 3], [1, 0], [3, 0])
    assert batch.features is None


def test_a_batch_moves_whole():
    features = FeatureVocabulary.build([["uno"], ["uno", "dos"]], min_count=1)
    for known in (None, features):
        batch = EncodedTexts(TEXTS, None, Vocabulary(["uno"]), features=known).__getitems__([0, 1])
        moved = batch.to("meta")
        assert (moved.features is None) == (known is None)
        parts = [part for part in (moved, moved.features) if part is not None]
        tensors = [tensor for part in parts for tensor in vars(part).values() if isinstance(tensor, torch.Tensor)]
        assert len(tensors) == (4 if known is None else 7)
        assert all(tensor.is_meta for tensor in tensors)
        assert not batch.tokens.is_meta


def test_longer_texts_are_cut_and_words_with_features_are_looked_up_by_form():
    features = FeatureVocabulary.build([["UNO", "12"]], min_count=1)
    vocabulary = Vocabulary(["uno", "00"])
    data = EncodedTexts(["Uno 34 uno", "34"], None, vocabulary, scheme="space", features=features, max_tokens=2)
    assert [data.tokens[i].tolist() for i in (0, 1)] == [[2, 3], [3]]
    assert [data.types[i].tolist() for i in (0, 1)] == [[1, 2], [2]]
    plain = EncodedTexts(["Uno 34 uno"], None, vocabulary, scheme="space", max_tokens=2)
    assert plain.tokens[0].tolist() == [1, 1]


def test_texts_may_come_as_their_tokens():
    vocabulary = Vocabulary.build(map(tokenize, TEXTS))
    raw, cut = (EncodedTexts(texts, None, vocabulary, max_tokens=3) for texts in (TEXTS, list(map(tokenize, TEXTS))))
    assert raw.tokens.values.tolist() == cut.tokens.values.tolist()
    assert raw.lengths.tolist() == cut.lengths.tolist() == [3, 1, 2, 3, 1]


@pytest.mark.parametrize("strategy", ["random", "sorted", "equal"])
def test_loader_reads_all_rows(strategy):
    data = EncodedTexts(TEXTS, [0, 1, 0, 1, 0], Vocabulary.build(map(tokenize, TEXTS)))
    batches = list(make_loader(data, 2, strategy=strategy, generator=torch.Generator()))
    assert sorted(torch.cat([batch.rows for batch in batches]).tolist()) == [0, 1, 2, 3, 4]


def test_token_features_are_those_of_the_token_at_each_position():
    texts = ["Free 100 free", "£ 100"]
    known = FeatureVocabulary.build([tokenize(text, "space") for text in texts], min_count=1)
    data = EncodedTexts(texts, None, Vocabulary(["free"]), scheme="space", features=known)
    batch = data.__getitems__([0, 1])
    assert batch.tokens.tolist() == [[2, 1, 2], [1, 1, 0]]
    f = batch.features
    ends = [*f.offsets[1:].tolist(), len(f.ids)]
    for row, text in enumerate(texts):
        tokens = tokenize(text, "space")
        for position in range(f.index.size(1)):
            number = int(f.index[row, position])
            got = f.ids[f.offsets[number] : ends[number]].tolist()
            assert got == (known.encode(tokens[position]).tolist() if position < len(tokens) else [])
    assert word_form("100") == "000"


def test_targets_must_match_the_texts():
    with pytest.raises(ValueError, match="5 texts but 2 targets"):
        EncodedTexts(TEXTS, [0, 1], Vocabulary([]))
