"""How far does a training move when only bits change? python -m tools.perturb [--rows sms meli sick]

Trains a committed row of each task again as it is, with its first weights times 1 + 1e-7 (a change of the last bit),
and with another number of threads, and writes results/perturbation.json: the spread of every metric over these runs and
the committed one, beside the spread over the seeds of the table; and how many of the ten pairs of runs lie further
apart than the interval of `tools.verify`, which rests on this. About 10 minutes on 2 idle cores.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations

from helpers import settings
from helpers.files import write_text
from tools.verify import COMMITTED, interval, numbers, sampled_alike

ROWS = {
    "sms": ("sms-models", {"model": "lstm", "split_seed": 1}),
    "meli": ("meli-models", {"model": "mlp", "split_seed": 1}),
    "sick": ("sick-models", {"model": "best_alone", "model_seed": 1}),
}
RUNS = {"as it is": (1, 0.0), "first weights": (1, 1e-7), "two threads": (2, 0.0), "both": (2, 1e-7)}
REPORT = COMMITTED / "perturbation.json"


@contextmanager
def disturbed(share: float) -> Iterator[None]:
    """Every weight that an optimizer is given becomes (1 + share) times as large, before the first step."""
    import torch

    original = torch.optim.Optimizer.__init__

    def prepared(self, *args, **kwargs):
        original(self, *args, **kwargs)
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    weight.mul_(1 + share)

    torch.optim.Optimizer.__init__ = prepared if share else original
    try:
        yield
    finally:
        torch.optim.Optimizer.__init__ = original


def train(study, spec, threads: int, share: float) -> dict[str, float]:
    """The metrics of one row, trained with so many threads and weights disturbed by that share."""
    from threadpoolctl import threadpool_limits

    from helpers.report import tracking

    with settings.environment(THREADS=str(threads)), threadpool_limits(threads), disturbed(share):
        settings.seed_everything(settings.SEED)  # takes the number of threads
        with tracking.run(study.name, "perturbed", params=spec) as tracked:
            return numbers(study.run(spec, tracked))


def measure(study, wanted: dict) -> dict:
    """All runs of one row, beside the committed rows that differ from it in seeds alone."""
    from helpers.tasks.studies import label, read_table, row_key

    spec = next(spec for spec in study.specs() if wanted.items() <= spec.items())
    table = read_table(COMMITTED / "studies" / f"{study.name}.csv")
    alike, committed = sampled_alike(spec, table), table[table["key"] == row_key(spec)].iloc[0]
    runs, start = {}, time.perf_counter()
    for name, (threads, share) in RUNS.items():
        runs[name] = train(study, spec, threads, share)
        print(f"{study.name} {label(wanted)}, {name}: {time.perf_counter() - start:.0f} s in all", flush=True)
    metrics = {}
    for metric in sorted(runs["as it is"]):
        values, deviation = [run[metric] for run in runs.values()], float(alike[metric].std())
        drawn = [*values, float(committed[metric])]
        facts = {"committed": drawn[-1]} | dict(zip(runs, values, strict=True))
        facts |= {"deviation_disturbed": statistics.stdev(drawn), "deviation_seeds": deviation}
        allowed = interval(len(alike)) * deviation + 1e-9 * abs(drawn[-1])
        facts["pairs_outside"] = sum(abs(one - other) > allowed for one, other in combinations(drawn, 2))
        metrics[metric] = facts
    return {"row": wanted, "seeds": len(alike), "made_on": committed["processor"], "metrics": metrics}


def main() -> None:
    """Measure the rows asked for and write the report; rows measured before stay in it."""
    from helpers.tasks import STUDIES

    parser = argparse.ArgumentParser(prog="python -m tools.perturb", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=[*ROWS], help="default: one of each task")
    chosen = parser.parse_args().rows
    report = json.loads(REPORT.read_text()) if REPORT.is_file() else {"schema": 1, "rows": {}}
    with tempfile.TemporaryDirectory() as folder:
        away = {"RESULTS_DIR": folder, "ARTIFACTS_DIR": folder, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        with settings.environment(PROFILE="full", DEVICE="cpu", **away):
            for task in chosen:
                study, wanted = ROWS[task]
                report["rows"][task] = measure(STUDIES[study], wanted)
                report |= {"commit": settings.commit(), "processor": settings.processor()}
                write_text(REPORT, json.dumps(report, indent=1) + os.linesep)


if __name__ == "__main__":
    main()
