"""Do two trees give the same numbers on one machine? Rows of every study and the results of notebooks, old against new.

python -m tools.same_numbers rows --tree /path/of/a/checkout --out old.csv --max-seconds 120
python -m tools.same_numbers rows --out new.csv --max-seconds 120
python -m tools.same_numbers compare old_results results --rows old.csv new.csv

`rows` runs one row of every study, drawn by a seed from this tree's tables, with the code of the tree that is named
(commit 8d8bed5 or later) and without writing into it; rows that the CSV file holds already are not run again. `compare`
writes results/same_numbers.json. Times are not compared; every other digit is.
"""

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from helpers import settings
from helpers.files import write_text
from tools import positive, sample

COMMITTED = settings.ROOT / "results"
ORIGIN = ("commit", "threads", "processor")
COLUMNS = ("study", "key", "row", "metric", "value", *ORIGIN)
# What is run in the tree that is named, with nothing but what both trees have.
CHILD = """
import json, sys, time
from helpers.report import tracking
from helpers.tasks import STUDIES
import helpers
from helpers.tasks.studies import row_key
tree, out, wanted, origin = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
assert helpers.__file__.startswith(tree), f"{helpers.__file__} is not of {tree}"
for name, key in wanted:
    study, start = STUDIES[name], time.perf_counter()
    spec = next((spec for spec in study.specs() if row_key(spec) == key), None)
    if spec is None:
        sys.exit(f"{name}: this tree has no row {key}")
    label = " ".join(f"{column}={value}" for column, value in spec.items())
    with tracking.run(name, label, params=spec) as tracked:
        metrics = study.run(spec, tracked) | {"seconds": time.perf_counter() - start}
    lines = [[name, key, label, metric, repr(float(value)), *origin] for metric, value in sorted(metrics.items())]
    with open(out, "a", newline="", encoding="utf-8") as file:
        file.write("".join(",".join('"%s"' % str(cell).replace('"', "'") for cell in line) + "\\n" for line in lines))
    print(f"{name} {label}: {metrics['seconds']:.0f} s", flush=True)
"""


def draw(max_seconds: float, only: Collection[str] = ()) -> list[tuple[str, str]]:
    """(study, key) of a row of every committed table, drawn by a seed below `max_seconds`, else the shortest.

    Raises:
        ValueError: `only` names no committed study.
    """
    drawn, tables = [], sorted((COMMITTED / "studies").glob("*.csv"))
    if unknown := set(only) - {path.stem for path in tables}:
        raise ValueError(f"no study {', '.join(sorted(unknown))}: there are {', '.join(path.stem for path in tables)}")
    for path in tables:
        table = pd.read_csv(path, dtype={"key": str})
        short = table[table["seconds"] <= max_seconds]
        keys = list((short if len(short) else table.nsmallest(1, "seconds"))["key"])
        drawn += [(path.stem, key) for key in sample(keys, 1) if not only or path.stem in only]
    return drawn


def run_rows(tree: Path, out: Path, rows: list[tuple[str, str]], threads: int) -> int:
    """Append to `out` every number of these rows, run by the code of `tree`; exit status of that.

    A CSV line each (COLUMNS), written when a row has ended.
    """
    if not (tree / "helpers").is_dir():
        raise ValueError(f"{tree} holds no helpers/: name the root of a checkout")
    if not out.is_file():
        write_text(out, ",".join(COLUMNS) + "\n")
    made = {(row["study"], row["key"]) for row in read_rows(out)}
    left = [row for row in rows if row not in made]
    print(f"{len(rows)} rows, {len(rows) - len(left)} run before", flush=True)
    origin = [_commit(tree), threads, settings.processor()]
    with tempfile.TemporaryDirectory() as folder:
        numbers = dict.fromkeys(("THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        away = {"RESULTS_DIR": folder, "ARTIFACTS_DIR": folder, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        fixed = {"PROFILE": "full", "DEVICE": "cpu", "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        fixed["DATA_CACHE"] = str(settings.cache_dir())
        command = [sys.executable, "-P", "-c", CHILD, str(tree), str(out), json.dumps(left), json.dumps(origin)]
        variables = os.environ | numbers | away | fixed
        return subprocess.run(command, cwd=tree, env=variables).returncode if left else 0  # noqa: S603


def read_rows(path: Path) -> list[dict[str, str]]:
    """What run_rows wrote, as text."""
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _commit(tree: Path) -> str:
    """First digits of the commit that a tree is at, with "+" where its code was changed; "" outside git."""
    git = ["git", "-C", str(tree)]
    head = subprocess.run([*git, "rev-parse", "--short=9", "HEAD"], capture_output=True, text=True)  # noqa: S603
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "helpers"], capture_output=True)  # noqa: S603
    return "" if head.returncode else head.stdout.strip() + ("+" if changed.returncode else "")


