"""make verify: run every notebook (profile full) and sampled rows of every study again, and compare every number.

What has been run is kept in build/verify until code, data, notebook, threads or processor change. "The same" means:

- **Processor, threads and package versions are those that made it**: the last digit decides.
- **A row made elsewhere**: training is chaotic. Another processor, another number of threads or a last bit of the first
  weights moves it up to as far as another seed does (`python -m tools.perturb`: 0.1 times for MeLi's MLP, 0.5 for SMS's
  LSTM, 1.2 for SICK). The old number and the new one are then two independent draws, and their difference stays, in 99
  of 100 cases, within `t * s * sqrt(2)`: s the standard deviation over the n rows that differ in seeds alone, t the
  0.995 quantile of Student's t with n - 1 degrees of freedom. (Two means of n rows: `t * s * sqrt(1/n + 1/n)`.) So it
  is: pairs of disturbed trainings lie further apart in 2 of 340 numbers, pairs of seeds of the committed tables in 110
  of 11,428. Some numbers of a long run therefore lie outside by chance: as many as a binomial count with p = 0.01
  reaches once in 1,000 runs are let pass, none of them by more than twice its interval.
- **A notebook made elsewhere** computes from committed tables and predictions, so its numbers are off by the order of
  addition alone: 1e-6 of the value, but for what three notebooks train for themselves (TRAINED).
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path

import nbformat
import pandas as pd
from scipy.stats import binom, t
from threadpoolctl import threadpool_limits

from helpers import settings
from helpers.files import hash_of, locked, remove, sha256_of, write_text
from helpers.report import tracking
from helpers.report.results import committed_results, read_results
from helpers.tasks.studies import DIGITS, ORIGIN, Spec, Study, label, read_table, row_key
from tools import positive, sample

COMMITTED, NOTEBOOKS = settings.ROOT / "results", settings.ROOT / "notebooks"
BUILD = settings.ROOT / "build" / "verify"
LEVEL = 0.99  # of the interval for the difference of two draws
ONCE_IN = 1000  # runs in which chance alone puts more numbers outside than are let pass
FAR = 2  # intervals that no number may be off by, whatever the others do
ROUNDING = 1e-6  # relative: another processor adds in another order
# What notebooks train for themselves, and once: metrics -> largest difference, absolute or as a share of the value.
# Between two processors they moved by 0.0005, by 0.004 and by a quarter of the value.
TRAINED = {"02_preprocessing": ("meli.*.centroid_valid_bacc", 0.005, 0.0)}
TRAINED |= {"06_augmentation": ("sick.augment.*.pearson_rows.*", 0.03, 0.0), "07_tsne": ("*", 0.0, 1 / 3)}
VERDICTS = ("equal", "within", "differs", "missing", "new", "failed")
SEED_COLUMNS = {"split_seed", "model_seed", "seed", "fold", "draw", "evaluate_on"}  # rows alike but for these: a group
NOT_METRICS = {"key", "data_hash", *ORIGIN}
ROOMS = ("settings.py", "files.py", "data", "augment", "model", "report", "tasks", "lessons")  # what decides numbers
EXECUTE = (sys.executable, "-m", "helpers", "notebooks", "execute", "--profile", "full")
NOTEBOOK_SECONDS = 600  # expected of a notebook that no committed report has timed
say = partial(print, flush=True)


@dataclass(frozen=True)
class Check:
    """One comparison; `by_chance`: held to an interval that some numbers leave by chance, and not far outside."""

    what: str
    where: str
    committed: float | None
    now: float | str | None  # a reason where the run failed
    verdict: str
    tolerance: float = 0.0
    by_chance: bool = False

    def __str__(self) -> str:
        tolerance = f" (tolerance {self.tolerance:g})" if self.verdict == "differs" else ""
        return f"{self.verdict.upper()}  {self.where}: {self.what}: {self.committed} is now {self.now}{tolerance}"


@dataclass(frozen=True)
class Unit:
    """A notebook or a row to run again.

    Args:
        key: hash of what decides its numbers; what was kept under another key is not used.
        run: runs it and returns its metrics.
        tolerances: metric -> largest difference; empty where every one of the `digits` must come out again.
        sampled: the tolerances are intervals over seeds.
    """

    name: str
    key: str
    run: Callable[[], Mapping[str, float]]
    committed: Mapping[str, float]
    digits: int
    tolerances: Mapping[str, float]
    seconds: float
    sampled: bool


def numbers(metrics: Mapping) -> dict[str, float]:
    """Keep what is compared of a run or of a row: every number but times; NaN means that there is none."""
    found = {name: value for name, value in metrics.items() if "seconds" not in name and name not in NOT_METRICS}
    return {name: float(value) for name, value in found.items() if not math.isnan(value)}


def compare(unit: Unit, metrics: Mapping[str, float]) -> list[Check]:
    """Hold what came out now against what is committed, one check a metric, sorted by name."""
    checks = []
    for what in sorted({*unit.committed, *metrics}):
        old, new = unit.committed.get(what), metrics.get(what)
        if old is None or new is None:
            checks.append(Check(what, unit.name, old, new, "missing" if new is None else "new"))
            continue
        allowed = unit.tolerances.get(what, 0.0)
        tolerance = max(allowed, ROUNDING * abs(old)) if unit.tolerances else 0.0
        same = new == old or f"{new:.{unit.digits}g}" == f"{old:.{unit.digits}g}"
        verdict = "equal" if same else "within" if abs(new - old) <= tolerance else "differs"
        chance = unit.sampled and allowed > 0 and abs(new - old) <= FAR * tolerance
        checks.append(Check(what, unit.name, old, new, verdict, tolerance, chance))
    return checks


def let_pass(checks: Iterable[Check]) -> int:
    """How many numbers may lie outside their interval in one run, out of those that are held to one."""
    return int(binom.ppf(1 - 1 / ONCE_IN, sum(check.by_chance for check in checks), 1 - LEVEL))


def failing(checks: Iterable[Check]) -> list[Check]:
    """Those that do not pass, whether or not chance explains them."""
    return [check for check in checks if check.verdict not in ("equal", "within")]


def stands(checks: Collection[Check]) -> bool:
    """Whether the committed numbers stand: all pass, but for as many outside their interval as chance explains."""
    found = failing(checks)
    return all(check.by_chance for check in found) and len(found) <= let_pass(checks)


def interval(n: int) -> float:
    """How many standard deviations over n draws two draws may lie apart, at LEVEL."""
    return float(t.ppf((1 + LEVEL) / 2, n - 1)) * math.sqrt(2) if n > 1 else math.nan


def row_tolerances(
    spec: Mapping, table: pd.DataFrame, family: Iterable[tuple[pd.DataFrame, Iterable[str]]] = ()
) -> dict[str, float]:
    """The interval of every metric over the rows that differ from this one in seeds alone.

    Where it is the only one, the widest of such groups of its table, then of the corpus' other tables (`family`, each
    with the names of what tells its rows apart).
    """
    found = _widest(sampled_alike(spec, table), spec)
    for other, names in ((table, spec), *family):
        found = found.combine_first(_widest(other, names))
    return found.dropna().to_dict()


def sampled_alike(spec: Mapping, table: pd.DataFrame) -> pd.DataFrame:
    """Rows that differ from this one in seeds alone, itself among them."""
    fixed = [name for name in spec if name not in SEED_COLUMNS]
    return table[(table[fixed].astype(str) == [str(spec[name]) for name in fixed]).all(axis=1)]


def _widest(table: pd.DataFrame, names: Iterable[str]) -> pd.Series:
    names = set(names)
    measured = table.drop(columns=[*(names | NOT_METRICS) & {*table}]).select_dtypes("number")
    groups = measured.groupby([table[name] for name in sorted(names - SEED_COLUMNS)], dropna=False)
    return (groups.std() * groups.count().map(interval)).max()


def repeats_exactly(threads: int, origin: Mapping, versions: Collection[Mapping[str, str]]) -> bool:
    """Whether the last digit must come out again, here and with so many threads.

    Args:
        origin: processor, threads and device that the committed numbers were made with.
        versions: of packages, any of which may have made them; empty where nothing is recorded.
    """
    here = {"processor": settings.processor(), "threads": threads, "device": "cpu"}
    return here == {name: origin.get(name) for name in here} and (not versions or settings.versions() in versions)


def plan(studies: Mapping[str, Study], *, only: Collection[str], rows: int, threads: int | None):
    """Units to run, and a check for every notebook, study or table that lacks its counterpart.

    Raises:
        ValueError: `only` names something that is not there.
    """
    notebooks = {path.stem: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    written = {name: read_results(name, COMMITTED) for name in committed_results(COMMITTED)}
    tables = {path.stem: read_table(path) for path in sorted((COMMITTED / "studies").glob("*.csv"))}
    names = [*sorted({*notebooks, *written}), *studies, *sorted({*tables} - {*studies})]
    if unknown := [name for name in only if name not in names]:
        raise ValueError(f"nothing named {', '.join(unknown)}: the notebooks and studies are {', '.join(names)}")
    versions = [content["info"]["versions"] for content in written.values() if "versions" in content["info"]]
    units, absent = [], []
    for name in [name for name in names if not only or name in only]:
        if name in notebooks and name in written:
            found = [notebook_unit(notebooks[name], written[name], threads)]
        elif name in studies and name in tables:
            found = row_units(studies[name], studies, tables, rows=rows, threads=threads, versions=versions)
        else:
            found = []
        command = "make deliverable" if name[0].isdigit() else f"make study NAME={name}"
        reason = f"no current number is committed: {command}"
        if name not in notebooks and name not in studies:
            reason = "numbers are committed that no notebook or study makes"
        units += found
        absent += [] if found else [Check(reason, name, None, None, "missing")]
    return units, absent


def notebook_unit(path: Path, content: Mapping, threads: int | None) -> Unit:
    """A notebook, with the number of threads that its results name."""
    info, committed = content["info"], numbers(content["metrics"])
    threads = threads or info.get("threads") or settings.threads()
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    folders = [COMMITTED / name for name in ("studies", "predictions", "readings")]  # what notebooks read
    inputs = {str(file): sha256_of(file) for folder in folders for file in sorted(folder.rglob("*.*"))}
    exact = repeats_exactly(threads, info, [info["versions"]] if "versions" in info else [])
    tolerances = {} if exact else {name: _trained(path.stem, name, committed) for name in committed}
    key = _key({"notebook": path.stem, "cells": cells, "inputs": inputs}, threads)
    run = partial(run_notebook, path, threads)
    return Unit(path.stem, key, run, committed, 17, tolerances, _expected(path.stem), False)


def _trained(notebook: str, metric: str, committed: Mapping[str, float]) -> float:
    """The largest difference of a metric, of a deviation by the mean that it belongs to."""
    pattern, absolute, share = TRAINED.get(notebook, ("", 0.0, 0.0))
    value = committed.get(f"{metric.removesuffix('.std')}.mean", committed[metric])
    return absolute + share * abs(value) if fnmatch(metric, pattern) else ROUNDING * abs(committed[metric])


def _expected(name: str) -> float:
    """Seconds that the notebook took when the committed report was made."""
    try:
        return float(json.loads((COMMITTED / "verify.json").read_text())["info"]["notebook_seconds"][name])
    except (OSError, ValueError, KeyError, TypeError):
        return NOTEBOOK_SECONDS


def row_units(study: Study, studies, tables: Mapping[str, pd.DataFrame], *, rows: int, threads, versions) -> list[Unit]:
    """A seeded sample of the rows of a committed table that the study still has."""
    table, stamp = tables[study.name], study.stamp()
    specs = {row_key(spec): spec for spec in study.specs()}
    related = [name for name in studies if name.split("-")[0] == study.name.split("-")[0] and name in tables]
    family = [(tables[name], list(studies[name].specs()[0])) for name in related if name != study.name]
    units = []
    for key in sample([key for key in table["key"] if key in specs], rows):
        spec, row = specs[key], table[table["key"] == key].iloc[0].to_dict()
        use = threads or int(row["threads"])
        tolerances = {} if repeats_exactly(use, row, versions) else row_tolerances(spec, table, family)
        name = f"{study.name} {label({name: value for name, value in spec.items() if name != 'config'})}"
        identity, run = _key(stamp | {"study": study.name, "row": key}, use), partial(run_row, study, spec, use)
        committed = numbers({name: value for name, value in row.items() if name not in spec})
        units.append(Unit(name, identity, run, committed, DIGITS, tolerances, float(row["seconds"]), True))
    return units


def _key(identity: dict, threads: int) -> str:
    here = {"threads": threads, "processor": settings.processor(), "versions": settings.versions(), "code": _code()}
    return hash_of(identity | here)


@cache
def _code() -> str:
    """Hash of everything that decides numbers."""
    folders = [settings.ROOT / "helpers" / room for room in ROOMS]
    files = [file for folder in folders for file in ([folder] if folder.is_file() else sorted(folder.rglob("*.py")))]
    return hash_of([sha256_of(file) for file in files])


def environment(threads: int, results: str) -> dict[str, str]:
    """Variables under which a run reads real data and writes below the build folder alone."""
    folders = {"RESULTS_DIR": str(BUILD / results), "ARTIFACTS_DIR": str(BUILD / "artifacts")}
    fixed = {"PROFILE": "full", "DEVICE": "cpu", "THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    return folders | fixed | {"MLFLOW_TRACKING_URI": f"sqlite:///{BUILD / 'mlflow.db'}"}


def run_row(study: Study, spec: Spec, threads: int) -> dict[str, float]:
    """Run one row as `make study` does, in a tracking store and folders of its own."""
    with settings.environment(**environment(threads, "rows")), threadpool_limits(threads):
        settings.seed_everything(settings.SEED)  # takes the number of threads
        with tracking.run(study.name, label(spec), params=spec) as tracked:
            return study.run(spec, tracked)


def run_notebook(path: Path, threads: int) -> dict[str, float]:
    """Execute a copy in a process of its own (here, nbclient would go on after Ctrl-C); its metrics.

    Raises:
        RuntimeError: a cell failed; says which.
        FileNotFoundError: it wrote no results.
    """
    results = BUILD / "results"
    for stale in (results / "predictions", results / f"{path.stem}.json"):
        remove(stale)
    if (COMMITTED / "predictions").is_dir():  # notebooks read them where they write
        shutil.copytree(COMMITTED / "predictions", results / "predictions")
    command = [*EXECUTE, "--out", str(BUILD / "notebooks"), str(path.resolve())]
    variables = os.environ | environment(threads, "results")
    child = subprocess.Popen(command, cwd=settings.ROOT, env=variables, stderr=subprocess.PIPE, text=True)  # noqa: S603
    try:
        _, said = child.communicate()
    except BaseException:
        child.terminate()  # it stops its kernel
        child.wait()
        raise
    if child.returncode:
        raise RuntimeError(said.strip().rpartition("\n")[2] or f"ended with status {child.returncode}")
    return read_results(path.stem, results)["metrics"]


def verify(
    studies: Mapping[str, Study], *, only: Collection[str] = (), rows: int = 2, threads: int | None = None, fresh=False
) -> tuple[list[Check], Path]:
    """Run again what the committed numbers come from, compare, and write the report; see the command's --help.

    Returns:
        The comparisons, and the report: verify.json beside the committed results, in the working folder with `only`.

    Raises:
        ValueError: an unknown name, another run at work, an unreadable state.
        UserError: real data cannot be had.
    """
    with locked(BUILD / "lock", wait=False) as held, settings.environment(PROFILE="full", DEVICE="cpu"):
        if not held:
            raise ValueError(f"another verify is at work in {BUILD.name}/: wait for it, or stop it")
        for entry in BUILD.iterdir() if fresh else ():
            remove(entry) if entry.name != "lock" else None
        units, absent = plan(studies, only=only, rows=rows, threads=threads)
        checks, took = _run_all(units, BUILD / "state.json")
        checks += absent
        info = {"commit": settings.commit(), "processor": settings.processor(), "versions": settings.versions()}
        info |= {"seed": settings.SEED, "threads": threads or "as recorded", "rows_per_study": rows, "level": LEVEL}
        info |= {"date": time.strftime("%Y-%m-%d"), "seconds": round(sum(took.values()))}
        info["notebook_seconds"] = {name: round(took[name]) for name in took if " " not in name}
        return checks, write_report((BUILD if only else COMMITTED) / "verify.json", checks, info)


def _run_all(units: list[Unit], path: Path) -> tuple[list[Check], dict[str, float]]:
    """All comparisons, and the seconds that each run took, also those of earlier calls."""
    state = _read_state(path)
    exact = sum(not unit.tolerances for unit in units)
    say(f"notebooks and rows: {len(units)}, run before: {sum(unit.key in state for unit in units)}")
    say(f"to the last digit: {exact}; made on another processor, threads or versions: {len(units) - exact}")
    left = sum(unit.seconds for unit in units if unit.key not in state)
    checks, expected, spent = [], 0.0, 0.0
    for number, unit in enumerate(units, start=1):
        head, before = f"[{number}/{len(units)}] {unit.name}", unit.key in state
        if before:
            found = compare(unit, state[unit.key]["metrics"])
        else:
            say(f"{head} … ({duration(left * (spent / expected if expected else 1.0))} left in all)")
            start = time.perf_counter()
            found = _run_one(unit, state, path)
            spent, expected = spent + time.perf_counter() - start, expected + unit.seconds
            left -= unit.seconds
        say(f"{head}: {summary(found)}{' (run before)' if before else ''}")
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
    write_text(path, json.dumps(state, indent=1) + "\n")
    return compare(unit, metrics)


def _read_state(path: Path) -> dict[str, dict]:
    """Read key -> what that run gave."""
    try:
        state = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
        return {key: {name: run[name] for name in ("name", "metrics", "seconds")} for key, run in state.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} cannot be read ({error!r}): begin again with --fresh") from None


def duration(seconds: float) -> str:
    """Time in the words of an estimate: "about 2 h 10 min", "about 3 min", "less than a minute"."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min" if minutes else "less than a minute"


