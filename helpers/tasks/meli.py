"""The configurations of the MeLi models, by name. A MeLi title classifier that can be saved, loaded and asked. MeLi: training a title classifier on a split, and scoring it."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from helpers import settings
from helpers.data.batching import SubwordTitles, WordTitles, from_description, make_loader
from helpers.data.splits import stratified_split
from helpers.data.text import stopwords_es
from helpers.files import digest
from helpers.model.checkpoints import load_checkpoint, save_checkpoint
from helpers.model.metrics import bootstrap_interval, multiclass_metrics
from helpers.model.networks import (
    MLPClassifier,
    RecurrentEncoder,
    TextClassifier,
    TokenEmbedding,
    num_trainable_parameters,
)
from helpers.model.recovery import recovery
from helpers.model.scoring import class_scores
from helpers.model.training import History, Loaders, classification_step, evaluate, fit
from helpers.tasks.base import named
from helpers.tasks.meli_titles import Parts, categories, partitions, prepared, titles

REVISION = 1  # raise it when numbers change on purpose: the rows of the studies are then run again


@dataclass(frozen=True)
class MeliConfig:
    """One title classifier and how it is trained. The defaults are the assignment's baseline.

    `cell="none"` has no recurrence: averaged vectors, then one hidden layer (an MLP), or none (dense=0).
    """

    representation: str = "words"  # "words" (cleaned, with word vectors) or "subwords" (as written, with n-grams)
    vectors: str = "pretrained"  # of words: "pretrained", "fasttext", "word2vec" or "random"
    freeze: bool = True
    embedding_dim: int = 300
    min_count: int = 2  # titles that a part or pair must stand in; words have their own rule
    pairs: bool = True
    cell: str = "lstm"
    hidden_size: int = 128
    num_layers: int = 1
    pooling: str = "last"
    skip: bool = False  # summed embeddings join the states
    dense: int = 0
    activation: str = "relu"
    dropout: float = 0.1
    pair_dropout: float = 0.0
    part_dropout: float = 0.0
    optimizer: str = "adam"  # "adam", "adamw" or "sgd" (momentum 0.9)
    lr: float = 1e-3
    sparse_lr: float = 1e-3  # of trainable embeddings, which SparseAdam moves
    weight_decay: float = 0.0
    anneal: bool = False  # learning rate up over the first tenth of training, then linearly down to 0
    label_smoothing: float = 0.0
    batch_size: int = 128
    epochs: int = 5
    patience: int | None = None
    valid: bool = True  # False: the validation side joins the training side, and nothing is watched


BASELINE = MeliConfig()
MLP = replace(BASELINE, cell="none", dense=256)
# "hidden_layer=254" is read as 256 units, once for each direction of the LSTM and once for the extra ReLU layer
SEED_FINAL = replace(BASELINE, hidden_size=256, dense=256, weight_decay=1e-5)
SEED_LONGER = replace(SEED_FINAL, epochs=10)
BEST = MeliConfig(
    representation="subwords", freeze=False, embedding_dim=200, hidden_size=200, pooling="max+mean", skip=True,
    dropout=0.5, pair_dropout=0.2, part_dropout=0.2, optimizer="adamw", lr=2e-3, sparse_lr=4e-3, anneal=True,
    label_smoothing=0.1, epochs=6, valid=False,
)  # fmt: skip
AVERAGED = replace(BEST, cell="none", dense=0, dropout=0.2)  # fastText's classifier on the same subwords
ATTEMPTS = {  # what was tried on the way to BEST, one step away from it each
    "no_skip": replace(BEST, skip=False),
    "no_pairs": replace(BEST, pairs=False),
    "no_smoothing": replace(BEST, label_smoothing=0.0),
}
CONFIGS = {
    "baseline": BASELINE,
    "mlp": MLP,
    "seed_final": SEED_FINAL,
    "seed_longer": SEED_LONGER,
    "best": BEST,
    "averaged": AVERAGED,
}
NAMES = {  # as tables and figures call them
    "baseline": "base (BiLSTM 128)",
    "mlp": "MLP sobre embeddings promediados",
    "seed_final": "modelo final del trabajo",
    "seed_longer": "modelo final del trabajo, 10 épocas",
    "best": "nuestro mejor BiLSTM",
    "averaged": "promedio de subpalabras (fastText)",
    "word_nb": "TF-IDF de palabras, ComplementNB",
    "char_nb": "TF-IDF de caracteres, ComplementNB",
    "word_sgd": "TF-IDF de palabras, lineal (SGD)",
    "char_sgd": "TF-IDF de caracteres, lineal (SGD)",
    "no_skip": "… sin el atajo de los vectores a la salida",
    "no_pairs": "… sin los pares de palabras",
    "no_smoothing": "… sin suavizado de rótulos",
}


EVALUATION_BATCH = 512


class MeliModel:
    """A network with everything needed to read raw titles: configuration, representation, names of the categories."""

    def __init__(self, config: MeliConfig, reader: WordTitles | SubwordTitles, categories: Sequence[str], vectors=None):
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
        model = cls(
            MeliConfig(**description["config"]), from_description(description["reader"]), description["categories"]
        )
        model.network.load_state_dict(tensors)
        return model


def build_network(config: MeliConfig, reader: WordTitles | SubwordTitles, num_classes: int, vectors=None) -> nn.Module:
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


TRAIN_CHECKED = 60_000  # training rows that are scored once more after training


def make_optimizers(config: MeliConfig, network: nn.Module, steps: int) -> tuple[list, list]:
    """One optimizer for what is dense, SparseAdam for embeddings that move; and their schedules."""
    sparse = [m.weight for m in network.modules() if getattr(m, "sparse", False) and m.weight.requires_grad]
    known = {id(weight) for weight in sparse}
    dense = [p for p in network.parameters() if p.requires_grad and id(p) not in known]
    if config.optimizer == "sgd":
        optimizers = [torch.optim.SGD(dense, lr=config.lr, momentum=0.9, weight_decay=config.weight_decay)]
    else:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
        optimizers = [kind(dense, lr=config.lr, weight_decay=config.weight_decay)]
    if sparse:
        optimizers.append(torch.optim.SparseAdam(sparse, lr=config.sparse_lr))
    if not config.anneal:
        return optimizers, []

    def share(step: int) -> float:
        return min((step + 1) / max(1, steps // 10), (steps - step) / (steps - steps // 10))

    return optimizers, [torch.optim.lr_scheduler.LambdaLR(optimizer, share) for optimizer in optimizers]


def titles_step(label_smoothing: float):
    """Cross-entropy; the outputs kept are the predicted classes: logits of millions of titles would not fit."""
    classify = classification_step(label_smoothing=label_smoothing)

    def step(model: nn.Module, batch) -> tuple[Tensor, Tensor]:
        loss, logits = classify(model, batch)
        return loss, logits.argmax(-1)

    return step


def class_metrics(targets: Tensor, classes: Tensor) -> dict[str, float]:
    """Accuracy and balanced accuracy."""
    return multiclass_metrics(targets.numpy(), classes.numpy())


@dataclass(frozen=True)
class Result:
    """A trained model and how it did on the test side of its split."""

    metrics: dict[str, float]
    model: MeliModel
    history: History
    test: pd.DataFrame  # rows of the test side, with `predicted`, the class foretold


def fit_titles(
    config: MeliConfig, frame: pd.DataFrame, train: np.ndarray, valid: np.ndarray | None, *, reader=None, vectors=None,
    seed: int, on_epoch=None, verbose=False, trainer=fit,
) -> tuple[MeliModel, History]:  # fmt: skip
    """Train on these rows of the frame and nothing else; a training that was interrupted goes on where it stood.

    Args:
        train, valid: row numbers; without a validation side all epochs are run and nothing is watched.
        reader: the representation; None builds the subwords of the training rows.
        vectors: (len(reader.vocabulary), embedding_dim) of a WordTitles.
        seed: of initial weights, batches and dropout.
        trainer: called as fit is (fit_on of tasks.distributed, for several processes).
    """
    generator = settings.seed_everything(seed)
    if reader is None:
        texts = frame["title"].to_numpy()[train]
        reader = SubwordTitles.build(texts, min_count=config.min_count, pairs=config.pairs)
    model = MeliModel(config, reader, categories(frame), vectors)
    loaders = Loaders(
        side_loader(model, frame, train, config.batch_size, generator),
        None if valid is None else side_loader(model, frame, valid),
    )
    optimizers, schedulers = make_optimizers(config, model.network, config.epochs * len(loaders.train))
    with recovery("meli", config=asdict(config), seed=seed, titles=_read(frame, train, valid, vectors)) as kept:
        history = trainer(
            model.network, loaders, titles_step(config.label_smoothing), optimizers=optimizers, schedulers=schedulers,
            epochs=config.epochs, metrics=class_metrics, patience=config.patience, watch="valid_balanced_accuracy",
            higher_is_better=True, on_epoch=on_epoch, verbose=verbose, recovery=kept,
        )  # fmt: skip
    return model, history


def _read(frame: pd.DataFrame, train: np.ndarray, valid: np.ndarray | None, vectors: np.ndarray | None) -> str:
    """Digest of all that a training reads."""
    sides = [train] if valid is None else [train, valid]
    columns = [frame[name].to_numpy()[rows] for rows in sides for name in ("title", "target")]
    return digest(*columns, vectors)


def side_loader(
    model: MeliModel, frame: pd.DataFrame, rows: np.ndarray, batch_size: int = EVALUATION_BATCH, generator=None
) -> DataLoader:
    """Batches of equal length of these rows; shuffled where a generator is given."""
    data = model.reader.encode(frame["title"].to_numpy()[rows], frame["target"].to_numpy()[rows])
    return make_loader(data, batch_size, strategy="equal", generator=generator)


def predicted_classes(model: MeliModel, frame: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """(len(rows),) classes foretold."""
    return evaluate(model.network, side_loader(model, frame, rows), titles_step(0.0)).outputs.numpy()


def train(
    config: MeliConfig | str, *, split_seed: int, model_seed: int = 0, rows: int | None = None, epochs: int | None = None,
    **options,
) -> Result:  # fmt: skip
    """Train a configuration on the training side of a split (best: and its validation side), and score it on the test.

    Args:
        config: a Config, or the name of one in CONFIGS.
        split_seed: 0 is the development split. With the course's whole set the split is the course's own.
        model_seed: of everything random in training.
        rows: use a stratified subset of this size; None uses all titles.
        epochs: instead of the configuration's.
        options: on_epoch and verbose, as in fit; trainer, as in fit_titles.

    Raises:
        ValueError: unknown name.
    """
    config = named(config, CONFIGS)
    if epochs is not None:
        config = replace(config, epochs=epochs)
    frame = titles(rows)
    parts = partitions(frame, split_seed)
    reader, vectors = word_reader(config, split_seed, rows)
    train_rows, valid_rows = sides(config, parts)
    start = time.perf_counter()
    model, history = fit_titles(
        config, frame, train_rows, valid_rows, reader=reader, vectors=vectors, seed=model_seed, **options
    )
    seconds = time.perf_counter() - start
    test = frame.iloc[parts.test].assign(predicted=predicted_classes(model, frame, parts.test))
    checked = np.random.default_rng(model_seed).permutation(train_rows)[:TRAIN_CHECKED]
    seen = multiclass_metrics(frame["target"].to_numpy()[checked], predicted_classes(model, frame, checked))
    metrics = {f"train_{name}": value for name, value in seen.items()} | course(model, history)
    metrics |= scored(test["target"], test["predicted"]) | {"train_seconds": seconds}
    return Result(metrics, model, history, test)


def word_reader(config: MeliConfig, split_seed: int, rows: int | None) -> tuple[WordTitles | None, np.ndarray | None]:
    """Dictionary and vectors of the training side, as notebook 02 makes them; (None, None) for subwords."""
    if config.representation == "subwords":
        return None, None
    made = prepared(split_seed, rows)
    vectors = None
    if config.vectors != "random":
        vectors = made.vectors(None if config.vectors == "pretrained" else config.vectors)
    return WordTitles(made.vocabulary, stopwords_es()), vectors


def sides(config: MeliConfig, parts: Parts) -> tuple[np.ndarray, np.ndarray | None]:
    """Training rows and validation rows; joined, and None, where the configuration watches nothing."""
    return (parts.train, parts.valid) if config.valid else (np.union1d(parts.train, parts.valid), None)


def take_share(frame: pd.DataFrame, rows: np.ndarray, share: float, *, seed: int) -> np.ndarray:
    """A stratified share of these rows."""
    if share >= 1:
        return rows
    return rows[stratified_split(frame["target"].to_numpy()[rows], seed=seed, test_size=share).test]


def scored(targets, predicted) -> dict[str, float]:
    """Accuracy and balanced accuracy on the test side, with the latter's 95% bootstrap interval over rows."""
    low, high = bootstrap_interval("balanced_accuracy", targets, predicted, seed=settings.SEED)
    values = multiclass_metrics(targets, predicted)
    return {f"test_{name}": value for name, value in values.items()} | {"test_low": low, "test_high": high}


def course(model: MeliModel, history: History) -> dict[str, float]:
    """How training went: size, epochs, and what was measured on validation at the epoch that was kept."""
    best = history.rows[history.best_epoch - 1]
    facts = {"parameters": num_trainable_parameters(model.network), "best_epoch": history.best_epoch}
    watched = ("valid_balanced_accuracy", "valid_accuracy", "valid_loss")
    return facts | {"epochs": len(history.rows)} | {name: best[name] for name in watched if name in best}