def of_notebooks(folder: Path) -> dict[str, float]:
    """notebook: metric -> number, of every results/NN_name.json in a folder."""
    contents = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("[0-9][0-9]_*.json"))}
    return {
        f"{name}: {metric}": value for name, found in contents.items() for metric, value in found["metrics"].items()
    }


def of_rows(path: Path, other: Path) -> dict[str, float]:
    """study row: metric -> number, of a file of run_rows: of the rows that another such file holds too."""
    run = {(row["study"], row["key"]) for row in read_rows(other)}
    both = [row for row in read_rows(path) if (row["study"], row["key"]) in run]
    return {f"{row['study']} {row['row']}: {row['metric']}": float(row["value"]) for row in both}


def differences(old: Mapping[str, float], new: Mapping[str, float]) -> tuple[int, list[dict]]:
    """How many numbers are the same to the last digit, and all that are not; times left out."""
    names = [name for name in sorted({*old, *new}) if "seconds" not in name]
    other = [name for name in names if not _same(old.get(name), new.get(name))]
    return len(names) - len(other), [{"what": name, "old": old.get(name), "new": new.get(name)} for name in other]


def _same(old: float | None, new: float | None) -> bool:
    both = old is not None and new is not None
    return both and (old == new or (math.isnan(old) and math.isnan(new)))


def _counted(old: Mapping[str, float], new: Mapping[str, float]) -> dict:
    equal, different = differences(old, new)
    return {"equal": equal, "different": len(different), "differences": different}


def compare(notebooks: list[Path], rows: list[Path], commits: list[str]) -> dict:
    """The report of two runs: (old, new) folders of results and (old, new) files of rows; either may be left out."""
    report = {"schema": 1, "processor": settings.processor()}
    if notebooks:
        report["notebooks"] = _counted(*(of_notebooks(folder) for folder in notebooks))
    if rows:
        report["rows"] = _counted(of_rows(*rows), of_rows(*reversed(rows)))
        for side, path in zip(("old", "new"), rows, strict=True):
            origins = {tuple(row[name] for name in ORIGIN) for row in read_rows(path)}
            report[side] = [dict(zip(ORIGIN, origin, strict=True)) for origin in sorted(origins)]
    if commits:
        report["commits"] = dict(zip(("old", "new"), commits, strict=True))
    return report


def main(arguments: list[str] | None = None) -> int:
    """Run rows, or compare and print; 1 where a number differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.same_numbers", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    rows = commands.add_parser("rows", help="run one row of every study with the code of a tree")
    rows.add_argument("--tree", type=Path, default=settings.ROOT, help="root of a checkout (default: this one)")
    rows.add_argument(
        "--out", type=Path, required=True, metavar="CSV", help="appended to; what it holds is not run again"
    )
    rows.add_argument("--max-seconds", type=positive, default=10**9, help="prefer rows whose table says less")
    rows.add_argument("--only", nargs="+", default=[], metavar="STUDY", help="default: every study")
    rows.add_argument("--threads", type=positive, default=1, help="default: %(default)s")
    both = commands.add_parser("compare", help="hold two runs against each other")
    both.add_argument("results", type=Path, nargs="*", help="folders with <notebook>.json: old, new")
    both.add_argument("--rows", type=Path, nargs=2, default=[], metavar="CSV", help="of `rows`: old, new")
    both.add_argument("--commits", nargs=2, default=[], metavar="COMMIT", help="that the notebooks were run with")
    both.add_argument(
        "--out", type=Path, default=COMMITTED / "same_numbers.json", help="default: results/same_numbers.json"
    )
    options = parser.parse_args(arguments)
    try:
        if options.command == "rows":
            drawn = draw(options.max_seconds, options.only)
            return run_rows(options.tree.resolve(), options.out.resolve(), drawn, options.threads)
        if len(options.results) not in (0, 2):
            raise ValueError("name two folders of results, the old and the new one, or none")
        report = compare(options.results, options.rows, options.commits)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    write_text(options.out, json.dumps(report, indent=1) + "\n")
    found = {kind: report[kind] for kind in ("notebooks", "rows") if kind in report}
    for kind, counts in found.items():
        print(f"{kind}: {counts['equal']} equal, {counts['different']} different")
        for each in counts["differences"]:
            print(f"  {each['what']}: {each['old']} is now {each['new']}")
    return int(any(counts["different"] for counts in found.values()))


if __name__ == "__main__":
    sys.exit(main())
