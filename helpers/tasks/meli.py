"""MeLi titles: configurations by name, a model that reads titles, and its training. The corpus is in meli_titles."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from helpers import settings
from helpers.data.batching import RaggedTexts, SubwordTitles, WordTitles, from_description, make_loader
from helpers.data.splits import stratified_split
from helpers.data.text import stopwords_es, title_tokens
from helpers.files import digest, hash_of
from helpers.model import training
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
from helpers.model.training import History, Loaders, classification_step
from helpers.tasks.base import Result, TextModel, check_texts, loaded, named, read_saved, training_facts
from helpers.tasks.meli_titles import FIRST_SPLIT_SEED, FOLDS, categories, folds, is_whole, load, prepared, split

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FIRST_SPLIT_SEED", "FOLDS", "categories", "folds", "is_whole", "load", "split"]  # of meli_titles

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

# Experiments on a tenth of the training titles: one factor at a time, and a random search
TRIALS = 30
BASE = replace(BASELINE, epochs=60, patience=4)  # to the plateau, the best epoch on validation kept
FACTORS: dict[str, dict[str, MeliConfig]] = {
    "base": {"base": BASE},
    "hidden_size": {f"hidden_size={n}": replace(BASE, hidden_size=n) for n in (64, 256)},
    "dense": {f"dense={n}": replace(BASE, dense=n) for n in (128, 256)},
    "activation": {f"dense=256 {name}": replace(BASE, dense=256, activation=name) for name in ("gelu", "mish", "tanh")},
    "lr": {f"lr={lr}": replace(BASE, lr=lr) for lr in (1e-4, 3e-4, 3e-3, 1e-2)},
    "optimizer": {f"sgd lr={lr}": replace(BASE, optimizer="sgd", lr=lr) for lr in (0.1, 0.5)},
    "weight_decay": {f"weight_decay={wd}": replace(BASE, weight_decay=wd) for wd in (1e-5, 1e-4, 1e-3)},
    "freeze": {"freeze=False": replace(BASE, freeze=False)},
    "vectors": {f"vectors={name}": replace(BASE, vectors=name) for name in ("word2vec", "random")},
    "pooling": {"pooling=max+mean": replace(BASE, pooling="max+mean")},
    "dropout": {f"dropout={p}": replace(BASE, dropout=p) for p in (0.0, 0.3, 0.5)},
    "num_layers": {"num_layers=2": replace(BASE, num_layers=2)},
}
SPACE = {
    "hidden_size": (64, 128, 256),
    "dense": (0, 128, 256),
    "activation": ("relu", "gelu", "mish", "tanh"),
    "lr": (3e-4, 1e-3, 3e-3, 1e-2),
    "optimizer": ("adam", "adam", "sgd"),
    "weight_decay": (0.0, 1e-5, 1e-4),
    "freeze": (True, False),
    "pooling": ("last", "max+mean"),
    "dropout": (0.1, 0.3, 0.5),
    "batch_size": (64, 128),
}


def random_configs(count: int = TRIALS, seed: int = settings.SEED) -> dict[str, MeliConfig]:
    """Configurations drawn from SPACE, each value equally likely; SGD gets 100 times the learning rate of Adam."""
    generator, drawn = np.random.default_rng(seed), {}
    while len(drawn) < count:
        values = {name: choices[generator.integers(len(choices))] for name, choices in SPACE.items()}
        if values["optimizer"] == "sgd":
            values["lr"] *= 100
        drawn.setdefault(hash_of(values), replace(BASE, **values))
    return {f"s{number:02d}": config for number, config in enumerate(drawn.values())}


SEARCH = random_configs()
CONFIGS = {
    "baseline": BASELINE,
    "mlp": MLP,
    "seed_final": SEED_FINAL,
    "seed_longer": SEED_LONGER,
    "best": BEST,
    "averaged": AVERAGED,
    **ATTEMPTS,
    **{name: config for group in FACTORS.values() for name, config in group.items()},
    **SEARCH,
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
TRAIN_CHECKED = 60_000  # training rows that are scored once more after training


class MeliModel(TextModel):
    """A title classifier: configuration, representation, names of the categories, network.

    Example:
        >>> model = MeliModel.load("artifacts/meli-best")
        >>> model.top(["Funda Samsung J7 Prime"], k=2)
        [[('CELLPHONE_COVERS', 0.99), ('TABLET_CASES', 0.01)]]
    """

    task, batch_size, strategy = "meli", EVALUATION_BATCH, "equal"

    def __init__(self, config: MeliConfig, reader: WordTitles | SubwordTitles, categories: Sequence[str], vectors=None):
        self.config, self.reader, self.categories = config, reader, list(categories)
        self.network = build_network(config, reader, len(self.categories), vectors)

    def dataset(self, texts: Sequence[str] | Sequence[list[str]], targets=None) -> RaggedTexts:
        """Titles (raw, or their tokens) as ids."""
        return self.reader.encode(texts, None if targets is None else np.array(targets))

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), categories) float32 probabilities.

        Raises:
            TypeError: an element is not a string (names its position).
        """
        check_texts(texts, "title")
        if len(texts) == 0:
            return np.zeros((0, len(self.categories)), dtype=np.float32)
        return class_scores(self.network, self.dataset(texts), self.batch_size).softmax(-1).cpu().numpy()

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts),) names of the likeliest categories."""
        return np.array(self.categories, dtype=object)[self.predict_proba(texts).argmax(1)]

    def top(self, texts: Sequence[str], k: int = 5) -> list[list[tuple[str, float]]]:
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

    def description(self) -> dict:
        """Names of the categories, and what the representation holds."""
        return {"categories": self.categories, "reader": self.reader.description()}

    @classmethod
    def load(cls, folder: str | Path) -> MeliModel:
        """Read what save() wrote, onto the device that DEVICE names.

        Raises:
            CheckpointError: missing, damaged, of another task, or of a version that this code does not know.
        """
        tensors, description, config = read_saved(folder, cls.task, MeliConfig)
        return loaded(cls(config, from_description(description["reader"]), description["categories"]), tensors)


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


def fit(
    config: MeliConfig, train: pd.DataFrame, valid: pd.DataFrame | None, *, seed: int,
    categories: Sequence[str] | None = None, reader: WordTitles | SubwordTitles | None = None,
    vectors: np.ndarray | None = None, on_epoch=None, verbose=False, trainer=training.fit,
) -> tuple[MeliModel, History]:  # fmt: skip
    """Train on these titles and nothing else; a training that was interrupted goes on where it stood.

    Args:
        train, valid: title, category, target; without a validation side all epochs are run and nothing is watched.
        seed: of initial weights, batches and dropout.
        categories: names in the order of the targets; None: those of the training side, which must have them all.
        reader: the representation; None builds the subwords of the training side.
        vectors: (len(reader.vocabulary), embedding_dim) of a WordTitles (see word_reader).
        on_epoch, verbose: as in training.fit.
        trainer: called as training.fit is (distributed.fit_on, for several processes).

    Raises:
        ValueError: words without a reader, or a target without a name.
    """
    model, _, history = _fitted(
        config, train, valid, seed, categories, reader, vectors, on_epoch=on_epoch, verbose=verbose, trainer=trainer
    )
    return model, history


def _fitted(
    config: MeliConfig, train: pd.DataFrame, valid: pd.DataFrame | None, seed: int, names: Sequence[str] | None,
    reader: WordTitles | SubwordTitles | None, vectors: np.ndarray | None, *, trainer=training.fit, **options,
) -> tuple[MeliModel, RaggedTexts, History]:  # fmt: skip
    """As fit, and the training titles as ids."""
    generator = settings.seed_everything(seed)
    texts, targets = _columns(train)
    if reader is None and config.representation == "words":
        raise ValueError("titles read as words need a dictionary: pass reader and vectors, as word_reader() makes them")
    tokens = texts
    if reader is None:  # cut once, for the reader and for the data
        tokens = [title_tokens(title) for title in texts]
        reader = SubwordTitles.build(tokens, min_count=config.min_count, pairs=config.pairs)
    model = MeliModel(config, reader, _names(train) if names is None else names, vectors).to(settings.device())
    data = model.dataset(tokens, targets)
    loaders = Loaders(
        make_loader(data, config.batch_size, strategy="equal", generator=generator),
        None if valid is None else make_loader(model.dataset(*_columns(valid)), EVALUATION_BATCH, strategy="equal"),
    )
    optimizers, schedulers = make_optimizers(config, model.network, config.epochs * len(loaders.train))
    read = digest(texts, targets, *(() if valid is None else _columns(valid)), vectors)
    with recovery("meli", config=asdict(config), seed=seed, titles=read) as kept:
        history = trainer(
            model.network, loaders, titles_step(config.label_smoothing), optimizers=optimizers, schedulers=schedulers,
            epochs=config.epochs, metrics=class_metrics, patience=config.patience, watch="valid_balanced_accuracy",
            higher_is_better=True, recovery=kept, **options,
        )  # fmt: skip
    return model, data, history


def _columns(side: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return side["title"].to_numpy(), side["target"].to_numpy()


def _names(train: pd.DataFrame) -> list[str]:
    names = categories(train)
    if len(names) <= train["target"].max():
        raise ValueError(f"{len(names)} categories in training, targets up to {train['target'].max()}: pass categories")
    return names


def predicted_classes(model: MeliModel, titles: Sequence[str] | RaggedTexts) -> np.ndarray:
    """(len(titles),) numbers of the likeliest categories, of raw titles or of a data set."""
    data = titles if isinstance(titles, RaggedTexts) else model.dataset(titles)
    return model.outputs(data, lambda network, batch: network(batch).argmax(-1)).numpy()


def word_reader(
    config: MeliConfig, split_seed: int, rows: int | None, *, frame: pd.DataFrame | None = None
) -> tuple[WordTitles | None, np.ndarray | None]:
    """Dictionary and vectors of the training side, as notebook 02 makes them; (None, None) for subwords.

    Args:
        split_seed, rows, frame: as in meli_titles.prepared().
    """
    if config.representation == "subwords":
        return None, None
    made, vectors = prepared(split_seed, rows, frame=frame), None
    if config.vectors != "random":
        vectors = made.vectors(None if config.vectors == "pretrained" else config.vectors)
    return WordTitles(made.vocabulary, stopwords_es()), vectors


def train(
    config: MeliConfig | str, *, split_seed: int, model_seed: int | None = None, rows: int | None = None,
    epochs: int | None = None, **options,
) -> Result:  # fmt: skip
    """Train a configuration on the training side of a split (with config.valid=False: and its validation side).

    Args:
        config: a MeliConfig, or the name of one in CONFIGS.
        split_seed: 0 is the development split. With the course's whole set the split is the course's own.
        model_seed: of everything random in training; None: the split seed.
        rows: use whole categories with about so many titles; None uses all titles.
        epochs: instead of the configuration's.
        options: on_epoch, verbose and trainer, as in fit.

    Returns:
        Metrics: test_ and train_accuracy and _balanced_accuracy, test_low and test_high (95% bootstrap interval of the
        balanced accuracy), parameters, best_epoch, epochs, valid_balanced_accuracy, valid_accuracy, valid_loss,
        train_seconds; in test the predicted class numbers, under the row numbers of load(rows).

    Raises:
        ValueError: unknown name.

    Example:
        >>> result = train("mlp", split_seed=1)
        >>> result.metrics["test_balanced_accuracy"], result.model.save("artifacts/meli-mlp")
    """
    config = named(config, CONFIGS)
    if epochs is not None:
        config = replace(config, epochs=epochs)
    seed = split_seed if model_seed is None else model_seed
    frame = load(rows)
    sides = split(frame, split_seed) if config.valid else split(frame, split_seed).joined()
    train_side, test = frame.iloc[sides.train], frame.iloc[sides.test]
    valid = frame.iloc[sides.valid] if config.valid else None
    read = word_reader(config, split_seed, rows, frame=frame)
    start = time.perf_counter()
    model, data, history = _fitted(config, train_side, valid, seed, categories(frame), *read, **options)
    seconds = time.perf_counter() - start
    test = test.assign(predicted=predicted_classes(model, test["title"].to_numpy()))
    metrics = _seen_again(model, data, seed) | course(model, history) | scored(test["target"], test["predicted"])
    return Result(metrics | {"train_seconds": seconds}, model, history, test)


def _seen_again(model: MeliModel, data: RaggedTexts, seed: int) -> dict[str, float]:
    """Metrics of the trained model on the titles that it was trained on, or on some of them where there are many."""
    rows = np.random.default_rng(seed).permutation(len(data))[:TRAIN_CHECKED]
    types = None if data.types is None else data.types.subset(rows)
    some = RaggedTexts(data.tokens.subset(rows), data.targets[rows], types, data.type_features)
    found = multiclass_metrics(some.targets.numpy(), predicted_classes(model, some))
    return {f"train_{name}": value for name, value in found.items()}


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
    watched = ("valid_balanced_accuracy", "valid_accuracy", "valid_loss")
    return training_facts(num_trainable_parameters(model.network), history, watched)
