"""Wall time until our BiLSTM passes the best linear baseline on validation, against the baseline's fit. One round."""

import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, replace

from benchmarks.corpus import Titles, titles
from benchmarks.harness import Outcome, Row, Sizes
from helpers import settings
from helpers.model.baselines import MELI_BASELINES
from helpers.model.metrics import multiclass_metrics
from helpers.tasks import meli
from helpers.tasks.meli import CONFIGS
from helpers.tasks.meli_studies import BEST_BASELINE

SPRINTER = replace(  # two epochs: little dropout, a smaller LSTM, larger steps; chosen on this very validation side
    CONFIGS["best"], valid=True, hidden_size=100, batch_size=256, dropout=0.2, pair_dropout=0.0, part_dropout=0.0,
    lr=4e-3, sparse_lr=16e-3, epochs=2,
)  # fmt: skip


class _PassedError(Exception):
    """The score to beat is beaten: stop training."""


def baseline_score(known: Titles, name: str) -> tuple[float, float]:
    """Seconds of its fit on the training side, and balanced accuracy on the validation side."""
    texts, targets = (known.frame[name].to_numpy() for name in ("title", "target"))
    rows = known.split.train
    start = time.perf_counter()
    fitted = MELI_BASELINES[name]().fit(texts[rows], targets[rows])
    seconds = time.perf_counter() - start
    predicted = fitted.predict(texts[known.split.valid])
    return seconds, multiclass_metrics(targets[known.split.valid], predicted)["balanced_accuracy"]


def race(known: Titles, score: float, epochs: int | None) -> list[dict]:
    """Train SPRINTER from raw titles, with validation after every epoch, until it passes the score.

    Returns:
        Of every epoch: epoch, seconds since the start (reading, training and validating), score.
    """
    config = SPRINTER if epochs is None else replace(SPRINTER, epochs=epochs)
    sides = (known.frame.iloc[rows] for rows in (known.split.train, known.split.valid))
    rows, start = [], time.perf_counter()

    def note(row: dict) -> None:
        reached = row["valid_balanced_accuracy"]
        rows.append({"epoch": row["epoch"], "seconds": time.perf_counter() - start, "score": reached})
        if reached > score:
            raise _PassedError

    with tempfile.TemporaryDirectory() as empty, settings.environment(ARTIFACTS_DIR=empty), suppress(_PassedError):
        meli.fit(config, *sides, categories=known.categories, seed=settings.SEED, on_epoch=note)
    return rows


def run(sizes: Sizes) -> Outcome:
    """The baseline first, then the race against its score."""
    known = titles(sizes.titles)
    seconds, score = baseline_score(known, BEST_BASELINE)
    rows = race(known, score, sizes.passing_epochs)
    passed = rows[-1]["score"] > score
    what = f"until our BiLSTM passes {BEST_BASELINE} on validation (one round)" + ("" if passed else ": NOT PASSED")
    goal = 1 if passed else None
    row = Row("meli.passing", what, "s", rows[-1]["seconds"], seconds, goal, lower_is_better=True)
    ending = "passed" if passed else "NOT PASSED in the epochs there were: the seconds are those of all of them"
    note = f"passing: {BEST_BASELINE} {score:.4f} in {seconds:.1f} s; " + ", ".join(
        f"epoch {r['epoch']} {r['score']:.4f} at {r['seconds']:.1f} s" for r in rows
    )
    facts = {"config": asdict(SPRINTER), "peer": BEST_BASELINE, "peer_score": score, "epochs": rows}
    facts |= {"passed": passed, "rounds": 1}
    return Outcome([row], facts, known.data, [f"{note}: {ending}"])
