"""Fingerprints: what every named configuration does in a miniature training on the sample; results/fingerprints.json.

A moved, renamed or faster line changes nothing here; a changed number that nobody declared fails
tests/test_fingerprints.py. Two ways out: mend the code, or raise REVISION in the task's file, write the fingerprints
anew (`python -m tools.fingerprints --write`) and run the rows of the studies.

A fingerprint holds the loss of every training step (about 20, those of pre-training and teachers too), the columns of
History, the metrics on the test side and the predictions for its first rows. The synthetic sample is read whatever real
data are at hand, on the CPU.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from helpers import settings
from helpers.files import write_text
from helpers.model.baselines import MELI_BASELINES, SMS_BASELINES
from helpers.model.training import fit
from helpers.tasks import meli, sick, sms

FILE = settings.ROOT / "results" / "fingerprints.json"
STEPS = 20  # about so many of every stage
DIGITS = 7
SHOWN = 5  # test rows whose predictions are kept
TASKS = {"sms": sms, "meli": meli, "sick": sick}
BASELINES = {"sms": SMS_BASELINES, "meli": MELI_BASELINES, "sick": dict.fromkeys(("mean_cosine",))}
# Relative differences allowed, of the losses and of what is measured after an epoch. Measured over 18 configurations
# with one and two threads, with the instructions of AVX2 and of SSE4 processors and with first weights times
# 1 + 1e-7 N(0, 1): losses moved by at most 1.4e-6, metrics by 2e-4 (a rank correlation), counted ones not at all.
# Twenty steps are too few for the chaos that separates whole trainings.
TOLERANCE, METRIC_TOLERANCE = 2e-5, 1e-3


def names() -> list[str]:
    """Every configuration of the three tasks and every baseline, as "task/name"."""
    return [f"{task}/{name}" for task, module in TASKS.items() for name in (*module.CONFIGS, *BASELINES[task])]


def fingerprint(name: str, *, change: Callable = lambda config: config) -> dict:
    """Train one configuration in miniature.

    Args:
        name: as of names().
        change: from its configuration to the one that is trained (tests).

    Returns:
        "losses" (a number a step), "history" (column -> last value), "metrics", "predictions".
    """
    task, _, config = name.partition("/")
    with _sample_alone():
        if config in BASELINES[task]:
            return _rounded(_baseline(task, config))
        return _rounded(_trained(task, change(TASKS[task].CONFIGS[config])))


def _trained(task: str, config) -> dict:
    losses: list[float] = []
    options = {"epochs": _epochs(task, config.batch_size), "model_seed": 1, "trainer": _recording(losses)}
    options |= {"evaluate_on": "test"} if task == "sick" else {"split_seed": 1}
    result = TASKS[task].train(config, **options)
    history = {name: value for name, value in result.history.rows[-1].items() if "second" not in name}
    metrics = {name: value for name, value in result.metrics.items() if "second" not in name}
    return {"losses": losses, "history": history, "metrics": metrics, "predictions": _predictions(task, result)}


def _predictions(task: str, result) -> list[float]:
    first = result.test.head(SHOWN)
    if task == "sick":
        return result.model.similarity(first["sentence_a"].tolist(), first["sentence_b"].tolist()).tolist()
    texts = first["text" if task == "sms" else "title"].tolist()
    return result.model.predict_proba(texts)[:, :2].ravel().tolist()


def _epochs(task: str, batch_size: int) -> int:
    rows = {"sms": 288, "meli": 800, "sick": 180}[task]  # of the sample's training side
    return max(2, round(STEPS / math.ceil(rows / batch_size)))


def _recording(losses: list[float]) -> Callable:
    """fit, with the loss of every training step put down."""

    def trainer(model, loaders, step, **options):
        def recorded(network, batch):
            loss, outputs = step(network, batch)
            if network.training:
                losses.append(loss.item())
            return loss, outputs

        return fit(model, loaders, recorded, **options)

    return trainer


def _baseline(task: str, name: str) -> dict:
    if task == "sick":
        return {"metrics": sick.mean_cosine("glove-840b", evaluate_on="test")[0]}
    module, column = TASKS[task], {"sms": "text", "meli": "title"}[task]
    frame = module.load()
    sides = module.split(frame, 1)
    train = frame.iloc[np.union1d(sides.train, sides.valid)]
    settings.seed_everything(1)
    pipeline = BASELINES[task][name]().fit(train[column], train["target"])
    score = getattr(pipeline, "decision_function", None) or pipeline.predict_log_proba
    return {"predictions": np.ravel(score(frame.iloc[sides.test][column].head(SHOWN)))[:50].tolist()}


@contextmanager
def _sample_alone() -> Iterator[None]:
    """Profile quick, one device, the committed sample, and nothing left behind."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {"PROFILE": "quick", "DEVICE": "cpu", "DATA_OFFLINE": "1", "DATA_MIRROR": ""}
        variables |= {"DATA_CACHE": f"{folder}/cache", "ARTIFACTS_DIR": f"{folder}/artifacts"}
        with settings.environment(**variables):
            yield


