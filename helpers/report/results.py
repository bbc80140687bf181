"""Numbers that outlive a run: results/<notebook>.json, the predictions of a study's runs, and tables over its rows."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import settings
from helpers.files import replacing, write_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SCHEMA = 1
METRIC_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+){2,}")  # corpus.model.metric[.mean|.std|.low|.high]
DECIMALS = 4
PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"


def describe_data(**corpora: "pd.DataFrame") -> dict[str, dict]:
    """Rows, hash and origin of each corpus, for `info` (the loaders put hash and origin into attrs)."""
    return {
        name: {"rows": len(frame), "sha256": frame.attrs.get("sha256"), "sample": bool(frame.attrs.get("sample"))}
        for name, frame in corpora.items()
    }


def metric_faults(metrics: Mapping[str, float]) -> list[str]:
    """Names that do not follow the pattern, and values that are not finite numbers; a line each."""
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
        metrics: flat name -> number (NumPy scalars and one-element tensors are converted); these are compared.
        info: data from describe_data(), split seeds, studies, seconds; profile, versions, threads and device are added.

    Returns:
        The file written.

    Raises:
        WrongValue: a metric's name or value is wrong, or profile full was run on the synthetic sample.
    """
    numbers = {name: value.item() if hasattr(value, "item") else value for name, value in metrics.items()}
    info, faults = dict(info or {}), metric_faults(numbers)
    data = {name: facts for name, facts in info.get("data", {}).items() if isinstance(facts, Mapping)}
    samples = [name for name, facts in data.items() if facts.get("sample")]
    if samples and settings.profile() == "full":
        faults.append(f"{', '.join(samples)}: the synthetic sample gives no result in profile full")
    if faults:
        raise settings.WrongValue(f"results of {notebook} not written: " + "; ".join(faults))
    info |= {"profile": settings.profile(), "versions": settings.versions()}
    info |= {"threads": settings.threads(), "device": settings.device().type, "processor": settings.processor()}
    content = {"schema": SCHEMA, "metrics": numbers, "info": info}
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_plain)
    return write_text(settings.results_dir() / f"{notebook}.json", text + "\n")


def _plain(value):
    """NumPy scalars, arrays and tensors as JSON knows them."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"info holds a {type(value).__name__}, which JSON cannot: {value!r}")
    return value.tolist()


def read_results(notebook: str, results_dir: str | Path | None = None) -> dict:
    """The content of `<results_dir>/<notebook>.json`, checked.

    Raises:
        FileNotFoundError: the notebook has not been executed with this profile.
        WrongValue: the file is not of schema 1 or holds a wrong metric.
    """
    path = Path(results_dir or settings.results_dir()) / f"{notebook}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is not there: execute notebooks/{notebook}.ipynb, which writes it")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise settings.WrongValue(
            f"{path.name}: not JSON ({error}); execute notebooks/{notebook}.ipynb again"
        ) from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise settings.WrongValue(f"{path.name}: not of schema {SCHEMA}; execute notebooks/{notebook}.ipynb again")
    if not isinstance(content.get("metrics"), dict) or not isinstance(content.get("info"), dict):
        raise settings.WrongValue(f'{path.name}: lacks "metrics" or "info"; execute notebooks/{notebook}.ipynb again')
    if faults := metric_faults(content["metrics"]):
        raise settings.WrongValue(f"{path.name}: " + "; ".join(faults))
    return content


def committed_results(results_dir: str | Path) -> list[str]:
    """Names of the notebooks that have results in a folder."""
    return sorted(path.stem for path in Path(results_dir).glob("[0-9][0-9]_*.json"))


def results_problems(results_dir: str | Path) -> list[str]:
    """Faults of the committed results: unreadable, or made in another profile than full."""
    problems = []
    for notebook in committed_results(results_dir):
        try:
            profile = read_results(notebook, results_dir)["info"].get("profile")
        except ValueError as error:
            problems.append(str(error))
        else:
            problems += [f"{notebook}.json: made in profile {profile}, not full"] if profile != "full" else []
    return problems


def predictions_path(study: str, name: str) -> Path:
    """The predictions of one run of a study, kept beside its table: to compare models, to read errors."""
    return settings.results_dir() / "predictions" / study / f"{name}.npz"


def save_predictions(study: str, name: str, rows, predicted) -> Path:
    """Write row numbers and predicted classes of one run.

    Args:
        study: name of the study; a folder.
        name: of the run within it ("best-fold-0").
        rows: (n,) row numbers in the corpus.
        predicted: (n,) class ids.
    """
    import numpy as np

    path = predictions_path(study, name)
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, rows=np.asarray(rows, np.int32), predicted=np.asarray(predicted, np.int16))
    return path


def load_predictions(study: str, name: str) -> tuple["np.ndarray", "np.ndarray"]:
    """(rows, predicted), as saved.

    Raises:
        FileNotFoundError: the run was never made; says how.
    """
    import numpy as np

    path = predictions_path(study, name)
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} of {study} is missing: run `make study NAME={study}`")
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["rows"].astype(np.int64), arrays["predicted"].astype(np.int64)


def mean_and_std(
    table: "pd.DataFrame",
    by: str,
    columns: Mapping[str, str],
    *,
    names: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    sort: str | None = None,
) -> "pd.DataFrame":
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
    shown = means[[]].copy()
    for metric, heading in columns.items():
        digits = (decimals or {}).get(metric, DECIMALS)
        pairs = zip(means[metric], stds.loc[means.index, metric], strict=True)
        shown[heading] = [_cell(mean, std, digits) for mean, std in pairs]
    return shown.rename(index=names or {}).rename_axis(index=None)


def _cell(mean: float, std: float, digits: int) -> str:
    if math.isnan(mean):
        return "—"
    return f"{mean:,.{digits}f}" + ("" if math.isnan(std) else f"{PLUS_MINUS}{std:,.{digits}f}")
