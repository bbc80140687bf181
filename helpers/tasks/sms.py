"""SMS spam: configurations, training on a split, and a model that can be saved, loaded and asked."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from helpers import settings
from helpers.data.batching import EncodedTexts, make_loader
from helpers.data.splits import Split, deduplicate, fold_text, grouped_split, stratified_split
from helpers.data.text import FeatureVocabulary, Vocabulary, tokenize, word_form
from helpers.data.vectors import embedding_matrix
from helpers.model.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from helpers.model.metrics import best_threshold, binary_metrics
from helpers.model.networks import RecurrentEncoder, TextClassifier, TokenEmbedding, num_trainable_parameters
from helpers.model.training import History, Loaders, classification_step, evaluate, fit


LABELS = ("ham", "spam")


@dataclass(frozen=True)
class Config:
    """One recurrent spam classifier and how it is trained. The defaults are the assignment's architecture."""

    scheme: str = "words"  # tokenizer
    max_tokens: int = 200
    embedding_dim: int = 50
    feature_count: int = 0  # messages that a token feature must stand in to be used; 0 uses no features
    vectors: str | None = None  # name of pretrained word vectors
    freeze: bool = False
    word_dropout: float = 0.0
    feature_dropout: float = 0.0
    cell: str = "rnn"
    hidden_size: int = 80
    num_layers: int = 1
    bidirectional: bool = False
    pooling: str = "last"
    dense: int = 60
    activation: str = "relu"
    dropout: float = 0.0
    lr: float = 1e-3
    weight_decay: float = 0.0
    anneal: bool = False  # one-cycle learning rate that ends at 0
    label_smoothing: float = 0.0
    spam_weight: float = 1.0  # weight of a spam message in the loss
    clip: float | None = 1.0
    ema: float | None = None  # decay of the averaged weights
    batch_size: int = 32
    epochs: int = 30
    valid_share: float = 0.1  # of the training side; 0 trains on all of it for exactly `epochs`
    patience: int | None = 5


class SpamModel:
    """A network with everything needed to read raw messages: vocabulary, configuration, threshold."""

    def __init__(
        self, config: Config, vocabulary: Vocabulary, features: FeatureVocabulary | None, *, vectors=None, threshold=0.5
    ):
        self.config, self.vocabulary, self.features, self.threshold = config, vocabulary, features, threshold
        self.network = build_network(config, len(vocabulary), len(features) if features else 0, vectors)

    def encode(self, texts: Sequence[str], targets=None) -> EncodedTexts:
        """Raw messages as ids."""
        c = self.config
        return EncodedTexts(
            texts, targets, self.vocabulary, features=self.features, scheme=c.scheme, max_tokens=c.max_tokens
        )

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts),) probability of spam.

        Raises:
            TypeError: an element is not a string (names its position).
        """
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"message {i} is {type(text).__name__}, not a string")
        if len(texts) == 0:
            return np.zeros(0)
        logits = evaluate(self.network, make_loader(self.encode(texts), 256), classification_step()).outputs
        return logits.softmax(-1)[:, 1].double().numpy()

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts),) 1 for spam, 0 for ham."""
        return (self.predict_proba(texts) >= self.threshold).astype(int)

    def save(self, folder: Path) -> Path:
        """Tensors and JSON in a folder."""
        names = self.features.names if self.features else None
        description = {"task": "sms", "config": asdict(self.config), "threshold": self.threshold}
        return save_checkpoint(folder, self.network.state_dict(), description | {"tokens": self.vocabulary.tokens[2:], "features": names})

    @classmethod
    def load(cls, folder: Path) -> "SpamModel":
        """Read what save() wrote.

        Raises:
            CheckpointError: missing, damaged, or the model of another task.
        """
        tensors, description = load_checkpoint(folder)
        if description.get("task") != "sms":
            raise CheckpointError(f"{folder} holds no SMS model (task {description.get('task')!r})")
        vocabulary, names = Vocabulary(description["tokens"]), description["features"]
        features = FeatureVocabulary(names) if names else None
        # only the size of pretrained vectors matters here: their values come with the tensors
        vectors = np.zeros(tensors["embedding.words.weight"].shape, dtype=np.float32)
        model = cls(Config(**description["config"]), vocabulary, features, vectors=vectors)
        model.threshold = description["threshold"]
        model.network.load_state_dict(tensors)
        return model


