"""Numbers of today held against the committed ones: the comparison, its table and its report. Where the committed numbers were made. There, and only there, they repeat to the last digit. What `verify` runs again: every committed notebook, and sampled rows of every study. Every committed number made again: notebooks executed, sampled rows run, all compared. Resumable, one by one."""

import fcntl
import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import nbformat
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from helpers import settings
from helpers.report import tracking
from helpers.report.results import code_hash, committed_results, read_results, write_text
from helpers.tasks.studies import DIGITS, Spec, Study, hash_of, read_table, row_key

REPORT_SCHEMA = 1
PASSING = ("equal", "within")
VERDICTS = (*PASSING, "differs", "missing", "new", "failed")
SUFFIXES = (".mean", ".std", ".low", ".high")
# What tells rows of one configuration apart: the deviation over them is the recorded one.
SEED_COLUMNS = {"split_seed", "model_seed", "seed", "fold", "draw", "evaluate_on"}
NOT_METRICS = {"key", "data_hash", "code_hash"}
ROUNDING = 1e-6  # relative: other machines add in another order, also where no deviation is recorded


@dataclass(frozen=True)
class Check:
    """One comparison.

    Args:
        what: name of the metric.
        where: notebook, or study and row.
        committed: None where the committed results lack it.
        now: None where it did not come out again, a reason where the run failed.
        verdict: "equal"; "within" the recorded deviation; "differs"; "missing" now or in the committed results;
            "new" (now, and not committed); "failed" (did not run to its end).
        tolerance: largest difference allowed.
    """

    what: str
    where: str
    committed: float | None
    now: float | str | None
    verdict: str
    tolerance: float = 0.0

    @property
    def passes(self) -> bool:
        """Whether the committed number stands."""
        return self.verdict in PASSING


def numbers(metrics: Mapping) -> dict[str, float]:
    """What is compared of a run or of a row: every number but times; NaN stands for a number that is not there."""
    found = {name: value for name, value in metrics.items() if "seconds" not in name and name not in NOT_METRICS}
    return {name: float(value) for name, value in found.items() if not math.isnan(value)}


def compare(
    where: str,
    committed: Mapping[str, float],
    now: Mapping[str, float],
    *,
    digits: int,
    exact: bool,
    deviations: Mapping[str, float],
) -> list[Check]:
    """Hold what came out now against what is committed, one check a metric, sorted by name.

    Args:
        committed: as of numbers().
        now: as of numbers().
        digits: significant digits that the committed numbers were written with.
        exact: every digit must be the same; otherwise a number may be off by its recorded standard deviation.
        deviations: metric -> recorded standard deviation.
    """
    checks = []
    for what in sorted({*committed, *now}):
        old, new = committed.get(what), now.get(what)
        if old is None or new is None:
            checks.append(Check(what, where, old, new, "missing" if new is None else "new"))
            continue
        tolerance = 0.0 if exact else max(deviations.get(what, 0.0), ROUNDING * abs(old))
        if new == old or f"{new:.{digits}g}" == f"{old:.{digits}g}":
            verdict = "equal"
        else:
            verdict = "within" if abs(new - old) <= tolerance else "differs"
        checks.append(Check(what, where, old, new, verdict, tolerance))
    return checks


def notebook_deviations(metrics: Mapping[str, float]) -> dict[str, float]:
    """The deviation recorded for every metric of a notebook.

    That is corpus.model.metric.std for corpus.model.metric and its .mean, .low and .high; where there is none, the
    largest that the notebook records for a metric of that name.
    """
    own = {_stem(name): value for name, value in metrics.items() if name.endswith(".std")}
    largest: dict[str, float] = {}
    for stem, value in own.items():
        metric = stem.rpartition(".")[2]
        largest[metric] = max(value, largest.get(metric, 0.0))
    stems = {name: _stem(name) for name in metrics}
    return {name: own.get(stem, largest.get(stem.rpartition(".")[2], 0.0)) for name, stem in stems.items()}


def _stem(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def row_deviations(
    spec: Mapping, table: pd.DataFrame, family: Iterable[tuple[pd.DataFrame, Iterable[str]]] = ()
) -> dict[str, float]:
    """The deviation recorded for every metric of a study's row.

    That is the one over the table's rows that differ from it in seeds alone; where there is but one, the largest over
    such rows of the table, then of the other tables of the corpus.

    Args:
        spec: the row's.
        table: of the study.
        family: tables of the other studies of the corpus, with the names of what tells their rows apart.
    """
    fixed = [name for name in spec if name not in SEED_COLUMNS]
    alike = table[(table[fixed].astype(str) == [str(spec[name]) for name in fixed]).all(axis=1)]
    found = _deviations(alike, spec)
    for other, names in ((table, spec), *family):
        found = found.combine_first(_deviations(other, names))
    return found.dropna().to_dict()


def _deviations(table: pd.DataFrame, names: Iterable[str]) -> pd.Series:
    """The largest standard deviation of every number over rows that differ in seeds alone."""
    names = set(names)
    measured = table.drop(columns=[*names & {*table}]).select_dtypes("number")
    return measured.groupby([table[name] for name in sorted(names - SEED_COLUMNS)], dropna=False).std().max()


def told(checks: Iterable[Check]) -> str:
    """How many of each verdict, in a few words: "12 equal, 1 differs"."""
    counts = Counter(check.verdict for check in checks)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]) or "nothing to compare"


