import pytest
import torch

from helpers.data.batching import Batch
from helpers.model.networks import MLPClassifier, TokenEmbedding, num_trainable_parameters


def batch(tokens, lengths):
    n = len(lengths)
    return Batch(torch.tensor(tokens), torch.tensor(lengths), torch.zeros(n, dtype=torch.long), torch.arange(n))


def network(hidden_sizes=(6,)):
    torch.manual_seed(0)
    return MLPClassifier(TokenEmbedding(10, 4), num_classes=3, hidden_sizes=hidden_sizes).eval()


def test_it_reads_the_mean_of_the_tokens_and_no_padding():
    net = network()
    short, padded = net(batch([[2, 3]], [2])), net(batch([[2, 3, 0, 0]], [2]))
    assert torch.allclose(short, padded)
    mean = net.embedding.words.weight[[2, 3]].mean(0)
    assert torch.allclose(short[0], net.layers(mean), atol=1e-6)


def test_word_order_is_nothing_to_it():
    net = network()
    assert torch.allclose(net(batch([[2, 3, 4]], [3])), net(batch([[4, 2, 3]], [3])), atol=1e-6)


def test_parameters_are_those_of_the_formula():
    assert num_trainable_parameters(network((6, 5))) == 10 * 4 + (4 * 6 + 6) + (6 * 5 + 5) + (5 * 3 + 3)
    assert num_trainable_parameters(network(())) == 10 * 4 + 4 * 3 + 3


def test_hidden_layers_are_their_formula():
    torch.manual_seed(0)
    net = MLPClassifier(TokenEmbedding(10, 4), num_classes=3, hidden_sizes=(6, 5), activation="tanh", dropout=0.3)
    linear = [module for module in net.layers if isinstance(module, torch.nn.Linear)]
    mean = net.embedding.words.weight[[2, 3, 4]].mean(0)
    expected = linear[2](torch.tanh(linear[1](torch.tanh(linear[0](mean)))))
    assert torch.allclose(net.eval()(batch([[2, 3, 4]], [3]))[0], expected, atol=1e-6)
    dropped = [module.p for module in net.modules() if isinstance(module, torch.nn.Dropout)]
    assert dropped == [0.3, 0.3, 0.3]
    with pytest.raises(ValueError, match="activation 'swish' is not one of"):
        MLPClassifier(TokenEmbedding(10, 4), num_classes=3, activation="swish")
