"""Studies: tables that need many trainings, one row a run. results/studies/<name>.csv is the record, MLflow the log."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from helpers import settings
from helpers.files import hash_of, locked, replacing
from helpers.report import tracking

DIGITS = 10  # significant digits in a table
ORIGIN = ("revision", "commit", "threads", "processor", "device")  # columns that say how a row was made
TEXTS = ("key", "config", "data_hash", "commit", "processor", "device")  # columns that may look like numbers
Spec = dict[str, str | int | float | bool]  # what tells one row from another, as model="lstm", split_seed=3


@dataclass(frozen=True)
class Study:
    """A table to be made.

    Args:
        name: of the CSV file and of the MLflow experiment.
        specs: the rows, in the order in which they are run.
        run: trains one row and returns its metrics.
        data_hash: of the corpus read.
        revision: of the task; whoever changes numbers on purpose raises it, and the rows are run again.
        describe: what more is worth logging of a row (the configuration behind its name).
    """

    name: str
    specs: Callable[[], list[Spec]]
    run: Callable[[Spec, tracking.Tracked], dict[str, float]]
    data_hash: Callable[[], str]
    revision: int
    describe: Callable[[Spec], dict] = lambda spec: {}

    def stamp(self) -> dict[str, str | int]:
        """What makes a row current: the data it was made on, and the task's revision."""
        return {"data_hash": self.data_hash(), "revision": self.revision}


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
    print(f"{study.name}: {len(made)} filas, hechas con `{command}` (revisión {made['revision'].iloc[-1]})")
    return made


def read_table(path: str | Path) -> pd.DataFrame:
    """A study's CSV file; hashes are texts, also those that look like numbers."""
    return pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str))


def row_key(spec: Spec) -> str:
    """A short name for a row: equal specs have equal keys."""
    return hash_of(spec)[:16]


def run_study(study: Study, *, limit: int | None = None, verbose: bool = True) -> pd.DataFrame:
    """Run the rows that are missing or stale, one after another, writing the table after each; then return it.

    Stopped at any moment it loses at most the row under way: started again it goes on from there. A second process
    that runs the same study waits until the first has ended. Rows are run on the CPU, whatever DEVICE says: a table
    holds numbers of one kind of device.

    Args:
        limit: run at most this many rows now.
        verbose: print a line per row.

    Raises:
        ValueError: the table holds rows of a revision that this code does not know (says which).
    """
    say = partial(print, flush=True) if verbose else lambda *_: None
    with settings.environment(DEVICE="cpu"), locked(table_path(study.name).with_suffix(".lock")):
        stamp, specs = study.stamp(), study.specs()
        done = current_rows(study, stamp)
        missing = [spec for spec in specs if row_key(spec) not in done]
        say(f"{study.name}: {len(specs) - len(missing)} of {len(specs)} rows are there, {len(missing)} to run")
        if missing[:limit]:
            parent = {"study": study.name, "kind": "parent"}
            with tracking.run(study.name, study.name, params={"rows": len(missing[:limit])}, tags=parent):
                for number, spec in enumerate(missing[:limit], start=1):
                    metrics = _run_row(study, spec, stamp)
                    done[row_key(spec)] = stamp | origin() | {"key": row_key(spec)} | dict(sorted(metrics.items()))
                    write_table(study.name, specs, done)
                    say(f"{number}/{len(missing)} {label(spec)}: {_summary(metrics)} ({metrics['seconds']:.0f} s)")
        return write_table(study.name, specs, done)


def origin() -> dict[str, str | int]:
    """Who makes a row now: commit, threads, processor, device."""
    facts = {"commit": settings.commit(), "threads": settings.threads(), "processor": settings.processor()}
    return facts | {"device": str(settings.device())}


