"""A perceptron over averaged embeddings: what a recurrence has to beat."""

import torch
from torch import Tensor, nn

from helpers.data.batching import Batch
from helpers.model.networks import ACTIVATIONS, Pooling, TokenEmbedding


class MLPClassifier(nn.Module):
    """Mean of the token vectors, hidden layers, one score per class (no softmax: the loss has it).

    Without hidden layers it is the linear classifier over averaged vectors of Joulin et al. 2017 (arXiv:1607.01759).

    Args:
        embedding: maps a Batch to (batch, time, embedding.dim).
        num_classes: size of the output.
        hidden_sizes: units of each hidden layer.
        activation: of the hidden layers.
        dropout: on the mean and after each hidden layer.
    """

    def __init__(
        self, embedding: TokenEmbedding, *, num_classes: int, hidden_sizes=(256,), activation="relu", dropout=0.0
    ):
        super().__init__()
        self.embedding = embedding
        self.pooling = Pooling("mean", embedding.dim)
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        sizes = [embedding.dim, *hidden_sizes]
        for before, after in zip(sizes, hidden_sizes, strict=False):
            layers += [nn.Linear(before, after), ACTIVATIONS[activation](), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))

    def forward(self, batch: Batch) -> Tensor:
        """Returns logits (batch, num_classes)."""
        embedded = self.embedding(batch)
        return self.layers(self.pooling(embedded, torch.empty(0), batch.lengths))
