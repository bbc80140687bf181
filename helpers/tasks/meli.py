"""MeLi: training a title classifier on a split, and scoring it."""

import time
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from helpers import settings
from helpers.data.batching import make_loader
from helpers.data.cleaning import stopwords_es
from helpers.data.splits import stratified_split
from helpers.data.titles import SubwordTitles, WordTitles
from helpers.model.metrics import multiclass_metrics
from helpers.model.networks import num_trainable_parameters
from helpers.model.significance import bootstrap_interval
from helpers.model.training import History, Loaders, classification_step, evaluate, fit
from helpers.tasks.configs import named
from helpers.tasks.meli_artifacts import prepared
from helpers.tasks.meli_config import CONFIGS, Config
from helpers.tasks.meli_data import Parts, categories, partitions, titles
from helpers.tasks.meli_model import EVALUATION_BATCH, MeliModel
from helpers.tasks.recoveries import digest, recovery

TRAIN_CHECKED = 60_000  # training rows that are scored once more after training


def make_optimizers(config: Config, network: nn.Module, steps: int) -> tuple[list, list]:
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
    config: Config, frame: pd.DataFrame, train: np.ndarray, valid: np.ndarray | None, *, reader=None, vectors=None,
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
    config: Config | str, *, split_seed: int, model_seed: int = 0, rows: int | None = None, epochs: int | None = None,
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


def word_reader(config: Config, split_seed: int, rows: int | None) -> tuple[WordTitles | None, np.ndarray | None]:
    """Dictionary and vectors of the training side, as notebook 02 makes them; (None, None) for subwords."""
    if config.representation == "subwords":
        return None, None
    made = prepared(split_seed, rows)
    vectors = None
    if config.vectors != "random":
        vectors = made.vectors(None if config.vectors == "pretrained" else config.vectors)
    return WordTitles(made.vocabulary, stopwords_es()), vectors


def sides(config: Config, parts: Parts) -> tuple[np.ndarray, np.ndarray | None]:
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
