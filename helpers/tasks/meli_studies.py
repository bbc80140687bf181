"""The studies of notebook 03: models, out of fold, learning curve, attempts; on a tenth of the titles a search."""

import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import partial
from math import ceil, sqrt

import numpy as np
import pandas as pd

from helpers import settings
from helpers.data.splits import stratified_split
from helpers.model.baselines import MELI_BASELINES
from helpers.model.metrics import multiclass_metrics
from helpers.model.training import History
from helpers.report.results import load_predictions, save_predictions
from helpers.report.tracking import Tracked
from helpers.tasks import meli
from helpers.tasks.base import config_hash
from helpers.tasks.meli import ATTEMPTS, CONFIGS, FACTORS, SEARCH, MeliConfig
from helpers.tasks.studies import Spec, Study

SEEDS = range(meli.FIRST_SPLIT_SEED, meli.FIRST_SPLIT_SEED + 3)
BEST_BASELINE = "char_sgd"
BASELINES = list(MELI_BASELINES)
NETWORKS = ["best", "baseline", "mlp", "seed_final", "seed_longer", "averaged"]
IN_QUICK = ("best", "averaged", "mlp", "seed_final", "no_skip", BEST_BASELINE)
SIZES = (5_000, 10_000, 20_000, 35_000)  # training titles of the learning curve, below all of them
SHARE = 0.1  # of the training titles, for factors and search
REPEATS = 4  # seeds of the base: what is noise?
CARRIED = 6  # configurations of the search that are trained elsewhere too
PATIENCE_ALL = 2  # epochs ten times as long reach the plateau in fewer
CATEGORIES_DRAWN = 5


def quick() -> dict[str, int]:
    """Options of meli.train in profile quick: few titles, few epochs; none in full."""
    return settings.pick(quick={"rows": 1_000, "epochs": 2}, full={})


def with_options(config: MeliConfig) -> MeliConfig:
    """The configuration as it is in profile full, with few epochs in quick."""
    return replace(config, **{name: value for name, value in quick().items() if name == "epochs"})


