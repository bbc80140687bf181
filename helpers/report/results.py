"""Numbers that outlive a run: results/<notebook>.json, and what has gone stale."""

import ast
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pandas as pd

from helpers import settings

SCHEMA = 1
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
METRIC_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+){2,}")  # corpus.model.metric[.mean|.std|.low|.high]


def write_text(path: Path, text: str) -> Path:
    """Write a text file so that a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is not None:  # a full disk names no file
            error.filename = str(path)
        raise
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def describe_data(**corpora: pd.DataFrame) -> dict[str, dict]:
    """Rows, hash and origin of each corpus, for `info` (the loaders put hash and origin into attrs)."""
    return {
        name: {"rows": len(frame), "sha256": frame.attrs.get("sha256"), "sample": bool(frame.attrs.get("sample"))}
        for name, frame in corpora.items()
    }


def code_hash(*sources: ModuleType | Path | str) -> str:
    """Hash of the Python code that results come from: what it does, not how it is laid out or commented.

    Args:
        sources: modules, packages, files or folders; relative paths are taken from the repository root.

    Returns:
        First 12 hex digits of the SHA-256 over names and syntax trees (docstrings left out) of the .py files, sorted by
        name, each file once.

    Raises:
        FileNotFoundError: a source holds no .py file.
    """
    files = {}
    for source in sources:
        files |= _python_files(source)
    digest = hashlib.sha256()
    for name in sorted(files):
        content = _code_alone(files[name]).encode()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _code_alone(path: Path) -> str:
    """The syntax tree of a file as text, without comments, layout and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf8"), filename=path.name)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body = body[1:]
    return ast.dump(tree)


def _python_files(source: ModuleType | Path | str) -> dict[str, Path]:
    """Name -> file; names are relative to the repository, so that they are the same on every machine."""
    if isinstance(source, ModuleType):
        path = Path(source.__path__[0] if hasattr(source, "__path__") else source.__file__)
    else:
        path = settings.anchored(source)
    path = path.resolve()
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise FileNotFoundError(f"code_hash: no Python source at {source}")
    folder = path if path.is_dir() else path.parent
    base = settings.ROOT if path.is_relative_to(settings.ROOT) else folder
    return {file.relative_to(base).as_posix(): file for file in files}


def metric_faults(metrics: Mapping[str, float]) -> list[str]:
    """What is wrong with a dictionary of metrics: names that do not follow the pattern, values that are no number."""
    faults = []
    for name, value in metrics.items():
        if not isinstance(name, str) or not METRIC_NAME.fullmatch(name):
            faults.append(f"{name!r} is no metric name: write corpus.model.metric[.mean|.std|.low|.high], lower case")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            faults.append(f"{name} is {value!r}: a metric is a number")
        elif not math.isfinite(value):
            faults.append(f"{name} is {value}: a metric is finite")
    return faults


def write_results(notebook: str, metrics: Mapping[str, float], info: Mapping | None = None) -> Path:
    """Write `<results_dir>/<notebook>.json` in one piece.

    Args:
        notebook: file name without extension ("04_sms_rnn_vs_lstm").
        metrics: flat name -> number (NumPy scalars and one-element tensors are converted); the part that is compared.
        info: what else a reader needs (data from describe_data(), split seeds, code hash, seconds).
            Profile, versions, threads and device are added.

    Returns:
        The file written.

    Raises:
        ValueError: a metric's name or value is wrong, or profile full was run on the synthetic sample.
    """
    numbers = {name: value.item() if hasattr(value, "item") else value for name, value in metrics.items()}
    info = dict(info or {})
    faults = metric_faults(numbers)
    samples = [
        name for name, facts in info.get("data", {}).items() if isinstance(facts, Mapping) and facts.get("sample")
    ]
    if samples and settings.profile() == "full":
        faults.append(f"{', '.join(samples)}: the synthetic sample gives no result in profile full")
    if faults:
        raise ValueError(f"results of {notebook} not written: " + "; ".join(faults))
    info |= {
        "profile": settings.profile(),
        "versions": settings.versions(),
        "threads": settings.threads(),
        "device": settings.device().type,
    }
    content = {"schema": SCHEMA, "metrics": numbers, "info": info}
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_plain)
    return write_text(settings.results_dir() / f"{notebook}.json", text + "\n")


def _plain(value):
    """NumPy scalars, arrays and tensors as JSON knows them."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"info holds a {type(value).__name__}, which JSON cannot: {value!r}")
    return value.tolist()


def read_results(notebook: str, results_dir: Path | None = None) -> dict:
    """The content of `<results_dir>/<notebook>.json`, checked.

    Raises:
        FileNotFoundError: the notebook has not been executed with this profile.
        ValueError: the file is not of schema 1 or holds a wrong metric.
    """
    path = (results_dir or settings.results_dir()) / f"{notebook}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is not there: execute notebooks/{notebook}.ipynb, which writes it")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name}: not JSON ({error}); execute notebooks/{notebook}.ipynb again") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ValueError(f"{path.name}: not of schema {SCHEMA}; execute notebooks/{notebook}.ipynb again")
    if not isinstance(content.get("metrics"), dict) or not isinstance(content.get("info"), dict):
        raise ValueError(f'{path.name}: lacks "metrics" or "info"; execute notebooks/{notebook}.ipynb again')
    if faults := metric_faults(content["metrics"]):
        raise ValueError(f"{path.name}: " + "; ".join(faults))
    return content


def committed_results(results_dir: Path) -> list[str]:
    """Names of the notebooks that have results in a folder."""
    return sorted(path.stem for path in results_dir.glob("[0-9][0-9]_*.json"))


def results_problems(results_dir: Path) -> list[str]:
    """What is wrong with the committed results: schema, profile, sample rows."""
    problems = []
    for notebook in committed_results(results_dir):
        try:
            info = read_results(notebook, results_dir)["info"]
        except ValueError as error:
            problems.append(str(error))
            continue
        if info.get("profile") != "full":
            problems.append(f"{notebook}.json: made in profile {info.get('profile')}, not full")
    return problems


def stale_problems(current: Mapping[str, Mapping], studies_dir: Path) -> list[str]:
    """Studies whose committed rows were made by other code, on other data or with other configurations, or lack rows.

    Args:
        current: study name -> {"code_hash", "data_hash"} as they would be written today and, where rows are to be
            compared one by one, "keys" of all rows that the study has today.
        studies_dir: folder of the committed tables, one <name>.csv a study.

    Returns:
        A line per fault, with the command that makes the rows again.
    """
    problems = []
    for path in sorted(studies_dir.glob("*.csv")):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if lacking := [name for name in ("code_hash", "data_hash") if name not in table]:
            problems.append(f"studies/{path.name}: no column {' or '.join(lacking)}")
        elif path.stem not in current:
            problems.append(f"studies/{path.name}: no study of this name; delete the table or give the study back")
        else:
            faults = _row_faults(table, current[path.stem])
            problems += [f"studies/{path.name}: {fault}; make study NAME={path.stem}" for fault in faults]
    return problems


def _row_faults(table: pd.DataFrame, today: Mapping) -> Iterator[str]:
    other = {name: table[f"{name}_hash"] != today[f"{name}_hash"] for name in ("code", "data")}
    if "keys" in today:
        other["configuration"] = ~table["key"].isin(today["keys"])
    if stale := int(pd.DataFrame(other).any(axis=1).sum()):
        why = " and ".join(name for name, rows in other.items() if rows.any())
        yield f"{stale} of {len(table)} rows are stale (other {why})"
    if missing := len(set(today.get("keys", ())) - set(table.get("key", ()))):
        yield f"{missing} rows are missing"
