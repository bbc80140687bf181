"""The studies of notebook 04: many seeds of every model, the peers beside them on the same splits."""

import time
from pathlib import Path

import numpy as np

from helpers import settings
from helpers.model.baselines import PEERS
from helpers.model.metrics import binary_metrics
from helpers.report.tracking import Tracked
from helpers.tasks import sms
from helpers.tasks.sms_config import CELLS, VARIANTS
from helpers.tasks.studies import Spec, Study

SEEDS = range(sms.FIRST_SPLIT_SEED, sms.FIRST_SPLIT_SEED + 10)
ENSEMBLE = 5
CODE = tuple(
    Path("helpers") / name
    for name in (
        "data/text.py", "data/batching.py", "data/splits.py", "data/vectors.py", "data/corpora.py", "model/networks.py",
        "model/training.py", "model/metrics.py", "model/baselines.py", "tasks/sms.py", "tasks/sms_config.py", "tasks/sms_studies.py",
    )  # fmt: skip
)


def run_row(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train and score one row: a peer, the ensemble, or a configuration by name."""
    model, seed, where = spec["model"], int(spec["split_seed"]), {"split": str(spec["split"]), **quick()}
    if model in PEERS:
        return peer(model, seed, where["split"], where.get("rows"))
    if model == "ensemble":
        return ensemble(seed, where)
    result = sms.train(model, split_seed=seed, model_seed=int(spec["model_seed"]), on_epoch=tracked.epoch, **where)
    tracked.model(result.model)
    return result.metrics


def quick() -> dict[str, int]:
    """Options of sms.train in profile quick: few messages, few epochs; none in full."""
    return settings.pick(quick={"rows": 400, "epochs": 2}, full={})


def peer(name: str, seed: int, split: str = "random", rows: int | None = None) -> dict[str, float]:
    """A linear peer on the same split."""
    frame, sides = sms.split_messages(split, seed, rows)
    train, test = frame.iloc[sides.train], frame.iloc[sides.test]
    start = time.perf_counter()
    pipeline = PEERS[name]().fit(train["text"], train["target"])
    seconds = time.perf_counter() - start
    metrics = binary_metrics(test["target"], pipeline.predict(test["text"]))
    return metrics | {"parameters": pipeline[-1].coef_.size + 1, "train_seconds": seconds}


def ensemble(seed: int, where: dict) -> dict[str, float]:
    """The mean probability of ENSEMBLE networks of the best configuration that differ in their model seed."""
    results = [sms.train("best", split_seed=seed, model_seed=seed + 100 * k, **where) for k in range(ENSEMBLE)]
    probability = np.mean([result.test["probability"] for result in results], axis=0)
    metrics = binary_metrics(results[0].test["target"], probability >= results[0].model.threshold)
    for name in ("parameters", "train_seconds"):
        metrics[name] = sum(result.metrics[name] for result in results)
    return metrics


def _specs(models: list[str], split: str = "random") -> list[Spec]:
    seeds = settings.pick(full=SEEDS, quick=SEEDS[:2])
    return [{"model": m, "split": split, "split_seed": s, "model_seed": s} for m in models for s in seeds]


def _study(name: str, models: list[str], split: str = "random") -> Study:
    return Study(name, lambda: _specs(models, split), run_row, lambda: sms.messages().attrs["sha256"][:12], CODE)


STUDIES = (
    _study("sms-models", [*CELLS, "rnn_softmax", "rnn_end", "word_svm", "char_svm", "best"]),
    _study("sms-grouped", [*CELLS, "word_svm", "char_svm", "best"], "grouped"),
    _study("sms-duplicates", ["rnn", "lstm", "char_svm", "best"], "duplicates"),
    _study("sms-variants", list(VARIANTS)),
    _study("sms-listing", ["rnn_listing"]),
    _study("sms-ensemble", ["ensemble"]),
)
