from itertools import pairwise

import pytest
import torch
from torch import nn

from helpers.data.batching import EncodedTexts
from helpers.data.text import FeatureVocabulary, Vocabulary, tokenize
from helpers.model.networks import (
    CELLS,
    Pooling,
    RecurrentEncoder,
    TextClassifier,
    TokenEmbedding,
    mirrored_positions,
    num_recurrent_parameters,
    num_trainable_parameters,
)

LENGTHS = torch.tensor([4, 1, 6, 3])
architectures = pytest.mark.parametrize(
    ("cell", "num_layers", "bidirectional"),
    [(cell, layers, both) for cell in CELLS for layers in (1, 2) for both in (False, True)],
)


FEATURES = FeatureVocabulary.build([["Free", "100"], ["free"]], min_count=1)


def with_features():
    return EncodedTexts(["Free 100", "free"], None, Vocabulary(["free"]), scheme="space", features=FEATURES)


def encoder(cell, num_layers, bidirectional, packed=False):
    torch.manual_seed(0)
    made = RecurrentEncoder(5, 7, cell=cell, num_layers=num_layers, bidirectional=bidirectional, packed=packed)
    return made.double()


def inputs():
    return torch.randn(4, 6, 5, dtype=torch.double, generator=torch.Generator().manual_seed(1))


@architectures
@pytest.mark.parametrize("packed", [False, True])
def test_a_padded_batch_equals_sentence_by_sentence(cell, num_layers, bidirectional, packed):
    model, x = encoder(cell, num_layers, bidirectional, packed), inputs()
    together = model(x, LENGTHS)
    for i, length in enumerate(LENGTHS):
        alone = model(x[i : i + 1, :length], LENGTHS[i : i + 1])
        torch.testing.assert_close(together.outputs[i, :length], alone.outputs[0])
        torch.testing.assert_close(together.hidden[i], alone.hidden[0])
        if packed and cell == "lstm":
            torch.testing.assert_close(together.cell[i], alone.cell[0])


@architectures
def test_padding_is_never_read(cell, num_layers, bidirectional):
    model, x = encoder(cell, num_layers, bidirectional), inputs()
    changed = x.masked_fill(torch.arange(6).unsqueeze(-1) >= LENGTHS.view(-1, 1, 1), 1e6)
    for first, second in zip(model(x, LENGTHS)[:2], model(changed, LENGTHS)[:2], strict=True):
        kept = torch.arange(6) < LENGTHS.unsqueeze(1) if first.dim() == 3 else slice(None)
        torch.testing.assert_close(first[kept], second[kept])


@architectures
def test_the_encoder_equals_pytorch_with_the_same_weights(cell, num_layers, bidirectional):
    model, x = encoder(cell, num_layers, bidirectional), inputs()
    reference = CELLS[cell](5, 7, num_layers, batch_first=True, bidirectional=bidirectional).double()
    for depth, directions in enumerate(model.layers):
        for suffix, direction in zip(("", "_reverse"), directions, strict=False):
            for name, weight in direction.named_parameters():
                getattr(reference, name.replace("_l0", f"_l{depth}") + suffix).data.copy_(weight.data)
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, state = reference(packed)
    outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    hidden = state[0] if cell == "lstm" else state
    got = model(x, LENGTHS)
    inside = torch.arange(6) < LENGTHS.unsqueeze(1)
    torch.testing.assert_close(got.outputs[inside], outputs[inside])
    torch.testing.assert_close(got.hidden, torch.cat(list(hidden[-(2 if bidirectional else 1) :]), -1))


@architectures
def test_equal_lengths_give_the_numbers_and_gradients_of_packed_ones(cell, num_layers, bidirectional):
    lengths = torch.full((4,), 6)
    gradients = []
    for packed in (False, True):
        model, x = encoder(cell, num_layers, bidirectional, packed), inputs().requires_grad_()
        got = model(x, lengths)
        (got.outputs.sum() + got.hidden.pow(2).sum()).backward()
        gradients.append([x.grad, got.outputs.detach(), *(p.grad for p in model.parameters())])
    for dense, packed in zip(*gradients, strict=True):
        torch.testing.assert_close(dense, packed)


@architectures
def test_parameter_counts_equal_the_formula(cell, num_layers, bidirectional):
    ours = num_trainable_parameters(
        RecurrentEncoder(50, 80, cell=cell, num_layers=num_layers, bidirectional=bidirectional)
    )
    theirs = num_trainable_parameters(CELLS[cell](50, 80, num_layers, bidirectional=bidirectional))
    assert ours == theirs == num_recurrent_parameters(cell, 50, 80, num_layers, bidirectional)


