"""The studies of notebook 03 on all titles: models and peers, out of fold, learning curve, attempts. Experiments on a 10% sample: one factor at a time, a random search, and what their ranking carries over to."""

import os
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import cache
from math import ceil, sqrt

import numpy as np
import pandas as pd

from helpers import settings
from helpers.data.splits import stratified_split
from helpers.files import hash_of
from helpers.model.baselines import TITLE_PEERS
from helpers.model.metrics import multiclass_metrics
from helpers.report.results import load_predictions, save_predictions
from helpers.report.tracking import Tracked
from helpers.tasks import meli, meli_titles
from helpers.tasks.base import config_hash
from helpers.tasks.meli import ATTEMPTS, BASELINE, CONFIGS, MeliConfig
from helpers.tasks.studies import Spec, Study

SEEDS = range(meli_titles.FIRST_SPLIT_SEED, meli_titles.FIRST_SPLIT_SEED + 3)
BEST_PEER = "char_sgd"
SIZES = (5_000, 10_000, 20_000, 35_000)  # below all of them


def quick() -> dict[str, int]:
    """Options of meli.train in profile quick: few titles, few epochs; none in full."""
    return settings.pick(quick={"rows": 1_000, "epochs": 2}, full={})


def run_split(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train a model or a peer on one split and score its test side."""
    model, seed = spec["model"], int(spec["split_seed"])
    if model in TITLE_PEERS:
        frame = meli_titles.titles(quick().get("rows"))
        parts = meli_titles.partitions(frame, seed)
        metrics, predicted = peer(model, frame, np.union1d(parts.train, parts.valid), parts.test)
        rows = parts.test
    else:
        result = meli.train(model, split_seed=seed, model_seed=seed, on_epoch=tracked.epoch, **quick())
        metrics, rows, predicted = result.metrics, result.test.index, result.test["predicted"]
    save_predictions("meli-models", f"{model}-{seed}", rows, predicted)
    return metrics


def peer(name: str, frame: pd.DataFrame, train: np.ndarray, test: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """A linear peer fitted on the training rows: metrics, and what it foretells of the test rows."""
    start = time.perf_counter()
    texts, targets = frame["title"].to_numpy(), frame["target"].to_numpy()
    pipeline = TITLE_PEERS[name]().fit(texts[train], targets[train])
    seconds = time.perf_counter() - start
    predicted = pipeline.predict(texts[test])
    classifier = pipeline[-1]
    weights = classifier.coef_ if hasattr(classifier, "coef_") else classifier.feature_log_prob_
    facts = {"parameters": weights.size + len(frame["target"].unique()), "train_seconds": seconds}
    return meli.scored(targets[test], predicted) | facts, predicted


def run_fold(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train on four folds without a look at the fifth, for a fixed number of epochs, and foretell the fifth."""
    model, fold = spec["model"], int(spec["fold"])
    frame = meli_titles.titles(quick().get("rows"))
    train, test = list(meli_titles.folds(frame))[fold]
    if model in TITLE_PEERS:
        metrics, predicted = peer(model, frame, train, test)
    else:
        start = time.perf_counter()
        config = with_options(CONFIGS[model])
        fitted, history = meli.fit_titles(config, frame, train, None, seed=fold + 1, on_epoch=tracked.epoch)
        seconds = time.perf_counter() - start
        predicted = meli.predicted_classes(fitted, frame, test)
        metrics = meli.scored(frame["target"].to_numpy()[test], predicted) | meli.course(fitted, history)
        metrics["train_seconds"] = seconds
    save_predictions("meli-oof", f"{model}-fold-{fold}", test, predicted)
    return metrics


def out_of_fold(model: str, folds: Iterable[int] = range(meli_titles.FOLDS)) -> tuple[np.ndarray, np.ndarray]:
    """(rows, predicted): the class foretold for every row of these folds by the model that never saw its fold."""
    parts = [load_predictions("meli-oof", f"{model}-fold-{fold}") for fold in folds]
    rows, predicted = (np.concatenate(side) for side in zip(*parts, strict=True))
    order = rows.argsort()
    return rows[order], predicted[order]


def run_size(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train on so many titles; fewer titles get more epochs, with the square root. All of them: see meli-models."""
    frame = meli_titles.titles(quick().get("rows"))
    parts = meli_titles.partitions(frame, int(spec["split_seed"]))
    train = np.union1d(parts.train, parts.valid)
    whole, size = len(train), int(spec["size"])
    if size < whole:
        targets = frame["target"].to_numpy()[train]
        train = train[stratified_split(targets, seed=int(spec["split_seed"]), test_size=size).test]
    facts = {"train_titles": len(train)}
    if spec["model"] in TITLE_PEERS:
        return peer(spec["model"], frame, train, parts.test)[0] | facts
    config = with_options(CONFIGS[spec["model"]])
    config = replace(config, epochs=ceil(config.epochs * sqrt(whole / len(train))))
    fitted, history = meli.fit_titles(config, frame, train, None, seed=1, on_epoch=tracked.epoch)
    scores = meli.scored(frame["target"].to_numpy()[parts.test], meli.predicted_classes(fitted, frame, parts.test))
    return scores | meli.course(fitted, history) | facts


def run_attempt(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Development: train on split 0's training side, score its validation side; its test side stays unseen."""
    options = quick()
    frame = meli_titles.titles(options.get("rows"))
    parts = meli_titles.partitions(frame, settings.SEED)
    start = time.perf_counter()
    if spec["model"] in TITLE_PEERS:
        metrics, _ = peer(spec["model"], frame, parts.train, parts.valid)
        return {"valid_balanced_accuracy": metrics["test_balanced_accuracy"], "train_seconds": metrics["train_seconds"]}
    config = with_options((CONFIGS | ATTEMPTS)[spec["model"]])
    fitted, history = meli.fit_titles(config, frame, parts.train, None, seed=1, on_epoch=tracked.epoch)
    scores = multiclass_metrics(
        frame["target"].to_numpy()[parts.valid], meli.predicted_classes(fitted, frame, parts.valid)
    )
    facts = meli.course(fitted, history) | {"train_seconds": time.perf_counter() - start}
    return {f"valid_{name}": value for name, value in scores.items()} | facts


def with_options(config: MeliConfig) -> MeliConfig:
    """The configuration as it is in profile full, with few epochs in quick."""
    return replace(config, **{name: value for name, value in quick().items() if name == "epochs"})


def data_hash() -> str:
    """First digits of the SHA-256 of what the titles come from."""
    return _data_hash(os.environ.get("DATA_MIRROR"), os.environ.get("DATA_CACHE"))


@cache
def _data_hash(*source: str | None) -> str:
    """Read once for each place that titles come from: every study asks for it."""
    return meli_titles.titles().attrs["sha256"][:12]


def _config_hash(model: str) -> str:
    """Changes when the configuration behind a row does; a peer has none beyond its code."""
    return "peer" if model in TITLE_PEERS else config_hash((CONFIGS | ATTEMPTS)[model])


def _specs(models: list[str], **rows) -> list[Spec]:
    (name, values), *fixed = rows.items()
    values = settings.pick(full=list(values), quick=list(values)[:2])
    models = settings.pick(full=models, quick=[m for m in models if m in IN_QUICK])
    return [{"model": m, "config": _config_hash(m), **dict(fixed), name: value} for m in models for value in values]


IN_QUICK = ("best", "averaged", "mlp", "seed_final", "no_skip", BEST_PEER)
TRIED = ["best", *ATTEMPTS]
PEERS = list(TITLE_PEERS)
NETWORKS = ["best", "baseline", "mlp", "seed_final", "seed_longer", "averaged"]
STUDIES = (
    Study("meli-models", lambda: _specs([*NETWORKS, *PEERS], split_seed=SEEDS), run_split, data_hash, meli.REVISION),
    Study(
        "meli-oof", lambda: _specs(["best", "averaged", BEST_PEER], fold=range(meli_titles.FOLDS)), run_fold, data_hash, meli.REVISION,
    ),
    Study(
        "meli-learning",
        lambda: _specs(["best", BEST_PEER], size=settings.pick(full=SIZES, quick=(200, 500)), split_seed=1),
        run_size, data_hash, meli.REVISION,
    ),
    Study("meli-attempts", lambda: _specs([*TRIED, BEST_PEER], split_seed=[0]), run_attempt, data_hash, meli.REVISION),
)  # fmt: skip


SHARE = 0.1  # of the training titles
BASE = replace(BASELINE, epochs=60, patience=4)  # to the plateau, the best epoch on validation kept
PATIENCE_ALL = 2  # epochs ten times as long reach the plateau in fewer
REPEATS = 4  # seeds of the base: what is noise?
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
TRIALS, CARRIED = 30, 6
CATEGORIES_DRAWN = 5


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
NAMED = {name: config for group in FACTORS.values() for name, config in group.items()} | SEARCH


def run_trial(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train on a part of split 0's training side, watch its validation side; the test side stays unseen."""
    config, options = with_options(NAMED[spec["name"]]), quick()
    frame = meli_titles.titles(options.get("rows"))
    parts = meli_titles.partitions(frame, settings.SEED)
    reader, vectors = meli.word_reader(config, settings.SEED, options.get("rows"))
    train, valid = parts.train, parts.valid
    if spec["subset"] == "all":
        config = replace(config, patience=PATIENCE_ALL)
    elif spec["subset"] == "10%":
        train = meli.take_share(frame, train, SHARE, seed=settings.SEED)
    else:
        frame, train, valid = few_categories(frame, train, valid, seed=int(spec["draw"]))
    start = time.perf_counter()
    fitted, history = meli.fit_titles(
        config, frame, train, valid, reader=reader, vectors=vectors, seed=int(spec["seed"]), on_epoch=tracked.epoch
    )
    best = history.rows[history.best_epoch - 1]
    facts = {"train_seconds": time.perf_counter() - start, "train_titles": len(train)}
    return meli.course(fitted, history) | facts | {"train_balanced_accuracy": best["train_balanced_accuracy"]}


def few_categories(
    frame: pd.DataFrame, train: np.ndarray, valid: np.ndarray, *, seed: int
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The titles of CATEGORIES_DRAWN categories drawn by a seed: frame with targets of its own, rows of its sides."""
    drawn = np.random.default_rng(seed).choice(frame["target"].max() + 1, CATEGORIES_DRAWN, replace=False)
    inside = frame["target"].isin(drawn).to_numpy()
    numbers = np.cumsum(inside) - 1  # row of the frame -> row of what is left of it
    few = frame[inside].reset_index(drop=True)
    few = few.assign(target=pd.factorize(few["category"])[0])
    return few, numbers[train[inside[train]]], numbers[valid[inside[valid]]]


def _spec(name: str, **rest) -> Spec:
    return {"name": name, "config": config_hash(NAMED[name]), "subset": "10%", "seed": 1} | rest


def factor_specs() -> list[Spec]:
    """Every factor's every value, and the base with several seeds."""
    names = [(group, name) for group, values in FACTORS.items() for name in values]
    names = settings.pick(full=names, quick=names[:2])
    again = settings.pick(full=range(2, REPEATS + 1), quick=())
    specs = [_spec(name, factor=group) for group, name in names]
    return specs + [_spec("base", factor="base", seed=seed) for seed in again]


def search_specs() -> list[Spec]:
    """The random search."""
    return [_spec(name) for name in settings.pick(full=list(SEARCH), quick=list(SEARCH)[:2])]


def transfer_specs() -> list[Spec]:
    """Some configurations of the search on three draws of five categories, and on all the training titles."""
    names = settings.pick(full=list(SEARCH)[:CARRIED], quick=list(SEARCH)[:2])
    few = [
        _spec(name, subset="5 categories", draw=draw)
        for draw in settings.pick(full=(1, 2, 3), quick=(1,))
        for name in names
    ]
    return few + [_spec(name, subset="all", draw=0) for name in names]


def _study(name: str, specs) -> Study:
    return Study(name, specs, run_trial, data_hash, meli.REVISION, describe=lambda spec: asdict(NAMED[spec["name"]]))


SEARCH_STUDIES = (
    _study("meli-factors", factor_specs),
    _study("meli-search", search_specs),
    _study("meli-transfer", transfer_specs),
)