def _run_row(study: Study, spec: Spec, stamp: Mapping) -> dict[str, float]:
    """One row, a child of the run of the whole study."""
    start = time.perf_counter()
    tags = {name: str(value) for name, value in (stamp | origin()).items()}
    tags |= {"study": study.name, "key": row_key(spec), "profile": settings.profile()}
    params = spec | study.describe(spec)
    with tracking.run(study.name, label(spec), params=params, tags=tags, nested=True) as tracked:
        metrics = study.run(spec, tracked)
        metrics |= {"seconds": time.perf_counter() - start}
        tracked.metrics(metrics)
    return metrics


def label(spec: Spec) -> str:
    """A row in words: "model=lstm split_seed=3"."""
    return " ".join(f"{name}={value}" for name, value in spec.items())


def _summary(metrics: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in list(metrics.items())[:4])


def current_rows(study: Study, stamp: Mapping) -> dict[str, dict]:
    """key -> row of the table, of those made on the data and under the revision of today.

    Raises:
        ValueError: rows of an unknown revision.
    """
    path = table_path(study.name)
    if not path.is_file():
        return {}
    rows = read_table(path)
    if fault := revision_fault(rows, study):
        raise settings.WrongValue(f"{path}: {fault}")
    current = rows[(rows["data_hash"] == stamp["data_hash"]) & (rows["revision"] == stamp["revision"])]
    return {row["key"]: row for row in current.to_dict("records")}


def revision_fault(rows: pd.DataFrame, study: Study) -> str | None:
    """What is wrong with the revisions of a table: none at all, no number, or one that is yet to come."""
    known = pd.to_numeric(rows["revision"], errors="coerce") if "revision" in rows else pd.Series(pd.NA, rows.index)
    unknown = rows[~known.isin(range(1, study.revision + 1))]
    if unknown.empty:
        return None
    places = ", ".join(f"{i + 2}" for i in unknown.index[:5]) + (", …" if len(unknown) > 5 else "")
    found = sorted({str(value) for value in unknown["revision"]}) if "revision" in rows else ["none"]
    return (
        f"{len(unknown)} of {len(rows)} rows (lines {places}) have an unknown revision ({', '.join(found)}; this code "
        f"has {study.revision}): delete them and run `make study NAME={study.name}`"
    )


def write_table(name: str, specs: Iterable[Spec], done: Mapping[str, dict]) -> pd.DataFrame:
    """One row per finished spec: what it is, how it was made, its metrics, seconds."""
    rows = [
        spec | {k: v for k, v in done[row_key(spec)].items() if k not in spec}
        for spec in specs
        if row_key(spec) in done
    ]
    made = pd.DataFrame(rows)
    with replacing(table_path(name)) as part:
        made.to_csv(part, index=False, float_format=f"%.{DIGITS}g")
    return made


def table_problems(studies: Mapping[str, Study], folder: str | Path) -> list[str]:
    """Committed rows that are stale (other data, revision or configuration), missing, or of no study; a line each.

    Args:
        folder: of the tables, one <name>.csv a study.
    """
    problems = []
    for path in sorted(Path(folder).glob("*.csv")):
        if path.stem not in studies:
            problems.append(f"studies/{path.name}: no study of this name; delete the table or give the study back")
            continue
        faults = _table_faults(read_table(path), studies[path.stem])
        problems += [f"studies/{path.name}: {fault}" for fault in faults]
    return problems


def _table_faults(rows: pd.DataFrame, study: Study) -> Iterator[str]:
    if lacking := [name for name in ("key", "data_hash", *ORIGIN) if name not in rows]:
        yield f"no column {' or '.join(lacking)}; make study NAME={study.name}"
        return
    if fault := revision_fault(rows, study):
        yield fault
        return
    stamp, keys = study.stamp(), {row_key(spec) for spec in study.specs()}
    other = {name: rows[name] != value for name, value in stamp.items()} | {"configuration": ~rows["key"].isin(keys)}
    if stale := int(pd.DataFrame(other).any(axis=1).sum()):
        why = " and ".join(name for name, found in other.items() if found.any())
        yield f"{stale} of {len(rows)} rows are stale (other {why}); make study NAME={study.name}"
    if missing := len(keys - set(rows["key"])):
        yield f"{missing} rows are missing; make study NAME={study.name}"
