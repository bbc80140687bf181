"""The studies of notebook 03 on all titles: models and peers, out of fold, learning curve, attempts."""

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
from helpers.model.metrics import multiclass_metrics
from helpers.model.title_baselines import TITLE_PEERS
from helpers.report.predictions import load_predictions, save_predictions
from helpers.report.tracking import Tracked
from helpers.tasks import meli, meli_data
from helpers.tasks.meli_config import ATTEMPTS, CONFIGS, Config
from helpers.tasks.studies import Spec, Study, hash_of

SEEDS = range(meli_data.FIRST_SPLIT_SEED, meli_data.FIRST_SPLIT_SEED + 3)
BEST_PEER = "char_sgd"
SIZES = (5_000, 10_000, 20_000, 35_000)  # below all of them
CODE = tuple(
    settings.ROOT / "helpers" / f"{name}.py"
    for name in (
        *("data/text", "data/batching", "data/splits", "data/corpora", "data/cleaning", "data/titles"),
        *("data/trained_vectors", "model/networks", "model/mlp", "model/training", "model/recovery", "model/metrics"),
        *("model/significance", "model/title_baselines", "tasks/meli", "tasks/meli_model", "tasks/meli_data"),
        "tasks/meli_artifacts",
    )
)


def quick() -> dict[str, int]:
    """Options of meli.train in profile quick: few titles, few epochs; none in full."""
    return settings.pick(quick={"rows": 1_000, "epochs": 2}, full={})


def run_split(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train a model or a peer on one split and score its test side."""
    model, seed = spec["model"], int(spec["split_seed"])
    if model in TITLE_PEERS:
        frame = meli_data.titles(quick().get("rows"))
        parts = meli_data.partitions(frame, seed)
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
    frame = meli_data.titles(quick().get("rows"))
    train, test = list(meli_data.folds(frame))[fold]
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


def out_of_fold(model: str, folds: Iterable[int] = range(meli_data.FOLDS)) -> tuple[np.ndarray, np.ndarray]:
    """(rows, predicted): the class foretold for every row of these folds by the model that never saw its fold."""
    parts = [load_predictions("meli-oof", f"{model}-fold-{fold}") for fold in folds]
    rows, predicted = (np.concatenate(side) for side in zip(*parts, strict=True))
    order = rows.argsort()
    return rows[order], predicted[order]


def run_size(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train on so many titles; fewer titles get more epochs, with the square root. All of them: see meli-models."""
    frame = meli_data.titles(quick().get("rows"))
    parts = meli_data.partitions(frame, int(spec["split_seed"]))
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
    frame = meli_data.titles(options.get("rows"))
    parts = meli_data.partitions(frame, settings.SEED)
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


def with_options(config: Config) -> Config:
    """The configuration as it is in profile full, with few epochs in quick."""
    return replace(config, **{name: value for name, value in quick().items() if name == "epochs"})


def data_hash() -> str:
    """First digits of the SHA-256 of what the titles come from."""
    return _data_hash(os.environ.get("DATA_MIRROR"), os.environ.get("DATA_CACHE"))


@cache
def _data_hash(*source: str | None) -> str:
    """Read once for each place that titles come from: every study asks for it."""
    return meli_data.titles().attrs["sha256"][:12]


def config_hash(model: str) -> str:
    """Changes when the configuration behind a row does; a peer has none beyond its code."""
    return "peer" if model in TITLE_PEERS else hash_of(asdict((CONFIGS | ATTEMPTS)[model]))[:8]


def _specs(models: list[str], **rows) -> list[Spec]:
    (name, values), *fixed = rows.items()
    values = settings.pick(full=list(values), quick=list(values)[:2])
    models = settings.pick(full=models, quick=[m for m in models if m in IN_QUICK])
    return [{"model": m, "config": config_hash(m), **dict(fixed), name: value} for m in models for value in values]


IN_QUICK = ("best", "averaged", "mlp", "seed_final", "no_skip", BEST_PEER)
TRIED = ["best", *ATTEMPTS]
PEERS = list(TITLE_PEERS)
NETWORKS = ["best", "baseline", "mlp", "seed_final", "seed_longer", "averaged"]
STUDIES = (
    Study("meli-models", lambda: _specs([*NETWORKS, *PEERS], split_seed=SEEDS), run_split, data_hash, CODE),
    Study(
        "meli-oof", lambda: _specs(["best", "averaged", BEST_PEER], fold=range(meli_data.FOLDS)), run_fold, data_hash,
        CODE,
    ),
    Study(
        "meli-learning",
        lambda: _specs(["best", BEST_PEER], size=settings.pick(full=SIZES, quick=(200, 500)), split_seed=1),
        run_size, data_hash, CODE,
    ),
    Study("meli-attempts", lambda: _specs([*TRIED, BEST_PEER], split_seed=[0]), run_attempt, data_hash, CODE),
)  # fmt: skip