def test_the_count_by_hand():
    assert num_recurrent_parameters("rnn", 50, 80) == 50 * 80 + 80 * 80 + 80 + 80
    assert num_recurrent_parameters("lstm", 50, 120) == 4 * (50 * 120 + 120 * 120 + 120 + 120)


def test_frozen_parameters_do_not_count():
    model = TokenEmbedding(10, 4, vectors=torch.zeros(10, 3), freeze=True)
    assert num_trainable_parameters(model) == 3 * 4


def test_mirrored_positions():
    assert mirrored_positions(torch.tensor([3, 1, 4]), 4).tolist() == [[2, 1, 0, 3], [0, 1, 2, 3], [3, 2, 1, 0]]


@pytest.mark.parametrize("kind", ["last", "mean", "max", "attention", "max+mean"])
def test_pooling_never_reads_padding(kind):
    torch.manual_seed(0)
    pooling, outputs, hidden = Pooling(kind, 5), torch.randn(4, 6, 5) - 3, torch.randn(4, 5)
    padded = outputs.masked_fill(torch.arange(6).unsqueeze(-1) >= LENGTHS.view(-1, 1, 1), 1e4)
    together = pooling(padded, hidden, LENGTHS)
    assert together.shape == (4, pooling.output_size)
    for i, length in enumerate(LENGTHS):
        alone = pooling(outputs[i : i + 1, :length], hidden[i : i + 1], LENGTHS[i : i + 1])
        torch.testing.assert_close(together[i], alone[0])


def test_unknown_pooling_and_activation_are_refused():
    with pytest.raises(ValueError, match="pooling 'sum'"):
        Pooling("sum", 5)
    with pytest.raises(ValueError, match="activation 'swish'"):
        TextClassifier(TokenEmbedding(5, 4), RecurrentEncoder(4, 3), num_classes=2, activation="swish")


def test_token_vector_is_word_plus_scaled_sum_of_features():
    batch = with_features().__getitems__([0, 1])
    embedding = TokenEmbedding(3, 4, num_features=len(FEATURES)).eval()
    nn.init.normal_(embedding.features.weight)
    got = embedding(batch)
    for row, text in enumerate(["Free 100", "free"]):
        for position, token in enumerate(tokenize(text, "space")):
            ids = torch.from_numpy(FEATURES.encode(token))
            bag = embedding.features.weight[ids].sum(0) / len(ids) ** 0.5
            torch.testing.assert_close(got[row, position], embedding.words.weight[batch.tokens[row, position]] + bag)
    assert got[1, 1].abs().sum() == 0  # padding


def test_word_dropout_takes_words_and_leaves_features_only_in_training():
    batch = with_features().__getitems__([1])
    embedding = TokenEmbedding(3, 4, num_features=len(FEATURES), word_dropout=1.0)
    nn.init.normal_(embedding.features.weight)
    expected = embedding.eval()(batch) - embedding.words.weight[2]
    torch.testing.assert_close(embedding.train()(batch), expected)


def test_dropout_of_words_and_features_takes_its_share_and_rescales_nothing():
    torch.manual_seed(0)
    data = EncodedTexts(["Free 100 " * 200], None, Vocabulary(["free"]), scheme="space", features=FEATURES)
    batch = data.__getitems__([0])
    embedding = TokenEmbedding(3, 4, num_features=len(FEATURES), word_dropout=0.3)
    word = embedding.words.weight[batch.tokens[0]]
    got = embedding.train()(batch)[0]
    dropped = (got == 0).all(-1)
    torch.testing.assert_close(got, word.masked_fill(dropped.unsqueeze(-1), 0))
    assert dropped.float().mean().item() == pytest.approx(0.3, abs=0.08)
    embedding.word_dropout, embedding.feature_dropout = 0.0, 0.5
    nn.init.ones_(embedding.features.weight)
    counts = [len(FEATURES.encode(token)) for token in ("Free", "100")]
    kept = set()
    for _ in range(100):
        bags = (embedding.train()(batch)[0] - word)[:2, 0] * torch.tensor(counts).sqrt()
        kept |= {(token, round(bag, 3)) for token, bag in enumerate(bags.tolist())}
    assert {number for _, number in kept} <= set(range(max(counts) + 1)), "a feature counts whole or not at all"
    assert len(kept) > len(counts), "the features that are lost change"


