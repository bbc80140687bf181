"""The configurations of the SMS models, by name. SMS spam: configurations, training on a split, and a model that can be saved, loaded and asked."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from helpers import settings
from helpers.data.batching import EncodedTexts, make_loader
from helpers.data.corpora import load_sms
from helpers.data.sources import obtain_or_sample
from helpers.data.splits import Split, deduplicate, fold_text, grouped_split, stratified_split
from helpers.data.text import FeatureVocabulary, Vocabulary, tokenize, word_form
from helpers.data.vectors import embedding_matrix, read_vectors
from helpers.files import digest
from helpers.model.checkpoints import load_checkpoint, save_checkpoint
from helpers.model.metrics import binary_metrics
from helpers.model.networks import RecurrentEncoder, TextClassifier, TokenEmbedding, num_trainable_parameters
from helpers.model.recovery import recovery
from helpers.model.training import History, Loaders, classification_step, evaluate, fit
from helpers.tasks.base import named

REVISION = 1  # raise it when numbers change on purpose: the rows of the studies are then run again


@dataclass(frozen=True)
class SmsConfig:
    """One recurrent spam classifier and how it is trained. The defaults are the assignment's architecture."""

    scheme: str = "words"  # tokenizer
    max_tokens: int = 200
    embedding_dim: int = 50
    feature_count: int = 0  # messages that a token feature must stand in to be used; 0 uses no features
    vectors: str | None = None  # catalogue name of pretrained word vectors
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
    packed: bool = False  # PackedSequence instead of dense padded batches: same numbers, other speed
    clip: float | None = 1.0
    ema: float | None = None  # decay of the averaged weights
    batches: str = "sorted"  # which messages share a batch: "sorted" by length or "random"
    batch_size: int = 32
    epochs: int = 30
    valid_share: float = 0.1  # of the training side; 0 trains on all of it for exactly `epochs`
    patience: int | None = 5
    threshold: float = 0.5  # probability from which a message counts as spam


GIVEN = SmsConfig()  # one recurrent layer of 80, a dense layer of 60
CELLS = {"rnn": GIVEN, "gru": replace(GIVEN, cell="gru"), "lstm": replace(GIVEN, cell="lstm")}
LITERAL = {
    "rnn_softmax": replace(GIVEN, activation="softmax"),
    "rnn_end": replace(GIVEN, pooling="end", batches="random"),
    "rnn_listing": replace(GIVEN, lr=0.01, epochs=100, patience=None, valid_share=0, clip=None),
}
R5_BASE = "lstm"  # of CELLS the best on the validation parts
_BOTH = replace(CELLS[R5_BASE], bidirectional=True)
VARIANTS = {
    "two_layers": replace(CELLS[R5_BASE], num_layers=2),
    "bidirectional": _BOTH,
    "bidirectional_embedding_25": replace(_BOTH, embedding_dim=25),
    "bidirectional_embedding_100": replace(_BOTH, embedding_dim=100),
    "bidirectional_dense_30": replace(_BOTH, dense=30),
    "bidirectional_dense_120": replace(_BOTH, dense=120),
}
BEST = SmsConfig(
    scheme="space", feature_count=3, feature_dropout=0.3, embedding_dim=64, cell="lstm", bidirectional=True,
    pooling="max+mean", dropout=0.5, label_smoothing=0.05, lr=6e-3, weight_decay=0.01, anneal=True, batch_size=64,
    epochs=10, valid_share=0, patience=None,
)  # fmt: skip
ATTEMPTS = {  # what was tried on the way to BEST, one step away from it each
    "no_smoothing": replace(BEST, label_smoothing=0.0),
    "frozen_glove": replace(BEST, vectors="glove-twitter-12k", freeze=True),
}
CONFIGS = CELLS | LITERAL | VARIANTS | ATTEMPTS | {"best": BEST}
NAMES = {  # as tables and figures call them
    "rnn": "RNN simple",
    "gru": "GRU",
    "lstm": "LSTM",
    "rnn_softmax": "RNN, softmax sobre las 60 (literal)",
    "rnn_end": "RNN, estado leído sobre el relleno",
    "rnn_listing": "RNN, ajustes del listado",
    "two_layers": "dos capas",
    "bidirectional": "bidireccional (embedding 50, densa 60)",
    "bidirectional_embedding_25": "bidireccional, embedding 25",
    "bidirectional_embedding_100": "bidireccional, embedding 100",
    "bidirectional_dense_30": "bidireccional, densa 30",
    "bidirectional_dense_120": "bidireccional, densa 120",
    "best": "mejor recurrente",
    "ensemble": "conjunto de 5 (media de probabilidades)",
    "word_svm": "SVM lineal, TF-IDF de palabras",
    "char_svm": "SVM lineal, TF-IDF de caracteres",
    "no_smoothing": "… sin suavizado de rótulos",
    "frozen_glove": "… más GloVe Twitter congelado",
}


