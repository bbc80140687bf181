"""Numbers that outlive a run: results/<notebook>.json, and what has gone stale. What a model foretold for every test row, kept beside the table of its study: to compare models, to read errors. Tables as the notebooks show them: the rows of a study, one line per group, headings in Spanish."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import settings
from helpers.files import replacing, write_text

SCHEMA = 1
METRIC_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+){2,}")  # corpus.model.metric[.mean|.std|.low|.high]


def describe_data(**corpora: pd.DataFrame) -> dict[str, dict]:
    """Rows, hash and origin of each corpus, for `info` (the loaders put hash and origin into attrs)."""
    return {
        name: {"rows": len(frame), "sha256": frame.attrs.get("sha256"), "sample": bool(frame.attrs.get("sample"))}
        for name, frame in corpora.items()
    }


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
        info: what else a reader needs (data from describe_data(), split seeds, studies, seconds).
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


def save_predictions(study: str, name: str, rows, predicted) -> Path:
    """Write row numbers and predicted classes of one run.

    Args:
        study: name of the study; a folder.
        name: of the run within it ("best-fold-0").
        rows: (n,) row numbers in the corpus.
        predicted: (n,) class ids.
    """
    path = predictions_path(study, name)
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, rows=np.asarray(rows, np.int32), predicted=np.asarray(predicted, np.int16))
    return path


def load_predictions(study: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(rows, predicted), as saved.

    Raises:
        FileNotFoundError: the run was never made; says how.
    """
    path = predictions_path(study, name)
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} of {study} is missing: run `make study NAME={study}`")
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["rows"].astype(np.int64), arrays["predicted"].astype(np.int64)


def predictions_path(study: str, name: str) -> Path:
    """The file of one run."""
    return settings.results_dir() / "predictions" / study / f"{name}.npz"


DECIMALS = 4
PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"


def mean_and_std(
    table: pd.DataFrame,
    by: str,
    columns: Mapping[str, str],
    *,
    names: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    sort: str | None = None,
) -> pd.DataFrame:
    """Mean and standard deviation (n - 1) over the rows of a group: "0.9291 ± 0.0221", its spaces unbreakable.

    A group of one row shows its value alone; where nothing was measured stands "—".

    Args:
        table: one row per run.
        by: column that names the group.
        columns: metric -> heading, in this order.
        names: group -> name shown.
        decimals: metric -> digits after the point, where not 4.
        sort: metric by whose mean the groups are ordered, largest first; else as they first appear.

    Raises:
        KeyError: the table lacks one of the columns.
    """
    groups = table.groupby(by, sort=False)[list(columns)]
    means, stds = groups.mean(), groups.std()
    if sort is not None:
        means = means.sort_values(sort, ascending=False, kind="stable")
    shown = pd.DataFrame(index=means.index)
    for metric, heading in columns.items():
        digits = (decimals or {}).get(metric, DECIMALS)
        pairs = zip(means[metric], stds.loc[means.index, metric], strict=True)
        shown[heading] = [_cell(mean, std, digits) for mean, std in pairs]
    return shown.rename(index=names or {}).rename_axis(index=None)


def _cell(mean: float, std: float, digits: int) -> str:
    if pd.isna(mean):
        return "—"
    return f"{mean:,.{digits}f}" + ("" if pd.isna(std) else f"{PLUS_MINUS}{std:,.{digits}f}")