def _rounded(content):
    if isinstance(content, Mapping):
        return {name: _rounded(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_rounded(value) for value in content]
    return content if isinstance(content, int) else float(f"{content:.{DIGITS}g}")


def differences(committed: Mapping, now: Mapping) -> list[str]:
    """What of a fingerprint is not as committed, within the tolerances; a line each, empty where all is."""
    found = []
    for kind in sorted({*committed, *now}):
        old, new = (_flat(side.get(kind, {})) for side in (committed, now))
        if old.keys() != new.keys():
            found.append(
                f"{kind}: {len(old)} numbers committed, {len(new)} now ({sorted(old.keys() ^ new.keys())[:3]})"
            )
            continue
        allowed = TOLERANCE if kind == "losses" else METRIC_TOLERANCE
        off = {name: _distance(old[name], new[name]) for name in old}
        if off and max(off.values()) > allowed:
            worst = max(off, key=off.get)
            found.append(f"{kind}: {worst} was {old[worst]}, is {new[worst]} (relative {off[worst]:.1e}, {allowed:g})")
    return found


def _distance(old: float, new: float) -> float:
    """Relative difference, of small numbers the absolute one."""
    return (
        abs(new - old) / max(abs(old), 0.1)
        if math.isfinite(old) and math.isfinite(new)
        else float(str(old) != str(new))
    )


def _flat(content) -> dict[str, float]:
    pairs = content.items() if isinstance(content, Mapping) else enumerate(content)
    return {str(name): value for name, value in pairs}


def read() -> dict:
    """The committed fingerprints: task -> revision, configuration -> fingerprint."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {"revisions": {}, "fingerprints": {}}


def write(wanted: list[str], say=print) -> int:
    """Train what is wanted and write what is new or of a raised revision; 1 where a number changed undeclared."""
    content, undeclared = read(), []
    for name in wanted:
        task, now = name.partition("/")[0], fingerprint(name)
        before, declared = content["fingerprints"].get(name), content["revisions"].get(task) != TASKS[task].REVISION
        changed = ["new"] if before is None else differences(before, now)
        if changed and before is not None and not declared:
            undeclared.append(name)
            say(f"{name}: {'; '.join(changed)}: mend the code, or raise REVISION in helpers/tasks/{task}.py")
        elif changed:
            content["fingerprints"][name] = now
            say(f"{name}: {'; '.join(changed)}")
    if not undeclared:
        known = set(names())
        content["fingerprints"] = {n: f for n, f in sorted(content["fingerprints"].items()) if n in known}
        content["revisions"] = {task: module.REVISION for task, module in TASKS.items()}
        write_text(FILE, _text(content))
    return int(bool(undeclared))


def _text(content: Mapping) -> str:
    lines = ",\n".join(f"  {json.dumps(n)}: {json.dumps(f)}" for n, f in content["fingerprints"].items())
    return f'{{"revisions": {json.dumps(content["revisions"])},\n "fingerprints": {{\n{lines}\n}}}}\n'


def main() -> int:
    """Write results/fingerprints.json, or compare with it."""
    parser = argparse.ArgumentParser(prog="python -m tools.fingerprints", description=main.__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("names", nargs="*", metavar="TASK/NAME")
    options = parser.parse_args()
    wanted = options.names or names()
    if unknown := sorted(set(wanted) - set(names())):
        parser.error(f"no configuration {', '.join(unknown)}: there are {', '.join(names())}")
    if options.write:
        return write(wanted)
    committed, faults = read()["fingerprints"], 0
    for name in wanted:
        found = differences(committed.get(name, {}), fingerprint(name))
        faults += bool(found)
        print(f"{name}: {'; '.join(found) or 'as committed'}", flush=True)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
