"""The studies of notebook 04: many seeds of every model, the baselines beside them on the same splits."""

import time
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from helpers import settings
from helpers.data.splits import stratified_split
from helpers.model.baselines import SMS_BASELINES
from helpers.model.metrics import binary_metrics
from helpers.report.tracking import Tracked
from helpers.tasks import sms
from helpers.tasks.base import config_hash
from helpers.tasks.sms import ATTEMPTS, CELLS, VARIANTS
from helpers.tasks.studies import Spec, Study

SEEDS = range(sms.FIRST_SPLIT_SEED, sms.FIRST_SPLIT_SEED + 10)
FOLDS = 5
ATTEMPTED = ["best", *ATTEMPTS, "lstm", "char_svm"]


def run_row(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train and score one row: a baseline, the ensemble, or a configuration by name."""
    model, seed, where = spec["model"], int(spec["split_seed"]), {"kind": str(spec["split"]), **quick()}
    if model in SMS_BASELINES:
        return baseline(model, seed, where["kind"], where.get("rows"))
    if model == "ensemble":
        return ensemble(seed, where)
    result = sms.train(model, split_seed=seed, model_seed=int(spec["model_seed"]), on_epoch=tracked.epoch, **where)
    tracked.model(result.model)
    return result.metrics


def quick() -> dict[str, int]:
    """Options of sms.train in profile quick: few messages, few epochs; none in full."""
    return settings.pick(quick={"rows": 400, "epochs": 2}, full={})


def baseline(name: str, seed: int, kind: str = "random", rows: int | None = None) -> dict[str, float]:
    """A linear baseline on the same split."""
    frame = sms.load(rows)
    sides = sms.split(frame, seed, kind, valid_share=0).take(frame)
    train, test = sides.train, sides.test
    start = time.perf_counter()
    pipeline = SMS_BASELINES[name]().fit(train["text"], train["target"])
    seconds = time.perf_counter() - start
    metrics = binary_metrics(test["target"], pipeline.predict(test["text"]))
    return metrics | {"parameters": pipeline[-1].coef_.size + 1, "train_seconds": seconds}


def ensemble(seed: int, where: dict) -> dict[str, float]:
    """The mean probability of several networks of the best configuration that differ in their model seed."""
    results = [sms.train("best", split_seed=seed, model_seed=seed + 100 * k, **where) for k in range(members())]
    probability = np.mean([result.test["probability"] for result in results], axis=0)
    metrics = binary_metrics(results[0].test["target"], probability >= results[0].model.config.threshold)
    for name in ("parameters", "train_seconds"):
        metrics[name] = sum(result.metrics[name] for result in results)
    return metrics


def members() -> int:
    """Networks in the ensemble."""
    return settings.pick(quick=2, full=5)


def _specs(models: list[str], split: str = "random") -> list[Spec]:
    seeds = settings.pick(full=SEEDS, quick=SEEDS[:2])
    rows = [(model, _config_hash(model), seed) for model in models for seed in seeds]
    return [{"model": m, "config": c, "split": split, "split_seed": s, "model_seed": s} for m, c, s in rows]


def _config_hash(model: str) -> str:
    """Changes when the configuration behind a row does, and only then; a baseline ("peer") has none beyond its code."""
    if model in SMS_BASELINES:
        return "peer"
    return config_hash(sms.CONFIGS["best" if model == "ensemble" else model])


def _study(name: str, models: list[str], split: str = "random") -> Study:
    return Study(name, lambda: _specs(models, split), run_row, data_hash, sms.REVISION, _describe)


def _describe(spec: Spec) -> dict:
    """The configuration behind a row; a baseline and an ensemble have none of that name."""
    return asdict(sms.CONFIGS[spec["model"]]) if spec["model"] in sms.CONFIGS else {}


def data_hash() -> str:
    """First digits of the SHA-256 of the file that the messages come from."""
    return sms.load_sms().attrs["sha256"][:12]


def attempts() -> list[Spec]:
    """Development: five folds of the training side of split 0 for everything that was tried."""
    folds = settings.pick(full=range(FOLDS), quick=range(2))
    return [{"model": m, "config": _config_hash(m), "fold": f, "model_seed": 100 + f} for m in ATTEMPTED for f in folds]


def run_fold(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train on four folds of split 0's training side, score the fifth; its test side stays unseen."""
    model, seed, options = spec["model"], int(spec["model_seed"]), quick()
    frame = sms.load(options.get("rows"))
    frame = sms.split(frame, settings.SEED, valid_share=0).take(frame).train
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=settings.SEED).split(frame, frame["target"])
    train, test = (frame.iloc[rows] for rows in list(folds)[int(spec["fold"])])
    if model in SMS_BASELINES:
        predicted = SMS_BASELINES[model]().fit(train["text"], train["target"]).predict(test["text"])
    else:
        config = replace(sms.CONFIGS[model], **{k: v for k, v in options.items() if k == "epochs"})
        fitted, _ = sms.fit(config, *_watched(config, train, seed), seed=seed, on_epoch=tracked.epoch)
        predicted = fitted.predict(test["text"].tolist())
    return binary_metrics(test["target"], predicted)


def _watched(config: sms.SmsConfig, train: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Training and validation side of the training rows of a fold; no validation where the configuration has none."""
    if not config.valid_share:
        return train, None
    inner = stratified_split(train["target"], seed=seed, test_size=config.valid_share)
    return train.iloc[inner.train], train.iloc[inner.test]


STUDIES = {
    study.name: study
    for study in (
        _study("sms-models", [*CELLS, "rnn_softmax", "rnn_end", "word_svm", "char_svm", "best"]),
        _study("sms-grouped", [*CELLS, "word_svm", "char_svm", "best"], "grouped"),
        _study("sms-duplicates", ["rnn", "lstm", "char_svm", "best"], "duplicates"),
        _study("sms-variants", list(VARIANTS)),
        _study("sms-listing", ["rnn_listing"]),
        _study("sms-ensemble", ["ensemble"]),
        Study("sms-attempts", attempts, run_fold, data_hash, sms.REVISION, _describe),
    )
}
