import numpy as np
import pytest
import torch

from helpers.data.batching import Ragged, RaggedTexts, make_loader
from helpers.model.networks import MLPClassifier, RecurrentEncoder, TextClassifier, TokenEmbedding
from helpers.model.scoring import FEW, ProjectedLSTM, class_scores
from helpers.model.training import classification_step, evaluate

WORDS, PARTS, CLASSES, DIM = 50, 30, 7, 6


def ragged(rng, lengths, size):
    return Ragged([rng.integers(1, size, n) for n in lengths])


def texts(count, *, featured=False, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, count)
    tokens = ragged(rng, lengths, WORDS)
    if not featured:
        return RaggedTexts(tokens)
    types, features = (
        ragged(rng, lengths, 20),
        Ragged([np.zeros(0, int), *(rng.integers(1, PARTS, 3) for _ in range(20))]),
    )
    return RaggedTexts(tokens, None, types, features)


def classifier(
    *, cell="lstm", layers=1, bidirectional=True, pooling="last", skip=False, featured=False, hidden=5, k=DIM
):
    torch.manual_seed(1)
    embedding = TokenEmbedding(
        WORDS, DIM, num_features=PARTS if featured else 0, std=1.0, vectors=None if k == DIM else np.ones((WORDS, k))
    )
    encoder = RecurrentEncoder(DIM, hidden, cell=cell, num_layers=layers, bidirectional=bidirectional, dropout=0.3)
    network = TextClassifier(embedding, encoder, num_classes=CLASSES, pooling=pooling, dense=4, dropout=0.5, skip=skip)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.7)
    return network


def reference(network, data):
    return evaluate(network, make_loader(data, 64, strategy="equal"), classification_step()).outputs


@pytest.mark.parametrize("count", [1, 7, 300])
@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"bidirectional": False},
        {"layers": 2, "pooling": "max+mean", "skip": True},
        {"pooling": "attention", "featured": True, "skip": True},
        {"hidden": 90, "pooling": "mean"},
        {"k": 9, "skip": True},
        {"cell": "gru"},
        {"cell": "rnn", "featured": True},
    ],
    ids=str,
)  # fmt: skip
def test_scores_are_those_of_the_network_itself(kind, count):
    network, data = classifier(**kind), texts(count, featured=kind.get("featured", False))
    scores = class_scores(network, data, 64)
    assert scores.shape == (count, CLASSES)
    assert torch.allclose(scores, reference(network, data), atol=1e-5)
    assert len(scores) == 1 or scores.std(0).min() > 0.01  # texts differ


def test_few_texts_with_features_run_as_products_and_many_fused(monkeypatch):
    counted = []
    monkeypatch.setattr(
        ProjectedLSTM, "scores", lambda self, batch: counted.append(len(batch)) or torch.zeros(len(batch), 1)
    )
    network = classifier(featured=True)
    class_scores(network, texts(FEW, featured=True), 64)
    assert sum(counted) == FEW
    class_scores(network, texts(FEW + 1, featured=True), 64)
    assert sum(counted) == FEW
    class_scores(classifier(), texts(500), 64)
    assert sum(counted) == FEW + 500


def test_a_network_without_recurrence_is_scored_too():
    network = MLPClassifier(TokenEmbedding(WORDS, DIM, std=1.0), num_classes=CLASSES, hidden_sizes=(4,))
    data = texts(40)
    assert torch.allclose(class_scores(network, data, 16), reference(network, data), atol=1e-6)


def test_scoring_in_the_middle_of_training_drops_nothing_out_and_sees_the_weights_of_now():
    network, data = classifier(), texts(30)
    before = class_scores(network.train(), data, 64)
    assert torch.equal(before, class_scores(network.train(), data, 64))
    with torch.no_grad():
        network.encoder.layers[0][1].weight_hh_l0.mul_(-1)
    assert torch.allclose(class_scores(network, data, 64), reference(network, data), atol=1e-5)
    assert not torch.allclose(class_scores(network, data, 64), before, atol=1e-3)