def run_split(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train a network or a baseline on one split and score its test side."""
    model, seed = spec["model"], int(spec["split_seed"])
    if model in MELI_BASELINES:
        frame = meli.load(quick().get("rows"))
        sides = meli.split(frame, seed).joined()
        metrics, predicted = baseline(model, frame, sides.train, sides.test)
        rows = sides.test
    else:
        result = meli.train(model, split_seed=seed, model_seed=seed, on_epoch=tracked.epoch, **quick())
        metrics, rows, predicted = result.metrics, result.test.index, result.test["predicted"]
    save_predictions("meli-models", f"{model}-{seed}", rows, predicted)
    return metrics


def baseline(
    name: str, frame: pd.DataFrame, train: np.ndarray, test: np.ndarray
) -> tuple[dict[str, float], np.ndarray]:
    """A linear baseline fitted on the training rows: metrics, and what it predicts for the test rows."""
    start = time.perf_counter()
    texts, targets = frame["title"].to_numpy(), frame["target"].to_numpy()
    pipeline = MELI_BASELINES[name]().fit(texts[train], targets[train])
    seconds = time.perf_counter() - start
    predicted = pipeline.predict(texts[test])
    classifier = pipeline[-1]
    weights = classifier.coef_ if hasattr(classifier, "coef_") else classifier.feature_log_prob_
    facts = {"parameters": weights.size + len(frame["target"].unique()), "train_seconds": seconds}
    return meli.scored(targets[test], predicted) | facts, predicted


def fit(
    config: MeliConfig, frame: pd.DataFrame, train: np.ndarray, valid: np.ndarray | None = None, **options
) -> tuple[meli.MeliModel, History]:
    """meli.fit on these rows of a frame, which names the categories."""
    sides = [None if rows is None else frame.iloc[rows] for rows in (train, valid)]
    return meli.fit(config, *sides, categories=meli.categories(frame), **options)


def run_fold(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train on four folds without a look at the fifth, for a fixed number of epochs, and predict the fifth."""
    model, fold = spec["model"], int(spec["fold"])
    frame = meli.load(quick().get("rows"))
    train, test = list(meli.folds(frame))[fold]
    if model in MELI_BASELINES:
        metrics, predicted = baseline(model, frame, train, test)
    else:
        start = time.perf_counter()
        fitted, history = fit(with_options(CONFIGS[model]), frame, train, seed=fold + 1, on_epoch=tracked.epoch)
        seconds = time.perf_counter() - start
        tested = frame.iloc[test]
        predicted = meli.predicted_classes(fitted, tested["title"].to_numpy())
        metrics = meli.scored(tested["target"], predicted) | meli.course(fitted, history) | {"train_seconds": seconds}
    save_predictions("meli-oof", f"{model}-fold-{fold}", test, predicted)
    return metrics


def out_of_fold(model: str, folds: Iterable[int] = range(meli.FOLDS)) -> tuple[np.ndarray, np.ndarray]:
    """(rows, predicted): the class predicted for every row of these folds by the model that never saw its fold."""
    parts = [load_predictions("meli-oof", f"{model}-fold-{fold}") for fold in folds]
    rows, predicted = (np.concatenate(side) for side in zip(*parts, strict=True))
    order = rows.argsort()
    return rows[order], predicted[order]


def run_size(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train on so many titles; fewer titles get more epochs, with the square root. All of them: see meli-models."""
    frame, seed = meli.load(quick().get("rows")), int(spec["split_seed"])
    sides = meli.split(frame, seed).joined()
    train, whole, size = sides.train, len(sides.train), int(spec["size"])
    if size < whole:
        train = train[stratified_split(frame["target"].to_numpy()[train], seed=seed, test_size=size).test]
    facts = {"train_titles": len(train)}
    if spec["model"] in MELI_BASELINES:
        return baseline(spec["model"], frame, train, sides.test)[0] | facts
    config = with_options(CONFIGS[spec["model"]])
    config = replace(config, epochs=ceil(config.epochs * sqrt(whole / len(train))))
    fitted, history = fit(config, frame, train, seed=1, on_epoch=tracked.epoch)
    test = frame.iloc[sides.test]
    predicted = meli.predicted_classes(fitted, test["title"].to_numpy())
    return meli.scored(test["target"], predicted) | meli.course(fitted, history) | facts


def run_attempt(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Development: train on split 0's training side, score its validation side; its test side stays unseen."""
    frame = meli.load(quick().get("rows"))
    sides = meli.split(frame, settings.SEED)
    start = time.perf_counter()
    if spec["model"] in MELI_BASELINES:
        metrics, _ = baseline(spec["model"], frame, sides.train, sides.valid)
        return {"valid_balanced_accuracy": metrics["test_balanced_accuracy"], "train_seconds": metrics["train_seconds"]}
    config = with_options(CONFIGS[spec["model"]])
    fitted, history = fit(config, frame, sides.train, seed=1, on_epoch=tracked.epoch)
    valid = frame.iloc[sides.valid]
    scores = multiclass_metrics(valid["target"], meli.predicted_classes(fitted, valid["title"].to_numpy()))
    facts = meli.course(fitted, history) | {"train_seconds": time.perf_counter() - start}
    return {f"valid_{name}": value for name, value in scores.items()} | facts


def run_trial(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train on a share of split 0's training side, watch its validation side; the test side stays unseen."""
    config, rows = with_options(CONFIGS[spec["name"]]), quick().get("rows")
    frame = meli.load(rows)
    sides = meli.split(frame, settings.SEED)
    train, valid = sides.train, sides.valid
    reader, vectors = meli.word_reader(config, settings.SEED, rows, frame=frame)
    if spec["subset"] == "all":
        config = replace(config, patience=PATIENCE_ALL)
    elif spec["subset"] == "10%":
        train = meli.take_share(frame, train, SHARE, seed=settings.SEED)
    else:
        frame, train, valid = few_categories(frame, train, valid, seed=int(spec["draw"]))
    start = time.perf_counter()
    fitted, history = fit(
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


def data_hash() -> str:
    """First digits of the SHA-256 of what the titles come from."""
    return meli.load().attrs["sha256"][:12]


def model_specs(models: Iterable[str], **rows) -> list[Spec]:
    """A row for every model and every value of the first of `rows`; the others stand in all of them.

    `config` changes when the configuration behind a row does; a baseline ("peer") has none beyond its code.
    """
    (name, values), *fixed = rows.items()
    values = settings.pick(full=list(values), quick=list(values)[:2])
    models = settings.pick(full=models, quick=[model for model in models if model in IN_QUICK])
    known = {model: "peer" if model in MELI_BASELINES else config_hash(CONFIGS[model]) for model in models}
    return [
        {"model": model, "config": known[model], **dict(fixed), name: value} for model in models for value in values
    ]


def learning_specs() -> list[Spec]:
    """The learning curve of the best network and the best baseline."""
    return model_specs(["best", BEST_BASELINE], size=settings.pick(full=SIZES, quick=(200, 500)), split_seed=1)


def factor_specs() -> list[Spec]:
    """Every factor's every value, and the base with several seeds."""
    names = [(group, name) for group, values in FACTORS.items() for name in values]
    names = settings.pick(full=names, quick=names[:2])
    again = settings.pick(full=range(2, REPEATS + 1), quick=())
    specs = [_trial(name, factor=group) for group, name in names]
    return specs + [_trial("base", factor="base", seed=seed) for seed in again]


def search_specs() -> list[Spec]:
    """The random search."""
    return [_trial(name) for name in settings.pick(full=list(SEARCH), quick=list(SEARCH)[:2])]


def transfer_specs() -> list[Spec]:
    """Some configurations of the search on three draws of five categories, and on all the training titles."""
    names = settings.pick(full=list(SEARCH)[:CARRIED], quick=list(SEARCH)[:2])
    draws = settings.pick(full=(1, 2, 3), quick=(1,))
    few = [_trial(name, subset="5 categories", draw=draw) for draw in draws for name in names]
    return few + [_trial(name, subset="all", draw=0) for name in names]


def _trial(name: str, **rest) -> Spec:
    return {"name": name, "config": config_hash(CONFIGS[name]), "subset": "10%", "seed": 1} | rest


def _describe(spec: Spec) -> dict:
    """The configuration behind a row; a baseline has none."""
    name = spec.get("model", spec.get("name"))
    return asdict(CONFIGS[name]) if name in CONFIGS else {}


STUDIES = {
    name: Study(name, specs, run, data_hash, meli.REVISION, _describe)
    for name, specs, run in (
        ("meli-models", partial(model_specs, [*NETWORKS, *BASELINES], split_seed=SEEDS), run_split),
        ("meli-oof", partial(model_specs, ["best", "averaged", BEST_BASELINE], fold=range(meli.FOLDS)), run_fold),
        ("meli-learning", learning_specs, run_size),
        ("meli-attempts", partial(model_specs, ["best", *ATTEMPTS, BEST_BASELINE], split_seed=[0]), run_attempt),
        ("meli-factors", factor_specs, run_trial),
        ("meli-search", search_specs, run_trial),
        ("meli-transfer", transfer_specs, run_trial),
    )
}