def build_network(config: Config, num_tokens: int, num_features: int = 0, vectors=None) -> TextClassifier:
    """The network of a configuration, freshly initialised."""
    c = config
    embedding = TokenEmbedding(
        num_tokens, c.embedding_dim, vectors=vectors, freeze=c.freeze, num_features=num_features,
        word_dropout=c.word_dropout, feature_dropout=c.feature_dropout,
    )  # fmt: skip
    encoder = RecurrentEncoder(
        c.embedding_dim, c.hidden_size, cell=c.cell, num_layers=c.num_layers, bidirectional=c.bidirectional, dropout=c.dropout
    )
    return TextClassifier(
        embedding, encoder, num_classes=2, pooling=c.pooling, dense=c.dense, activation=c.activation, dropout=c.dropout
    )


def logits_metrics(targets: Tensor, logits: Tensor) -> dict[str, float]:
    """Binary metrics at probability 0.5."""
    return binary_metrics(targets.numpy(), logits.argmax(-1).numpy())


def fit_texts(
    config: Config, texts: Sequence[str], targets: np.ndarray, *, seed: int, pretrained=None, on_epoch=None, verbose=False
) -> tuple[SpamModel, History]:
    """Train on these messages and nothing else; the validation part comes out of them.

    Args:
        targets: (len(texts),) 0 ham, 1 spam.
        seed: of validation part, initial weights, batches and dropout.
    """
    generator = settings.seed_everything(seed)
    texts, targets = np.asarray(texts, dtype=object), np.asarray(targets)
    rows = Split(np.arange(len(texts)), np.arange(0))
    if config.valid_share:
        rows = stratified_split(targets, seed=seed, test_size=config.valid_share)
    model = untrained(config, texts[rows.train], pretrained, seed)
    sides = [model.encode(texts[side], targets[side]) for side in (rows.train, rows.test)]
    loaders = Loaders(
        make_loader(sides[0], config.batch_size, generator=generator),
        make_loader(sides[1], 256) if config.valid_share else None,
    )
    weights = torch.tensor([1.0, config.spam_weight])
    step = classification_step(label_smoothing=config.label_smoothing, class_weights=weights)
    optimizers, schedulers = make_optimizers(config, model.network, config.epochs * len(loaders.train))
    history = fit(
        model.network, loaders, step, optimizers=optimizers, schedulers=schedulers, epochs=config.epochs,
        metrics=logits_metrics, patience=config.patience, clip=config.clip, ema=config.ema,
        on_epoch=on_epoch, verbose=verbose,
    )  # fmt: skip
    return model, history


def untrained(config: Config, texts: Sequence[str], pretrained, seed: int) -> SpamModel:
    """A model that knows the words (and features) of the training messages, and nothing else yet.

    Args:
        pretrained: (words, matrix) where the configuration names vectors: all their words become known.
    """
    tokens = [tokenize(text, config.scheme) for text in texts]
    features = None
    if config.feature_count:
        features = FeatureVocabulary.build(tokens, min_count=config.feature_count)
        tokens = [[word_form(token) for token in sequence] for sequence in tokens]
    min_count = max(1, config.feature_count)  # with features, a rare word is better known by its parts
    words, matrix = pretrained or ((), None)
    vocabulary = Vocabulary.build(tokens, min_count=min_count, extra=words)
    vectors = None if matrix is None else embedding_matrix(vocabulary.tokens, words, matrix, seed=seed)[0]
    return SpamModel(config, vocabulary, features, vectors=vectors)


def make_optimizers(config: Config, network: TextClassifier, steps: int) -> tuple[list, list]:
    """AdamW over everything, and the one-cycle schedule where the configuration anneals."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    if not config.anneal:
        return [optimizer], []
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=steps, pct_start=0.1)
    return [optimizer], [schedule]
