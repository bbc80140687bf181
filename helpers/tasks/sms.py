"""SMS spam: configurations by name, the splits, a model that reads messages, and its training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
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
from helpers.model import training
from helpers.model.metrics import binary_metrics
from helpers.model.networks import RecurrentEncoder, TextClassifier, TokenEmbedding, num_trainable_parameters
from helpers.model.recovery import recovery
from helpers.model.training import History, Loaders, classification_step
from helpers.tasks.base import Result, TextModel, check_texts, loaded, named, read_saved, training_facts

if TYPE_CHECKING:
    import pandas as pd

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
KINDS = ("random", "grouped", "duplicates")  # of splits
FIRST_SPLIT_SEED = 1  # 0 is for development; reported seeds begin here


def load(rows: int | None = None) -> pd.DataFrame:
    """The corpus, repeats included: label, text, target (1 for spam), group (near-duplicates share one).

    Args:
        rows: take a stratified subset of about this many (profile quick); None takes all.
    """
    corpus = load_sms()
    frame = corpus.assign(target=(corpus["label"] == "spam").astype(int), group=fold_text(corpus["text"]))
    if rows is not None and rows < len(frame):
        kept = stratified_split(frame["target"], seed=settings.SEED, test_size=rows).test
        frame = frame.iloc[kept].reset_index(drop=True)
    frame.attrs = corpus.attrs
    return frame


def split(frame: pd.DataFrame, seed: int, kind: str = "random", *, valid_share: float = 0.1) -> Split:
    """Row numbers of a stratified 80/20 split, and of a validation side out of its training side.

    Args:
        frame: as load() returns it.
        kind: "random" (all but the first of equal messages left out), "grouped" (near-duplicates kept together as
            well) or "duplicates" (nothing left out: the mistake, to be measured).
        valid_share: of the training side; 0 leaves it whole, and validation empty.

    Raises:
        ValueError: another kind.
    """
    if kind not in KINDS:
        raise settings.WrongValue(f"split {kind!r} is not one of {', '.join(KINDS)}")
    kept = frame.assign(row=np.arange(len(frame)))
    if kind != "duplicates":
        kept = deduplicate(kept, "text", "label")
    rows, targets = kept["row"].to_numpy(), kept["target"].to_numpy()
    outer = (
        grouped_split(targets, kept["group"], seed=seed) if kind == "grouped" else stratified_split(targets, seed=seed)
    )
    train, test = rows[outer.train], rows[outer.test]
    if not valid_share:
        return Split(train, train[:0], test)
    inner = stratified_split(targets[outer.train], seed=seed, test_size=valid_share)
    return Split(train[inner.train], train[inner.test], test)


class SpamModel(TextModel):
    """A spam classifier: configuration, vocabulary, features of rare tokens, network.

    Example:
        >>> model = train("best", split_seed=1).model
        >>> model.predict(["WINNER! Claim your prize now"])
        array([1])
    """

    task, batch_size = "sms", EVALUATION_BATCH

    def __init__(self, config: SmsConfig, vocabulary: Vocabulary, features: FeatureVocabulary | None, *, vectors=None):
        self.config, self.vocabulary, self.features = config, vocabulary, features
        self.strategy = config.batches
        self.network = build_network(config, len(vocabulary), len(features) if features else 0, vectors)

    def dataset(self, texts: Sequence[str] | Sequence[list[str]], targets=None) -> EncodedTexts:
        """Raw (or already tokenised) messages as ids."""
        c = self.config
        targets = None if targets is None else np.array(targets)
        return EncodedTexts(
            texts, targets, self.vocabulary, features=self.features, scheme=c.scheme, max_tokens=c.max_tokens
        )

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), 2) probabilities of ham and spam.

        Raises:
            TypeError: an element is not a string (names its position).
        """
        check_texts(texts, "message")
        if len(texts) == 0:
            return np.zeros((0, 2))
        logits = self.outputs(self.dataset(texts), lambda network, batch: network(batch))
        return logits.softmax(-1).double().numpy()

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts),) 1 for spam, 0 for ham."""
        return (self.predict_proba(texts)[:, 1] >= self.config.threshold).astype(int)

    def description(self) -> dict:
        """Tokens and names of features."""
        return {"tokens": self.vocabulary.tokens[2:], "features": self.features.names if self.features else None}

    @classmethod
    def load(cls, folder: str | Path) -> SpamModel:
        """Read what save() wrote, onto the device that DEVICE names.

        Raises:
            CheckpointError: missing, damaged, of another task, or of a version that this code does not know.
        """
        tensors, description, config = read_saved(folder, cls.task, SmsConfig)
        names = description["features"]
        # only the size of pretrained vectors matters here: their values come with the tensors
        vectors = np.zeros(tensors["embedding.words.weight"].shape, dtype=np.float32)
        features = FeatureVocabulary(names) if names else None
        return loaded(cls(config, Vocabulary(description["tokens"]), features, vectors=vectors), tensors)


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


def untrained(config: SmsConfig, texts: Sequence[str] | Sequence[list[str]], seed: int) -> SpamModel:
    """A model that knows the words of the (raw or tokenised) training messages and of its vectors, nothing else yet."""
    tokens = [tokenize(text, config.scheme) if isinstance(text, str) else text for text in texts]
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


def logits_metrics(targets: Tensor, logits: Tensor) -> dict[str, float]:
    """Binary metrics at probability 0.5."""
    return binary_metrics(targets.numpy(), logits.argmax(-1).numpy())


def fit(
    config: SmsConfig, train: pd.DataFrame, valid: pd.DataFrame | None, *, seed: int, on_epoch=None, verbose=False,
    trainer=training.fit,
) -> tuple[SpamModel, History]:  # fmt: skip
    """Train on these messages and nothing else; a training that was interrupted goes on where it stood.

    Args:
        train, valid: text and target (1 for spam); without a validation side all epochs are run and nothing is watched.
        seed: of initial weights, batches and dropout.
        on_epoch, verbose: as in training.fit.
        trainer: called as training.fit is (distributed.fit_on, for several processes).
    """
    generator = settings.seed_everything(seed)
    texts, targets = _columns(train)
    tokens = [tokenize(text, config.scheme) for text in texts]
    model = untrained(config, tokens, seed).to(settings.device())
    loaders = Loaders(
        make_loader(model.dataset(tokens, targets), config.batch_size, strategy=config.batches, generator=generator),
        None if valid is None else make_loader(
            model.dataset(*_columns(valid)), EVALUATION_BATCH, strategy=config.batches
        ),
    )  # fmt: skip
    step = classification_step(
        label_smoothing=config.label_smoothing, class_weights=torch.tensor([1.0, config.spam_weight])
    )
    optimizers, schedulers = make_optimizers(config, model.network, config.epochs * len(loaders.train))
    words = model.network.embedding.words.weight.detach().cpu().numpy()
    read = digest(texts, targets, *(() if valid is None else _columns(valid)), words)
    with recovery("sms", config=asdict(config), seed=seed, messages=read) as kept:
        history = trainer(
            model.network, loaders, step, optimizers=optimizers, schedulers=schedulers, epochs=config.epochs,
            metrics=logits_metrics, patience=config.patience, clip=config.clip, ema=config.ema,
            on_epoch=on_epoch, verbose=verbose, recovery=kept,
        )  # fmt: skip
    return model, history


def _columns(side: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(side["text"], dtype=object), side["target"].to_numpy()


def train(
    config: SmsConfig | str, *, split_seed: int, model_seed: int | None = None, kind: str = "random",
    rows: int | None = None, epochs: int | None = None, **options,
) -> Result:  # fmt: skip
    """Train a configuration on 80% of the messages and score it on the other 20%.

    Args:
        config: an SmsConfig, or the name of one in CONFIGS.
        split_seed: 0 is the development split.
        model_seed: of everything random in training; None: the split seed.
        kind: of split, as in split().
        rows: use a stratified subset of this size; None uses all messages.
        epochs: instead of the configuration's.
        options: on_epoch, verbose and trainer, as in fit.

    Returns:
        Metrics: accuracy, precision, recall, f1, parameters, best_epoch, epochs, valid_f1, valid_loss, train_seconds;
        in test the probability of spam.

    Raises:
        ValueError: unknown name.

    Example:
        >>> result = train("lstm", split_seed=1)
        >>> result.metrics["f1"], result.model.save("artifacts/sms-lstm")
    """
    config = named(config, CONFIGS)
    if epochs is not None:
        config = replace(config, epochs=epochs)
    frame = load(rows)
    sides = split(frame, split_seed, kind, valid_share=config.valid_share)
    valid = frame.iloc[sides.valid] if config.valid_share else None
    start = time.perf_counter()
    seed = split_seed if model_seed is None else model_seed
    model, history = fit(config, frame.iloc[sides.train], valid, seed=seed, **options)
    seconds = time.perf_counter() - start
    test = frame.iloc[sides.test]
    test = test.assign(probability=model.predict_proba(test["text"].to_numpy())[:, 1])
    metrics = binary_metrics(test["target"], test["probability"] >= config.threshold)
    metrics |= training_facts(num_trainable_parameters(model.network), history, ("valid_f1", "valid_loss"))
    return Result(metrics | {"train_seconds": seconds}, model, history, test)
