import numpy as np
import pytest
import torch
from torch import nn

from helpers.data.batching import EncodedTexts
from helpers.data.text import Vocabulary, tokenize
from helpers.model.explain import gradient_by_distance, token_occlusion
from helpers.model.networks import RecurrentEncoder, TextClassifier, TokenEmbedding

TEXTS = ["uno dos tres cuatro cinco", "dos dos", "cinco cuatro tres dos uno uno"]
VOCABULARY = Vocabulary.build(map(tokenize, TEXTS))
DATA = EncodedTexts(TEXTS, [0, 1, 1], VOCABULARY)


def classifier(cell="rnn"):
    torch.manual_seed(0)
    return TextClassifier(TokenEmbedding(len(VOCABULARY), 4), RecurrentEncoder(4, 6, cell=cell), num_classes=2).eval()


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_gradient_norms_equal_finite_differences(cell):
    network, steps = classifier(cell).double(), 4
    got = gradient_by_distance(network, DATA, steps=steps)
    expected = np.zeros(steps)
    for row in (0, 2):  # the texts of 4 tokens or more
        ids = torch.from_numpy(DATA.tokens[row][-steps:])
        vectors = network.embedding.words.weight[ids].detach()

        def loss(x, target=DATA.targets[row]):
            return nn.functional.cross_entropy(network.scores(x.unsqueeze(0), torch.tensor([steps])), target.view(1))

        gradient = torch.zeros_like(vectors)
        for i in range(vectors.numel()):
            step = torch.zeros(vectors.numel(), dtype=torch.double)
            step[i] = 1e-5
            step = step.view_as(vectors)
            gradient.view(-1)[i] = (loss(vectors + step) - loss(vectors - step)).item() / 2e-5
        expected += gradient.norm(dim=1).flip(0).numpy() / 2
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_recurrence_that_forgets_has_no_gradient_beyond_the_last_token():
    network = classifier()
    network.encoder.layers[0][0].weight_hh_l0.data.zero_()
    norms = gradient_by_distance(network, DATA, steps=5)
    assert norms[0] > 0
    assert (norms[1:] == 0).all()


def test_texts_that_are_all_too_short_are_named():
    with pytest.raises(ValueError, match="no text has 9 tokens; the longest has 6"):
        gradient_by_distance(classifier(), DATA, steps=9)


def test_occlusion_is_the_change_of_the_log_odds():
    network = classifier()
    effects = token_occlusion(network, DATA, row=1)
    assert effects.shape == (2,)

    def odds(vectors):
        log_p = network.scores(vectors, torch.tensor([2])).log_softmax(-1)[0]
        return (log_p[1] - log_p[0]).item()

    with torch.no_grad():
        vectors = network.embedding(DATA.__getitems__([1]))
        first_gone = vectors.clone()
        first_gone[0, 0] = 0
        assert effects[0] == pytest.approx(odds(vectors) - odds(first_gone), abs=1e-6)