def summary(checks: Iterable[Check]) -> str:
    """How many of each verdict, in a few words: "12 equal, 1 differs"."""
    counts = Counter(check.verdict for check in checks)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]) or "nothing to compare"


def verdict_table(checks: list[Check]) -> str:
    """A line per notebook and row, how many numbers got each verdict; below, every number that does not pass."""
    counts = pd.crosstab([check.where for check in checks], [check.verdict for check in checks])
    shown = counts.reindex(columns=[verdict for verdict in VERDICTS if verdict in counts])
    shown = shown.reindex(dict.fromkeys(check.where for check in checks)).rename_axis(index=None, columns=None)
    width, held = max(map(len, shown.index)), sum(check.by_chance for check in checks)
    shown.index = [name.ljust(width) for name in shown.index]
    note = f"{held} numbers were held to a {LEVEL:.0%} interval; up to {let_pass(checks)} may lie outside by chance"
    return "\n".join([shown.to_string(), *map(str, failing(checks)), *([note] if held else [])])


def write_report(path: Path, checks: Collection[Check], info: Mapping) -> Path:
    """Write all checks as JSON, one a line, in one piece."""
    counts = Counter(check.verdict for check in checks)
    verdicts = {name: counts[name] for name in VERDICTS} | {"outside_let_pass": let_pass(checks)}
    head = {"schema": 2, "stands": stands(checks), "verdicts": verdicts, "info": info}
    lines = ",\n".join(f"    {json.dumps(asdict(check), ensure_ascii=False)}" for check in checks)
    return write_text(path, f'{json.dumps(head, indent=2)[:-2]},\n  "checks": [\n{lines}\n  ]\n}}\n')


def main(arguments: list[str] | None = None) -> int:
    """Print the table and where the report is; 1 where a number does not stand, 130 after Ctrl-C."""
    from helpers.tasks import STUDIES

    parser = argparse.ArgumentParser(prog="python -m tools.verify", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="notebooks (01_eda), studies (sms-models)"
    )
    parser.add_argument("--rows", type=positive, default=2, metavar="N", help="of every study (default: %(default)s)")
    parser.add_argument("--threads", type=positive, metavar="N", help="default: those that the numbers were made with")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier, interrupted runs have done")
    options = parser.parse_args(arguments)
    try:
        checks, report = verify(STUDIES, **vars(options))
        if not checks:
            raise ValueError("nothing is committed: no notebook, no study")
    except KeyboardInterrupt:
        return 130
    except (settings.UserError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    say(f"\n{verdict_table(checks)}\n{summary(checks)}; report: {os.path.relpath(report, settings.ROOT)}")
    return int(not stands(checks))


if __name__ == "__main__":
    sys.exit(main())
