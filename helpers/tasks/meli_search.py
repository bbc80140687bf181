"""Experiments on a 10% sample: one factor at a time, a random search, and what their ranking carries over to."""

import time
from dataclasses import asdict, replace

import numpy as np
import pandas as pd

from helpers import settings
from helpers.report.tracking import Tracked
from helpers.tasks import meli, meli_data
from helpers.tasks.meli_config import BASELINE, Config
from helpers.tasks.meli_studies import CODE, data_hash, quick, with_options
from helpers.tasks.studies import Spec, Study, hash_of

SHARE = 0.1  # of the training titles
BASE = replace(BASELINE, epochs=60, patience=4)  # to the plateau, the best epoch on validation kept
PATIENCE_ALL = 2  # epochs ten times as long reach the plateau in fewer
REPEATS = 4  # seeds of the base: what is noise?
FACTORS: dict[str, dict[str, Config]] = {
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


def random_configs(count: int = TRIALS, seed: int = settings.SEED) -> dict[str, Config]:
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
    frame = meli_data.titles(options.get("rows"))
    parts = meli_data.partitions(frame, settings.SEED)
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
    return {"name": name, "config": hash_of(asdict(NAMED[name]))[:8], "subset": "10%", "seed": 1} | rest


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
    return Study(name, specs, run_trial, data_hash, CODE, describe=lambda spec: asdict(NAMED[spec["name"]]))


STUDIES = (
    _study("meli-factors", factor_specs),
    _study("meli-search", search_specs),
    _study("meli-transfer", transfer_specs),
)
