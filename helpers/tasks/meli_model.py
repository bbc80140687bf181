"""A MeLi title classifier that can be saved, loaded and asked."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch import nn

from helpers.data.titles import SubwordTitles, WordTitles, from_description
from helpers.model.checkpoints import load_checkpoint, save_checkpoint
from helpers.model.mlp import MLPClassifier
from helpers.model.networks import RecurrentEncoder, TextClassifier, TokenEmbedding
from helpers.model.scoring import class_scores
from helpers.tasks.meli_config import Config

EVALUATION_BATCH = 512


class MeliModel:
    """A network with everything needed to read raw titles: configuration, representation, names of the categories."""

    def __init__(self, config: Config, reader: WordTitles | SubwordTitles, categories: Sequence[str], vectors=None):
        self.config, self.reader, self.categories = config, reader, list(categories)
        self.network = build_network(config, reader, len(self.categories), vectors)

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), categories) float32 probabilities.

        Raises:
            TypeError: an element is not a string (names its position).
        """
        if isinstance(texts, str):
            raise TypeError("one string where a list of texts is needed: put it into brackets")
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"title {i} is {type(text).__name__}, not a string")
        if len(texts) == 0:
            return np.zeros((0, len(self.categories)), dtype=np.float32)
        return class_scores(self.network, self.reader.encode(texts), EVALUATION_BATCH).softmax(-1).numpy()

    def predict(self, texts: Sequence[str], k: int = 5) -> list[list[tuple[str, float]]]:
        """For every title the k likeliest categories with their probabilities, best first.

        Raises:
            TypeError: an element is not a string.
            ValueError: k is not between 1 and the number of categories.
        """
        if not 1 <= k <= len(self.categories):
            raise ValueError(f"k={k}: must lie between 1 and {len(self.categories)}")
        probabilities = self.predict_proba(texts)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
        return [
            [(self.categories[j], float(row[j])) for j in order] for row, order in zip(probabilities, best, strict=True)
        ]

    def save(self, folder: Path) -> Path:
        """Tensors and JSON in a folder."""
        description = {"task": "meli", "config": asdict(self.config), "categories": self.categories}
        return save_checkpoint(folder, self.network.state_dict(), description | {"reader": self.reader.description()})

    @classmethod
    def load(cls, folder: Path) -> "MeliModel":
        """Read what save() wrote.

        Raises:
            CheckpointError: missing, damaged, or the model of another task.
        """
        tensors, description = load_checkpoint(folder, "meli")
        model = cls(Config(**description["config"]), from_description(description["reader"]), description["categories"])
        model.network.load_state_dict(tensors)
        return model


def build_network(config: Config, reader: WordTitles | SubwordTitles, num_classes: int, vectors=None) -> nn.Module:
    """The network of a configuration, freshly initialised; trainable embeddings have sparse gradients."""
    c = config
    if isinstance(reader, SubwordTitles):
        embedding = TokenEmbedding(
            len(reader.pairs) + 1, c.embedding_dim, num_features=len(reader.parts) + 1, std=0.0, sparse=True,
            word_dropout=c.pair_dropout, feature_dropout=c.part_dropout,
        )  # fmt: skip
    else:
        embedding = TokenEmbedding(
            len(reader.vocabulary), c.embedding_dim, vectors=vectors, freeze=c.freeze, sparse=not c.freeze
        )
    if c.cell == "none":
        hidden = (c.dense,) if c.dense else ()
        return MLPClassifier(
            embedding, num_classes=num_classes, hidden_sizes=hidden, activation=c.activation, dropout=c.dropout
        )
    encoder = RecurrentEncoder(
        c.embedding_dim, c.hidden_size, cell=c.cell, num_layers=c.num_layers, bidirectional=True, dropout=c.dropout
    )
    return TextClassifier(
        embedding, encoder, num_classes=num_classes, pooling=c.pooling, dense=c.dense, activation=c.activation,
        dropout=c.dropout, skip=c.skip,
    )  # fmt: skip
