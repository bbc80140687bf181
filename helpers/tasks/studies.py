"""Studies: tables that need many trainings. Resumable, one row a run, exported from MLflow to results/studies/."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from helpers import settings
from helpers.report import tracking
from helpers.report.results import code_hash

DIGITS = 10  # significant digits in a table
Spec = dict[str, str | int | float | bool]  # what tells one row from another, as model="lstm", split_seed=3


@dataclass(frozen=True)
class Study:
    """A table to be made.

    Args:
        name: of the CSV file and of the MLflow experiment.
        specs: the rows, in the order in which they are run.
        run: trains one row and returns its metrics.
        data_hash: of the corpus read.
        code: the files whose code decides the numbers.
        describe: what more is worth logging of a row (the configuration behind its name).
    """

    name: str
    specs: Callable[[], list[Spec]]
    run: Callable[[Spec, tracking.Tracked], dict[str, float]]
    data_hash: Callable[[], str]
    code: tuple[Path, ...]
    describe: Callable[[Spec], dict] = lambda spec: {}

    def stamp(self) -> dict[str, str]:
        """Hashes that make a row current."""
        return {"data_hash": self.data_hash(), "code_hash": code_hash(*self.code)}


def table_path(name: str) -> Path:
    """The CSV file of a study."""
    return settings.results_dir() / "studies" / f"{name}.csv"


def table(study: Study) -> pd.DataFrame:
    """What a notebook shows: in profile full the committed table, in quick a miniature of the study, run now.

    Raises:
        FileNotFoundError: the table was never made; says how.
    """
    path = settings.ROOT / "results" / "studies" / f"{study.name}.csv"
    command = f"make study NAME={study.name}"
    if settings.profile() == "quick":
        made = run_study(study, verbose=False)
        print(f"{study.name}: {len(made)} filas, estudio en miniatura recién ejecutado (la tabla entera: {command})")
        return made
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing: run `{command}`")
    made = read_table(path)
    print(f"{study.name}: {len(made)} filas, hechas con `{command}` (código {made['code_hash'].iloc[-1]})")
    return made


def read_table(path: Path) -> pd.DataFrame:
    """A study's CSV file; hashes are texts, also those that look like numbers."""
    return pd.read_csv(path, dtype=dict.fromkeys(("key", "config", "code_hash", "data_hash"), str))


def row_key(spec: Spec) -> str:
    """A short name for a row: equal specs have equal keys."""
    return hash_of(spec)[:16]


def hash_of(content: dict) -> str:
    """SHA-256 of a dictionary that JSON holds, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def run_study(study: Study, *, limit: int | None = None, verbose: bool = True) -> pd.DataFrame:
    """Run the rows that are missing or stale, one after another, writing the table after each; then return it.

    Stopped at any moment it loses at most the row under way: started again it goes on from there.

    Args:
        limit: run at most this many rows now.
        verbose: print a line per row.
    """
    say = partial(print, flush=True) if verbose else lambda *_: None
    stamp, specs = study.stamp(), study.specs()
    done = _current_rows(study, stamp)
    missing = [spec for spec in specs if row_key(spec) not in done]
    say(f"{study.name}: {len(specs) - len(missing)} of {len(specs)} rows are there, {len(missing)} to run")
    if not missing[:limit]:
        return _write_table(study.name, specs, done)
    parent = {"study": study.name, "kind": "parent"}
    with tracking.run(study.name, study.name, params={"rows": len(missing[:limit])}, tags=parent):
        for number, spec in enumerate(missing[:limit], start=1):
            metrics = _run_row(study, spec, stamp)
            done[row_key(spec)] = stamp | {"key": row_key(spec)} | dict(sorted(metrics.items()))
            _write_table(study.name, specs, done)
            say(f"{number}/{len(missing)} {_label(spec)}: {_summary(metrics)} ({metrics['seconds']:.0f} s)")
    return _write_table(study.name, specs, _current_rows(study, stamp))


def _run_row(study: Study, spec: Spec, stamp: dict[str, str]) -> dict[str, float]:
    """One row, a child of the run of the whole study."""
    start = time.perf_counter()
    tags = stamp | {"study": study.name, "key": row_key(spec), "profile": settings.profile()}
    params = spec | study.describe(spec)
    with tracking.run(study.name, _label(spec), params=params, tags=tags, nested=True) as tracked:
        metrics = study.run(spec, tracked)
        metrics |= {"seconds": time.perf_counter() - start}
        tracked.metrics(metrics)
    return metrics


def confirm_study(study: Study, *, sample: int = 3) -> pd.DataFrame:
    """After a change of the code that should not change its numbers: prove it on some rows, and keep the others.

    A seeded sample of the stale rows is run again. Only if every metric but the times is what the table says, to its
    last digit, do the stale rows count as made by the code of today.

    Raises:
        FileNotFoundError: there is no table.
        ValueError: a metric differs (names row, metric and both values); the table is left as it was.
    """
    stamp, path = study.stamp(), table_path(study.name)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: `make study NAME={study.name}` makes it, PROFILE=full finds it")
    table, specs = read_table(path), {row_key(spec): spec for spec in study.specs()}
    stale = table["key"].isin(specs) & (table["data_hash"] == stamp["data_hash"])
    stale &= table["code_hash"] != stamp["code_hash"]
    for row in table[stale].sample(min(sample, int(stale.sum())), random_state=settings.SEED).to_dict("records"):
        spec = specs[row["key"]]
        with tracking.run(f"{study.name}-confirm", _label(spec), params=spec) as tracked:
            metrics = study.run(spec, tracked)
        for name, value in metrics.items():
            if "seconds" not in name and float(f"{value:.{DIGITS}g}") != row[name]:
                raise ValueError(
                    f"{study.name}: {_label(spec)}: {name} was {row[name]}, is {value}: run the study again"
                )
        print(f"{study.name}: {_label(spec)}: the same", flush=True)
    table.loc[stale, "code_hash"] = stamp["code_hash"]
    _save(table, path)
    return table


def _label(spec: Spec) -> str:
    return " ".join(f"{name}={value}" for name, value in spec.items())


def _summary(metrics: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in list(metrics.items())[:4])


def _current_rows(study: Study, stamp: dict[str, str]) -> dict[str, dict]:
    """key -> row, from the exported table and from MLflow, where hashes are those of today."""
    rows: dict[str, dict] = {}
    path = table_path(study.name)
    if path.is_file():
        table = read_table(path)
        current = table[(table["data_hash"] == stamp["data_hash"]) & (table["code_hash"] == stamp["code_hash"])]
        rows |= {row["key"]: row for row in current.to_dict("records")}
    for run in tracking.runs(study.name).to_dict("records"):
        if all(run.get(f"tags.{name}") == value for name, value in (stamp | {"profile": settings.profile()}).items()):
            metrics = {n.removeprefix("metrics."): v for n, v in run.items() if n.startswith("metrics.")}
            metrics = {n: v for n, v in sorted(metrics.items()) if not n.startswith("epoch/")}
            rows[run["tags.key"]] = stamp | {"key": run["tags.key"]} | metrics
    return rows


def _write_table(name: str, specs: Iterable[Spec], done: dict[str, dict]) -> pd.DataFrame:
    """One row per finished spec: what it is, its metrics, seconds, hashes."""
    rows = [
        spec | {k: v for k, v in done[row_key(spec)].items() if k not in spec}
        for spec in specs
        if row_key(spec) in done
    ]
    table = pd.DataFrame(rows)
    _save(table, table_path(name))
    return table


def _save(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    table.to_csv(temporary, index=False, float_format=f"%.{DIGITS}g")
    os.replace(temporary, path)