def verdict_table(checks: list[Check]) -> str:
    """A line per notebook and row, how many numbers got each verdict; below, every number that does not pass."""
    counts = pd.crosstab([check.where for check in checks], [check.verdict for check in checks])
    shown = counts.reindex(columns=[verdict for verdict in VERDICTS if verdict in counts])
    shown = shown.reindex(dict.fromkeys(check.where for check in checks)).rename_axis(index=None, columns=None)
    width = max(map(len, shown.index))
    shown.index = [name.ljust(width) for name in shown.index]
    failing = [f"{c.verdict.upper()}  {c.where}: {_why(c)}" for c in checks if not c.passes]
    return "\n".join([shown.to_string(), *failing])


def _why(check: Check) -> str:
    if check.verdict == "failed":
        return str(check.now)
    if check.verdict == "missing":
        return f"{check.what} was {check.committed}, did not come out" if check.committed is not None else check.what
    if check.verdict == "new":
        return f"{check.what} is {check.now}, the committed results lack it"
    return f"{check.what} was {check.committed}, is {check.now} (tolerance {check.tolerance:g})"


def write_report(path: Path, checks: Iterable[Check], info: Mapping) -> Path:
    """Write all checks as JSON, one a line, in one piece."""
    checks = list(checks)
    counts = Counter(check.verdict for check in checks)
    head = {"schema": REPORT_SCHEMA, "verdicts": {name: counts[name] for name in VERDICTS}, "info": dict(info)}
    opening = json.dumps(head, indent=2, sort_keys=True, ensure_ascii=False)[:-2]
    lines = ",\n".join(f"    {_line(check)}" for check in checks)
    return write_text(path, f'{opening},\n  "checks": [\n{lines}\n  ]\n}}\n')


def _line(check: Check) -> str:
    facts = {name: value if _fits_json(value) else str(value) for name, value in asdict(check).items()}
    return json.dumps(facts, ensure_ascii=False, allow_nan=False)


def _fits_json(value) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


MACHINE = "x86_64, AMD EPYC, family 25, model 1, AVX2"  # as machine() says it
STUDY_THREADS = {"meli": 1, "sick": 1}  # by corpus; the tables themselves do not say
USUAL_THREADS = 2
CPU_FIELDS = {"model name": "{}", "cpu family": "family {}", "model": "model {}"}


def machine() -> str:
    """What of this machine decides the last digits: architecture, processor, vector instructions that torch uses."""
    processor = ", ".join(_cpu_facts()) or platform.processor() or "unknown processor"
    return f"{platform.machine()}, {processor}, {torch.backends.cpu.get_cpu_capability()}"