def test_the_start_of_an_embedding():
    torch.manual_seed(0)
    random = TokenEmbedding(4000, 10, num_features=7, std=0.3, sparse=True)
    assert random.words.weight[1:].std().item() == pytest.approx(0.3, rel=0.02)
    assert random.words.weight[0].abs().sum() == random.features.weight.abs().sum() == 0
    assert random.words.weight.requires_grad
    assert random.words.sparse
    assert random.features.sparse
    vectors = torch.randn(5, 4)
    given = TokenEmbedding(5, 4, vectors=vectors, freeze=True)
    assert torch.equal(given.words.weight[1:], vectors[1:])
    assert given.words.weight[0].abs().sum() == 0
    assert not given.words.weight.requires_grad


def test_pretrained_vectors_of_another_size_are_mapped():
    vectors = torch.randn(5, 3)
    embedding = TokenEmbedding(5, 4, vectors=vectors)
    batch = EncodedTexts(["a b c"], None, Vocabulary(["a", "b", "c"])).__getitems__([0])
    torch.testing.assert_close(embedding(batch)[0], embedding.project(vectors[2:5]))


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention", "max+mean", "end"])
@pytest.mark.parametrize(("skip", "dense", "layers"), [(True, 0, 1), (False, 4, 2), (True, 4, 1)])
def test_a_classifier_is_its_formula_text_by_text(pooling, skip, dense, layers):
    torch.manual_seed(0)
    data = EncodedTexts(["a b c d a b", "b", "c c a"], None, Vocabulary(["a", "b", "c", "d"]))
    encoder = RecurrentEncoder(4, 3, bidirectional=True, num_layers=layers)
    model = TextClassifier(
        TokenEmbedding(6, 4, std=1.0),
        encoder,
        num_classes=2,
        pooling=pooling,
        dense=dense,
        activation="tanh",
        skip=skip,
    ).eval()
    for weight in model.parameters():
        nn.init.normal_(weight)
    logits = model(data.__getitems__([0, 1, 2]))
    for row in range(3):
        if pooling == "end" and row:
            continue  # the others are read over their padding
        tokens = states = model.embedding.words.weight[torch.from_numpy(data.tokens[row])]
        for forward, backward in encoder.layers:
            there, back = forward(states)[0], backward(states.flip(0))[0].flip(0)
            states, last = torch.cat([there, back], -1), torch.cat([there[-1], back[0]])
        weights = model.pooling.attention(states).softmax(0) if pooling == "attention" else 0
        kinds = {"last": last, "end": states[-1], "mean": states.sum(0) / len(states), "max": states.max(0).values}
        pooled = [kinds[kind] if kind in kinds else (weights * states).sum(0) for kind in pooling.split("+")]
        pooled = torch.cat([*pooled, *([tokens.sum(0) / len(tokens) ** 0.5] if skip else [])])
        if dense:
            pooled = torch.tanh(model.dense[0](pooled))
        torch.testing.assert_close(logits[row], model.output(pooled), rtol=1e-4, atol=1e-5)


def test_dropout_acts_on_tokens_pooled_states_and_dense_layer_and_between_recurrent_layers():
    data = EncodedTexts(["a b c", "b c a"], None, Vocabulary(["a", "b", "c"]))
    encoder = RecurrentEncoder(4, 3, num_layers=3, dropout=0.2)
    model = TextClassifier(TokenEmbedding(5, 4), encoder, num_classes=2, dense=7, dropout=0.4, skip=True)
    dropped = []
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda module, inputs, _: dropped.append((module.p, *inputs[0].shape)))
    model(data.__getitems__([0, 1]))
    assert dropped == [(0.4, 2, 3, 4), (0.2, 2, 3, 3), (0.2, 2, 3, 3), (0.4, 2, 3 + 4), (0.4, 2, 7)]


@pytest.mark.parametrize("activation", ["relu", "softmax", "none"])
def test_classifier_scores_do_not_depend_on_the_batch_around(activation):
    torch.manual_seed(0)
    texts = ["a b c d", "b", "c c a"]
    data = EncodedTexts(texts, None, Vocabulary(["a", "b", "c", "d"]))
    model = TextClassifier(TokenEmbedding(6, 4), RecurrentEncoder(4, 3), num_classes=2, dense=5, activation=activation)
    model.eval()
    together = model(data.__getitems__([0, 1, 2]))
    assert together.shape == (3, 2)
    for i in range(3):
        torch.testing.assert_close(together[i], model(data.__getitems__([i]))[0])
    assert any((a - b).abs().sum() > 0 for a, b in pairwise(together))
