"""Run the comparisons: `python -m benchmarks`, on real data and an idle machine.

Both sides of a comparison run in turn in the same process, on the CPU; "device" compares a CUDA device with it, and
"startup" processes of two commits. Results are added to results/bench.json after each comparison, with the state of the
machine; a comparison that is run again replaces its own numbers only.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks import cleaning, device, epochs, gemm, inference, passing, startup, training
from benchmarks.harness import OTHERS, QUICK, Outcome, Row, Sizes, Watch, others_now, table, warning
from helpers import settings
from helpers.report.results import read_results, write_results

Run = Callable[[Sizes], Outcome]
COMPARISONS: dict[str, Run] = {
    "cleaning": cleaning.run,
    "trainable": training.trainable,
    "frozen": training.frozen,
    "gemm": gemm.run,
    "inference": inference.run,
    "epochs": epochs.run,
    "passing": passing.run,
    "device": device.run,
    "startup": startup.run,
}
NAME = "bench"


def processor() -> str:
    """The processor, and the number of its cores that we see."""
    return f"{settings.processor()}, {psutil.cpu_count()} cores"


def measure(name: str, run: Run, sizes: Sizes, *, load: float) -> tuple[Outcome, dict]:
    """Run a comparison; its outcome, and its entry in the results.

    Args:
        load: 1 minute load average before the first comparison.
    """
    settings.seed_everything(settings.SEED)
    before = others_now()
    _say(warning(f"before {name}", before, load))
    watch = Watch()
    with settings.environment(**({} if name == "device" else {"DEVICE": "cpu"})):
        outcome = run(sizes)
    during = watch.others()
    _say(warning(f"during {name}", during))
    state = {"others_before": before, "others_during": during, "load_before_the_run": load}
    entry = {
        "metrics": {key: value for row in outcome.rows for key, value in row.metrics().items()},
        "table": [vars(row) | {"factor": row.factor, "reached": row.reached} for row in outcome.rows],
        "details": outcome.details,
        "data": outcome.data,
        "machine": state | {"idle": max(before, during) <= OTHERS and load <= 1, "processor": processor()},
        "threads": settings.threads(),
        "versions": settings.versions(),
        "commit": settings.commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    return outcome, entry


def record(entries: Mapping[str, dict]) -> Path:
    """Write bench.json with these comparisons; its entries of others stay."""
    if (settings.results_dir() / f"{NAME}.json").exists():
        try:
            kept = read_results(NAME)["info"].get("comparisons", {})
        except ValueError:
            sys.exit(f"{NAME}.json in the results folder is damaged: delete it, then run all comparisons again")
        entries = {name: entry for name, entry in kept.items() if name in COMPARISONS} | entries
    metrics = {key: value for entry in entries.values() for key, value in entry["metrics"].items()}
    data = {name: facts for entry in entries.values() for name, facts in entry["data"].items()}
    return write_results(NAME, metrics, {"comparisons": entries, "data": data})


def run_all(names: Sequence[str], sizes: Sizes) -> list[Row]:
    """Measure, record and print these comparisons, one after another."""
    load = psutil.getloadavg()[0]
    print(
        f"{processor()} · {settings.threads()} threads · {sizes.rounds} rounds, medians · load {load:.2f}", flush=True
    )
    rows, notes = [], []
    for name in names:
        outcome, entry = measure(name, COMPARISONS[name], sizes, load=load)
        path = record({name: entry})
        rows += outcome.rows
        notes += outcome.notes
        print(f"\n{table(outcome.rows)}", flush=True)
    print("", *notes, sep="\n\n")
    print(f"\n{table(rows)}\n\n{settings.threads()} threads; written to {path.name}")
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=COMPARISONS, metavar="NAME", help=", ".join(COMPARISONS))
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round, results to build/results")
    parser.add_argument("--against", default=Sizes.against, metavar="COMMIT", help="of startup (%(default)s)")
    options = parser.parse_args(arguments)
    os.environ["PROFILE"] = "quick" if options.quick else "full"
    names = options.only or list(COMPARISONS)
    if "device" in names and (reason := device.missing()):
        print(f"device: {reason}")
        names = [name for name in names if name != "device"]
    if names:
        try:
            run_all(names, replace(QUICK if options.quick else Sizes(), against=options.against))
        except settings.UserError as error:
            sys.exit(f"error: {error}")


def _say(text: str | None) -> None:
    if text:
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