EVALUATION_BATCH = 256
SPLITS = ("random", "grouped", "duplicates")
FIRST_SPLIT_SEED = 1  # 0 is for development; reported seeds begin here


class SpamModel:
    """A network with everything needed to read raw messages: configuration, vocabulary, features."""

    def __init__(self, config: SmsConfig, vocabulary: Vocabulary, features: FeatureVocabulary | None, *, vectors=None):
        self.config, self.vocabulary, self.features = config, vocabulary, features
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
        if isinstance(texts, str):
            raise TypeError("one string where a list of texts is needed: put it into brackets")
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"message {i} is {type(text).__name__}, not a string")
        if len(texts) == 0:
            return np.zeros(0)
        loader = make_loader(self.encode(texts), EVALUATION_BATCH, strategy=self.config.batches)
        logits = evaluate(self.network, loader, classification_step()).outputs
        return logits.softmax(-1)[:, 1].double().numpy()

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts),) 1 for spam, 0 for ham."""
        return (self.predict_proba(texts) >= self.config.threshold).astype(int)

    def save(self, folder: Path) -> Path:
        """Tensors and JSON in a folder."""
        names = self.features.names if self.features else None
        description = {"task": "sms", "config": asdict(self.config)}
        return save_checkpoint(
            folder, self.network.state_dict(), description | {"tokens": self.vocabulary.tokens[2:], "features": names}
        )

    @classmethod
    def load(cls, folder: Path) -> "SpamModel":
        """Read what save() wrote.

        Raises:
            CheckpointError: missing, damaged, or the model of another task.
        """
        tensors, description = load_checkpoint(folder, "sms")
        vocabulary, names = Vocabulary(description["tokens"]), description["features"]
        features = FeatureVocabulary(names) if names else None
        # only the size of pretrained vectors matters here: their values come with the tensors
        vectors = np.zeros(tensors["embedding.words.weight"].shape, dtype=np.float32)
        model = cls(SmsConfig(**description["config"]), vocabulary, features, vectors=vectors)
        model.network.load_state_dict(tensors)
        return model


def build_network(config: SmsConfig, num_tokens: int, num_features: int = 0, vectors=None) -> TextClassifier:
    """The network of a configuration, freshly initialised."""
    c = config
    embedding = TokenEmbedding(
        num_tokens, c.embedding_dim, vectors=vectors, freeze=c.freeze, num_features=num_features,
        word_dropout=c.word_dropout, feature_dropout=c.feature_dropout,
    )  # fmt: skip
    encoder = RecurrentEncoder(
        c.embedding_dim, c.hidden_size, cell=c.cell, num_layers=c.num_layers, bidirectional=c.bidirectional,
        dropout=c.dropout, packed=c.packed,
    )  # fmt: skip
    return TextClassifier(
        embedding, encoder, num_classes=2, pooling=c.pooling, dense=c.dense, activation=c.activation, dropout=c.dropout
    )


def logits_metrics(targets: Tensor, logits: Tensor) -> dict[str, float]:
    """Binary metrics at probability 0.5."""
    return binary_metrics(targets.numpy(), logits.argmax(-1).numpy())


def fit_texts(
    config: SmsConfig,
    texts: Sequence[str],
    targets: np.ndarray,
    *,
    seed: int,
    on_epoch=None,
    verbose=False,
    trainer=fit,
) -> tuple[SpamModel, History]:
    """Train on these messages and nothing else; the validation part comes out of them.

    A training that was interrupted goes on where it stood.

    Args:
        targets: (len(texts),) 0 ham, 1 spam.
        seed: of validation part, initial weights, batches and dropout.
        trainer: called as fit is (fit_on of tasks.distributed, for several processes).
    """
    generator = settings.seed_everything(seed)
    texts, targets = np.asarray(texts, dtype=object), np.asarray(targets)
    rows = Split(np.arange(len(texts)), np.arange(0))
    if config.valid_share:
        rows = stratified_split(targets, seed=seed, test_size=config.valid_share)
    model = untrained(config, texts[rows.train], seed)
    sides = [model.encode(texts[side], targets[side]) for side in (rows.train, rows.test)]
    loaders = Loaders(
        make_loader(sides[0], config.batch_size, strategy=config.batches, generator=generator),
        make_loader(sides[1], EVALUATION_BATCH, strategy=config.batches) if config.valid_share else None,
    )
    weights = torch.tensor([1.0, config.spam_weight])
    step = classification_step(label_smoothing=config.label_smoothing, class_weights=weights)
    optimizers, schedulers = make_optimizers(config, model.network, config.epochs * len(loaders.train))
    read = digest(texts, targets, model.network.embedding.words.weight.detach().numpy())
    with recovery("sms", config=asdict(config), seed=seed, messages=read) as kept:
        history = trainer(
            model.network, loaders, step, optimizers=optimizers, schedulers=schedulers, epochs=config.epochs,
            metrics=logits_metrics, patience=config.patience, clip=config.clip, ema=config.ema,
            on_epoch=on_epoch, verbose=verbose, recovery=kept,
        )  # fmt: skip
    return model, history


def untrained(config: SmsConfig, texts: Sequence[str], seed: int) -> SpamModel:
    """A model that knows the words of the training messages and of its vectors, and nothing else yet."""
    tokens = [tokenize(text, config.scheme) for text in texts]
    features = None
    if config.feature_count:
        features = FeatureVocabulary.build(tokens, min_count=config.feature_count)
        tokens = [[word_form(token) for token in sequence] for sequence in tokens]
    min_count = max(1, config.feature_count)  # with features, a rare word is better known by its parts
    words, matrix = read_vectors(obtain_or_sample(config.vectors)[0]) if config.vectors else ((), None)
    vocabulary = Vocabulary.build(tokens, min_count=min_count, extra=words)
    vectors = None if matrix is None else embedding_matrix(vocabulary.tokens, words, matrix, seed=seed)[0]
    return SpamModel(config, vocabulary, features, vectors=vectors)


def make_optimizers(config: SmsConfig, network: TextClassifier, steps: int) -> tuple[list, list]:
    """AdamW over everything, and the one-cycle schedule where the configuration anneals."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    if not config.anneal:
        return [optimizer], []
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=max(steps, 20), pct_start=0.1)
    return [optimizer], [schedule]