def _cpu_facts(path: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Name, family and model of the first processor; nothing where the system does not tell."""
    try:
        lines = path.read_text(encoding="utf8").split("\n\n")[0].splitlines()
    except OSError:
        return []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return [shown.format(facts[name]) for name, shown in CPU_FIELDS.items() if name in facts]


def study_threads(study: str) -> int:
    """Threads that a study's rows were made with."""
    return STUDY_THREADS.get(study.partition("-")[0], USUAL_THREADS)


def repeats_exactly(threads: int, made_with: int, made_versions: Collection[Mapping[str, str]]) -> bool:
    """Whether numbers made with so many threads must come out the same to the last digit, here and now.

    Args:
        threads: that they are made with now.
        made_with: threads that the committed ones were made with.
        made_versions: of packages, any of which may have made them; empty where nothing is recorded.
    """
    same_versions = not made_versions or settings.versions() in made_versions
    return machine() == MACHINE and threads == made_with and same_versions


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


SCHEMA = 1
ROWS = 2  # of every study
say = partial(print, flush=True)


def verify(
    studies: Mapping[str, Study],
    place: Place | None = None,
    *,
    only: Collection[str] = (),
    rows: int = ROWS,
    threads: int | None = None,
    fresh: bool = False,
) -> tuple[list[Check], Path]:
    """Run again what the committed numbers come from, compare, and write the report.

    Stopped at any moment it loses at most what is under way: started again it goes on from there, as long as code,
    data, notebook, threads and machine are the same.

    Args:
        studies: by name, all there are.
        place: of the committed numbers and of the folder to work in.
        only: notebooks ("01_eda") and studies to look at; none means all.
        rows: sampled of every study.
        threads: None for those that the committed numbers were made with.
        fresh: forget what earlier runs have done.

    Returns:
        The comparisons, and the report: verify.json beside the committed results, in the working folder with `only`.

    Raises:
        ValueError: an unknown name, another run at work, an unreadable state.
        SourceError: real data cannot be had.
    """
    place = place or Place()
    with _alone(place.build, fresh), environment({"PROFILE": "full"}):
        units, absent = plan(place, studies, only=only, rows=rows, threads=threads)
        if machine() != MACHINE:
            say(f"the numbers were made on {MACHINE}; this is {machine()}: they may be off by their deviation")
        checks, took = _run_all(units, place.build / "state.json")
        checks += absent
        info = {"threads": threads or "as recorded", "rows_per_study": rows} | _times(took, place)
        folder = place.build if only else place.committed
        return checks, write_report(folder / "verify.json", checks, _here() | info)


def _here() -> dict:
    facts = {"machine": machine(), "made_on": MACHINE, "versions": settings.versions()}
    return facts | {"seed": settings.SEED, "date": time.strftime("%Y-%m-%d")}


def _times(took: Mapping[str, float], place: Place) -> dict:
    notebooks = {path.stem for path in place.notebooks.glob("*.ipynb")}
    apart = {name: round(seconds) for name, seconds in took.items() if name in notebooks}
    return {"seconds": round(sum(took.values())), "notebook_seconds": apart}


def _run_all(units: list[Unit], path: Path) -> tuple[list[Check], dict[str, float]]:
    """All comparisons, and the seconds that each run took, also those of earlier calls."""
    state = _read_state(path)
    say(f"notebooks and rows: {len(units)}, run before: {sum(unit.key in state for unit in units)}")
    left = sum(unit.seconds for unit in units if unit.key not in state)
    checks, expected, spent = [], 0.0, 0.0
    for number, unit in enumerate(units, start=1):
        head = f"[{number}/{len(units)}] {unit.name}"
        if known := state.get(unit.key):
            found = _compared(unit, known["metrics"])
        else:
            say(f"{head} … ({duration(left * (spent / expected if expected else 1.0))} left in all)")
            start = time.perf_counter()
            found = _run_one(unit, state, path)
            spent, expected = spent + time.perf_counter() - start, expected + unit.seconds
            left -= unit.seconds
        say(f"{head}: {told(found)}{' (run before)' if known else ''}")
        checks += found
    return checks, {unit.name: state[unit.key]["seconds"] for unit in units if unit.key in state}


def _run_one(unit: Unit, state: dict[str, dict], path: Path) -> list[Check]:
    """Run, keep and compare; a run that fails is a finding, is not kept, and does not end the others."""
    start = time.perf_counter()
    try:
        metrics = numbers(unit.run())
    except KeyboardInterrupt:
        say("stopped; what is done is kept, and the same command goes on from here")
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".replace(f"{settings.ROOT}/", "")
        return [Check("run", unit.name, None, reason, "failed")]
    state[unit.key] = {"name": unit.name, "metrics": metrics, "seconds": time.perf_counter() - start}
    write_text(path, json.dumps({"schema": SCHEMA, "done": state}, indent=1) + "\n")
    return _compared(unit, metrics)


def _compared(unit: Unit, metrics: Mapping[str, float]) -> list[Check]:
    options = {"digits": unit.digits, "exact": unit.exact, "deviations": unit.deviations}
    return compare(unit.name, unit.committed, metrics, **options)


def _read_state(path: Path) -> dict[str, dict]:
    """key -> what that run gave."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}")
        return {
            key: {name: entry[name] for name in ("name", "metrics", "seconds")}
            for key, entry in content["done"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} cannot be read ({error}): begin again with --fresh") from None


@contextmanager
def _alone(build: Path, fresh: bool) -> Iterator[None]:
    """Hold the working folder against a second run; empty it first if asked to.

    Raises:
        ValueError: another run holds it.
    """
    build.mkdir(parents=True, exist_ok=True)
    with (build / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another verify is at work in {build.name}/: wait for it, or stop it") from None
        if fresh:
            for entry in build.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry.name != "lock":
                    entry.unlink()
        yield


def duration(seconds: float) -> str:
    """Time in the words of an estimate: "about 2 h 10 min", "about 3 min", "less than a minute"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    hours, rest = divmod(minutes, 60)
    return f"about {hours} h {rest} min" if hours else f"about {minutes} min"
