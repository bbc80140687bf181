"""What the benchmarks compare computes the same: our fast paths against plain padded and packed ones, to 1e-5."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.references import CourseClassifier, course_adam, packed_twin
from helpers.data.batching import EncodedPairs, SubwordTitles, WordTitles
from helpers.data.text import Vocabulary
from helpers.model.training import classification_step
from helpers.tasks import sick, sms
from helpers.tasks.meli import BASELINE, BEST, MeliModel, make_optimizers, titles_step
from helpers.tasks.sick import SimilarityModel, make_step

SMALL = {"embedding_dim": 12, "hidden_size": 8, "dropout": 0.0}
WORDS = ["funda", "samsung", "mesa", "roble", "silla", "gamer", "azul", "roja"]
RAGGED = ["Funda Samsung azul", "Mesa", "Silla gamer roja azul mesa", "Roble roble"]
EQUAL = ["Funda Samsung azul", "Mesa de roble roja", "Silla gamer roja", "Roble silla nada"]
TARGETS = np.array([0, 2, 1, 2])
CATEGORIES = ["A", "B", "C"]


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def word_model(**changes):
    torch.manual_seed(0)
    config = replace(BASELINE, vectors="random", freeze=False, **{**SMALL, **changes})
    return MeliModel(config, WordTitles(Vocabulary(WORDS)), CATEGORIES)


def subword_model():
    torch.manual_seed(0)
    config = replace(BEST, pair_dropout=0.0, part_dropout=0.0, **SMALL)
    model = MeliModel(config, SubwordTitles.build(RAGGED * 2), CATEGORIES)
    for weight in (model.network.embedding.words.weight, model.network.embedding.features.weight):
        nn.init.normal_(weight)
    return model


def batch_of(model, titles):
    return model.reader.encode(titles, TARGETS).__getitems__(range(len(titles)))


def ours(name):
    """The name that a parameter of torch's own recurrence, or of the recipe, has in our networks."""
    found = re.fullmatch(r"(.*?)(?:recurrence|lstm)\.(\w+?)_l(\d+)(_reverse)?", name)
    if found is None:
        return {"embedding.weight": "embedding.words.weight"}.get(name, name)
    prefix, kind, depth, reverse = found.groups()
    return f"{prefix or 'encoder.'}layers.{depth}.{1 if reverse else 0}.{kind}_l0"


def gradients(network, step, batch):
    """Loss, outputs and the dense gradient of every parameter, under our names."""
    network.zero_grad()
    loss, outputs = step(network, batch)
    loss.backward()
    found = {ours(name): p.grad for name, p in network.named_parameters() if p.grad is not None}
    return loss.detach(), outputs.detach(), {n: g.to_dense() if g.is_sparse else g for n, g in found.items()}


def same(network, other, step, batch):
    mine, its = gradients(network, step, batch), gradients(other, step, batch)
    close(mine[0], its[0])
    close(mine[1], its[1])
    assert mine[2].keys() == its[2].keys()
    assert any(name.startswith(("encoder.layers", "encoder.encoder.layers")) for name in mine[2])
    for name, gradient in mine[2].items():
        close(gradient, its[2][name])


def with_weights_of(network):
    course = CourseClassifier(len(WORDS) + 2, 3, dim=12, hidden_size=8, dropout=0.0)
    weights = network.state_dict()
    course.load_state_dict({name: weights[ours(name)] for name in course.state_dict()})
    return course


def on_tokens(model, batch):
    """classification_step for the recipe, which reads tokens alone."""
    logits = model(batch.tokens)
    return nn.functional.cross_entropy(logits, batch.targets), logits


def test_equal_lengths_give_the_recipes_logits_and_gradients():
    model = word_model()
    batch = batch_of(model, EQUAL)
    assert batch.lengths.unique().numel() == 1
    mine = gradients(model.network, classification_step(), batch)
    its = gradients(with_weights_of(model.network), on_tokens, batch)
    close(mine[1], its[1])
    assert mine[2].keys() == its[2].keys()
    for name, gradient in mine[2].items():
        close(gradient, its[2][name])


def test_the_recipe_reads_padding_and_ours_does_not():
    model = word_model()
    batch = batch_of(model, RAGGED)
    mine, its = model.network(batch), with_weights_of(model.network)(batch.tokens)
    full = batch.lengths == batch.tokens.size(1)
    close(mine[full], its[full])
    assert ((mine - its)[~full].abs().amax(1) > 1e-4).all()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("titles", [RAGGED, EQUAL], ids=["ragged", "equal"])
@pytest.mark.parametrize("pooling", ["last", "max+mean"])
def test_words_give_the_logits_and_gradients_of_a_packed_recurrence(cell, titles, pooling):
    model = word_model(cell=cell, pooling=pooling, num_layers=2)
    same(model.network, packed_twin(model.network), classification_step(), batch_of(model, titles))


@pytest.mark.parametrize("titles", [RAGGED, EQUAL], ids=["ragged", "equal"])
def test_subwords_give_the_logits_and_gradients_of_a_packed_recurrence(titles):
    model = subword_model()
    step = classification_step(label_smoothing=0.1)
    same(model.network, packed_twin(model.network), step, batch_of(model, titles))


def test_row_sparse_adam_moves_what_a_dense_one_moves_while_the_same_words_are_met():
    """Later they part: a dense Adam goes on moving the words of earlier batches, the row-sparse (lazy) one does not.

    A step is 1e-3; torch's two Adams add their epsilon at different places, which tells where a gradient is tiny.
    """
    model = word_model()
    course, step = with_weights_of(model.network), titles_step(0.0)
    mine, _ = make_optimizers(model.config, model.network, 1)
    its, start = course_adam(course), course.embedding.weight.detach().clone()

    def train(titles):
        batch = batch_of(model, titles)
        gradients(model.network, step, batch)
        gradients(course, on_tokens, batch)
        for optimizer in (*mine, its):
            optimizer.step()
        return (model.network.embedding.words.weight - course.embedding.weight).detach().abs().amax(1)

    for _ in range(3):
        assert train(EQUAL).max() < 1e-4
    assert (course.embedding.weight - start).abs().max() > 1e-3
    parted = train(["Mesa mesa roble"] * 4)
    assert parted[2 + WORDS.index("gamer")] > 2e-4


@pytest.mark.parametrize("name", ["rnn", "lstm", "bidirectional"])
def test_messages_give_the_loss_and_gradients_of_a_packed_recurrence(name):
    config = replace(sms.CONFIGS[name], embedding_dim=12, hidden_size=8, dense=6)
    model = sms.untrained(config, RAGGED, 0)
    batch = model.dataset(RAGGED, np.array([0, 1, 1, 0])).__getitems__(range(4))
    same(model.network, packed_twin(model.network), classification_step(), batch)


@pytest.mark.parametrize("name", ["best", "pairwise"])
def test_pairs_give_the_loss_and_gradients_of_a_packed_recurrence(name):
    config = replace(sick.CONFIGS[name], hidden_size=8, dropout=0.0, input_dropout=0.0, head_dropout=0.0)
    torch.manual_seed(0)
    vectors = torch.randn(len(WORDS) + 2, 12).numpy()
    vectors[0] = 0
    model = SimilarityModel(config, Vocabulary(WORDS), vectors)
    rows = EncodedPairs(RAGGED, EQUAL, model.reader, targets=[0.1, 0.9, 0.4, 0.75], labels=[0, 1, 2, 0])
    same(model.network, packed_twin(model.network), make_step(config), rows.__getitems__(range(4)))
