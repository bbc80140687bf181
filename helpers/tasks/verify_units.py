"""What `verify` runs again: every committed notebook, and sampled rows of every study."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import nbformat
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from helpers import settings
from helpers.report import tracking
from helpers.report.results import code_hash, committed_results, read_results
from helpers.report.verify import Check, notebook_deviations, numbers, row_deviations
from helpers.report.verify_origin import machine, repeats_exactly, study_threads
from helpers.tasks.studies import DIGITS, Spec, Study, hash_of, read_table, row_key

ROOMS = ("data", "model", "report", "tasks")
INPUTS = ("studies", "predictions", "readings")  # folders of results/ that notebooks read
EXECUTE = (sys.executable, "-m", "helpers", "notebooks", "execute", "--profile", "full")
ALL_DIGITS = 17  # JSON keeps every one
NOTEBOOK_SECONDS = 600  # expected of a notebook that no committed report has timed
ORPHAN = "numbers are committed that no notebook or study makes"
GRACE = 30  # seconds that an interrupted notebook has to stop its kernel


@dataclass(frozen=True)
class Place:
    """Where the committed numbers and notebooks lie, and the folder that everything else is written to."""

    committed: Path = settings.ROOT / "results"
    notebooks: Path = settings.ROOT / "notebooks"
    build: Path = settings.ROOT / "build" / "verify"

    def environment(self, threads: int, results: str) -> dict[str, str]:
        """Variables under which a run reads real data and writes below the build folder alone."""
        return {
            "PROFILE": "full",
            "THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "RESULTS_DIR": str(self.build / results),
            "ARTIFACTS_DIR": str(self.build / "artifacts"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.build / 'mlflow.db'}",
        }


@dataclass(frozen=True)
class Unit:
    """A notebook or a row to run again.

    Args:
        name: for people.
        key: hash of what decides its numbers; a result kept under another key is not used.
        run: runs it and returns its metrics.
        committed: its metrics, as of numbers().
        digits: significant digits of those.
        exact: whether every digit must come out again.
        deviations: metric -> recorded standard deviation.
        seconds: expected.
    """

    name: str
    key: str
    run: Callable[[], Mapping[str, float]]
    committed: Mapping[str, float]
    digits: int
    exact: bool
    deviations: Mapping[str, float]
    seconds: float


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process, and put back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def plan(
    place: Place, studies: Mapping[str, Study], *, only: Collection[str], rows: int, threads: int | None
) -> tuple[list[Unit], list[Check]]:
    """What is to be run, and what cannot be: numbers without their notebook or study, and the other way round.

    Args:
        only: notebooks ("01_eda") and studies; none means all.
        rows: of every study.
        threads: None for those that the committed numbers were made with.

    Raises:
        ValueError: `only` names something that is not there.
    """
    notebooks = {path.stem: path for path in sorted(place.notebooks.glob("*.ipynb"))}
    written = committed_results(place.committed)
    tables = {path.stem: path for path in sorted((place.committed / "studies").glob("*.csv"))}
    names = [*sorted({*notebooks, *written}), *studies, *sorted({*tables} - {*studies})]
    if unknown := [name for name in only if name not in names]:
        raise ValueError(f"nothing named {', '.join(unknown)}: the notebooks and studies are {', '.join(names)}")
    versions = [read_results(name, place.committed)["info"].get("versions") for name in written]
    versions = [found for found in versions if found]
    units, absent = [], []
    for name in [name for name in names if not only or name in only]:
        if name in notebooks and name in written:
            units.append(notebook_unit(notebooks[name], place, threads))
        elif name in studies and name in tables:
            found = row_units(studies[name], place, studies, rows=rows, threads=threads, versions=versions)
            units += found
            absent += [] if found else [_lacking(name)]
        else:
            absent.append(
                _lacking(name) if name in {*notebooks, *studies} else Check(ORPHAN, name, None, None, "missing")
            )
    return units, absent


def _lacking(name: str) -> Check:
    command = "make deliverable" if name[0].isdigit() else f"make study NAME={name}"
    return Check(f"no current number is committed: {command}", name, None, None, "missing")


def notebook_unit(path: Path, place: Place, threads: int | None) -> Unit:
    """A notebook, with the number of threads that its results name."""
    content = read_results(path.stem, place.committed)
    info, committed = content["info"], numbers(content["metrics"])
    made_with = info.get("threads") or settings.threads()
    threads = threads or made_with
    identity = {"notebook": path.stem, "cells": _cells(path), "code": _code(), "inputs": _inputs(place.committed)}
    return Unit(
        name=path.stem,
        key=_key(identity, threads),
        run=partial(run_notebook, path, place, threads),
        committed=committed,
        digits=ALL_DIGITS,
        exact=repeats_exactly(threads, made_with, [info["versions"]] if info.get("versions") else []),
        deviations=notebook_deviations(committed),
        seconds=_expected(path.stem, place),
    )


def _expected(name: str, place: Place) -> float:
    """Seconds that the notebook took when the committed report was made."""
    try:
        return float(json.loads((place.committed / "verify.json").read_text())["info"]["notebook_seconds"][name])
    except (OSError, ValueError, KeyError, TypeError):
        return NOTEBOOK_SECONDS


def _cells(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@cache
def _code() -> str:
    """Of everything a notebook may import, but for what only verifies."""
    files = [file for room in ROOMS for file in (settings.ROOT / "helpers" / room).rglob("*.py")]
    return code_hash(settings.ROOT / "helpers" / "settings.py", *(f for f in files if not f.stem.startswith("verify")))


def _inputs(committed: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(file for name in INPUTS for file in (committed / name).rglob("*.*")):
        digest.update(
            f"{file.relative_to(committed).as_posix()}\0".encode() + hashlib.sha256(file.read_bytes()).digest()
        )
    return digest.hexdigest()


def _key(identity: dict, threads: int) -> str:
    return hash_of(identity | {"threads": threads, "machine": machine(), "versions": settings.versions()})


def run_notebook(path: Path, place: Place, threads: int) -> dict[str, float]:
    """Execute a copy in a process of its own and return the metrics that it wrote.

    In this process nbclient would take Ctrl-C for the death of the kernel, and go on.

    Raises:
        RuntimeError: a cell failed; says which.
        FileNotFoundError: it wrote no results.
    """
    results = place.build / "results"
    shutil.rmtree(results / "predictions", ignore_errors=True)
    if (place.committed / "predictions").is_dir():  # notebooks read them where they write
        shutil.copytree(place.committed / "predictions", results / "predictions")
    (results / f"{path.stem}.json").unlink(missing_ok=True)
    command = [*EXECUTE, "--out", str(place.build / "notebooks"), str(path.resolve())]
    variables = os.environ | place.environment(threads, "results")
    child = subprocess.Popen(command, cwd=settings.ROOT, env=variables, stderr=subprocess.PIPE, text=True)  # noqa: S603
    try:
        _, said = child.communicate()
    except BaseException:
        _stop(child)
        raise
    if child.returncode:
        raise RuntimeError(said.strip().rpartition("\n")[2] or f"ended with status {child.returncode}")
    return read_results(path.stem, results)["metrics"]


def _stop(child: subprocess.Popen) -> None:
    child.terminate()
    try:
        child.communicate(timeout=GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()


def row_units(
    study: Study,
    place: Place,
    studies: Mapping[str, Study],
    *,
    rows: int,
    threads: int | None,
    versions: Collection[Mapping[str, str]],
) -> list[Unit]:
    """A seeded sample of the rows of a committed table that the study still has."""
    table = _table(place, study.name)
    specs = {row_key(spec): spec for spec in study.specs()}
    corpus = study.name.partition("-")[0]
    related = [other for other in studies.values() if other.name.startswith(f"{corpus}-") and other is not study]
    family = [(_table(place, other.name), list(other.specs()[0])) for other in related if _path(place, other).is_file()]
    made_with = study_threads(study.name)
    stamp, threads = study.stamp(), threads or made_with
    units = []
    for key in sample([key for key in table["key"] if key in specs], rows):
        spec, row = specs[key], table[table["key"] == key].iloc[0].to_dict()
        units.append(
            Unit(
                name=f"{study.name} {_label(spec)}",
                key=_key(stamp | {"study": study.name, "row": key}, threads),
                run=partial(run_row, study, spec, place, threads),
                committed=numbers({name: value for name, value in row.items() if name not in spec}),
                digits=DIGITS,
                exact=repeats_exactly(threads, made_with, versions),
                deviations=row_deviations(spec, table, family),
                seconds=float(row["seconds"]),
            )
        )
    return units


def _path(place: Place, study: Study) -> Path:
    return place.committed / "studies" / f"{study.name}.csv"


def _table(place: Place, study: str) -> pd.DataFrame:
    return read_table(place.committed / "studies" / f"{study}.csv")


def sample(keys: Collection[str], count: int, seed: int = settings.SEED) -> list[str]:
    """So many of the keys, drawn by a seed; a table that grows keeps most of its sample."""
    drawn = sorted(keys, key=lambda key: hash_of({"seed": seed, "key": key}))[:count]
    return [key for key in keys if key in drawn]


def _label(spec: Spec) -> str:
    return " ".join(f"{name}={value}" for name, value in spec.items() if name != "config")


def run_row(study: Study, spec: Spec, place: Place, threads: int) -> dict[str, float]:
    """Run one row as `make study` does, in a tracking store and folders of its own."""
    before = torch.get_num_threads()
    with environment(place.environment(threads, "rows")), threadpool_limits(threads):
        torch.set_num_threads(threads)
        try:
            with tracking.run(study.name, _label(spec), params=spec) as tracked:
                return study.run(spec, tracked)
        finally:
            torch.set_num_threads(before)
