"""Numbers of today held against the committed ones: the comparison, its table and its report."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from helpers.report.results import write_text

SCHEMA = 1
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
    head = {"schema": SCHEMA, "verdicts": {name: counts[name] for name in VERDICTS}, "info": dict(info)}
    opening = json.dumps(head, indent=2, sort_keys=True, ensure_ascii=False)[:-2]
    lines = ",\n".join(f"    {_line(check)}" for check in checks)
    return write_text(path, f'{opening},\n  "checks": [\n{lines}\n  ]\n}}\n')


def _line(check: Check) -> str:
    facts = {name: value if _fits_json(value) else str(value) for name, value in asdict(check).items()}
    return json.dumps(facts, ensure_ascii=False, allow_nan=False)


def _fits_json(value) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