def messages(rows: int | None = None) -> pd.DataFrame:
    """The corpus as loaded, duplicates included: label, text, target (1 for spam), group (near-duplicates share one).

    Args:
        rows: take a stratified subset of about this many (profile quick); None takes all.
    """
    loaded = load_sms()
    frame = loaded.assign(target=(loaded["label"] == "spam").astype(int), group=fold_text(loaded["text"]))
    if rows is not None and rows < len(frame):
        kept = stratified_split(frame["target"], seed=settings.SEED, test_size=rows).test
        frame = frame.iloc[kept].reset_index(drop=True)
    frame.attrs = loaded.attrs
    return frame


def split_messages(kind: str, seed: int, rows: int | None = None) -> tuple[pd.DataFrame, Split]:
    """The messages and their 80/20 split.

    Args:
        kind: "random" (exact duplicates removed, stratified), "grouped" (near-duplicates kept together as well) or
            "duplicates" (nothing removed: the mistake, to be measured).

    Raises:
        ValueError: another kind.
    """
    if kind not in SPLITS:
        raise ValueError(f"split {kind!r} is not one of {', '.join(SPLITS)}")
    frame = messages(rows)
    if kind != "duplicates":
        frame = deduplicate(frame, "text", "label")
    if kind == "grouped":
        return frame, grouped_split(frame["target"], frame["group"], seed=seed)
    return frame, stratified_split(frame["target"], seed=seed)


@dataclass(frozen=True)
class Result:
    """A trained model and how it did on the test side of its split."""

    metrics: dict[str, float]
    model: SpamModel
    history: History
    test: pd.DataFrame  # label, text, target, group, probability; attrs as loaded


def train(
    config: SmsConfig | str,
    *,
    split_seed: int,
    model_seed: int = 0,
    split: str = "random",
    rows=None,
    epochs=None,
    **options,
) -> Result:
    """Train a configuration on 80% of the messages and score it on the other 20%.

    Args:
        config: a Config, or the name of one in CONFIGS.
        split_seed: 0 is the development split.
        model_seed: of everything random in training.
        split: "random", "grouped" or "duplicates", as in split_messages.
        rows: use a stratified subset of this size; None uses all messages.
        epochs: instead of the configuration's.
        options: on_epoch and verbose, as in fit; trainer, as in fit_texts.

    Raises:
        ValueError: unknown name.
    """
    config = named(config, CONFIGS)
    if epochs is not None:
        config = replace(config, epochs=epochs)
    frame, sides = split_messages(split, split_seed, rows)
    train_side, test = frame.iloc[sides.train], frame.iloc[sides.test]
    start = time.perf_counter()
    texts, targets = train_side["text"].to_numpy(), train_side["target"].to_numpy()
    model, history = fit_texts(config, texts, targets, seed=model_seed, **options)
    seconds = time.perf_counter() - start
    test = test.assign(probability=model.predict_proba(test["text"].to_numpy()))
    metrics = binary_metrics(test["target"], test["probability"] >= config.threshold)
    return Result(metrics | _course(model, history) | {"train_seconds": seconds}, model, history, test)


def _course(model: SpamModel, history: History) -> dict[str, float]:
    """How training went: size, epochs, and what was measured on validation at the epoch that was kept."""
    best = history.rows[history.best_epoch - 1]
    facts = {"parameters": num_trainable_parameters(model.network), "best_epoch": history.best_epoch}
    return facts | {"epochs": len(history.rows)} | {n: best[n] for n in ("valid_f1", "valid_loss") if n in best}
