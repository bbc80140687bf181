"""MLflow: the store of runs, one context manager around a training, and the table of finished runs."""

import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from helpers import settings
from helpers.files import locked

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PLAIN, QUOTED = "sqlite:///", "sqlite+pysqlite:///"  # before a path as it is on disk; before a percent-encoded one
OPTIONS = re.compile(r"\?\w+=[^/]*$")  # of an address, behind the path


def store_uri() -> str:
    """Address of the store: MLFLOW_TRACKING_URI, else the SQLite file mlflow.db at the repository root.

    Behind sqlite:/// stands a path as it is on disk, "%", "?" and "#" included; a relative one is taken from the
    repository root, so that the command line and a notebook's kernel share one store.

    Raises:
        WrongValue: the address names a folder, which MLflow no longer writes to.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{PLAIN}mlflow.db"
    if (path := _sqlite_path(uri)) is not None:
        quoted, options = quote(path.as_posix(), safe="/:"), OPTIONS.search(uri)
        # SQLAlchemy decodes the path, and MLflow makes the folders of a plain address undecoded: name the driver then
        return (PLAIN if quoted == path.as_posix() else QUOTED) + quoted + (options[0] if options else "")
    if uri != "databricks" and urlsplit(uri).scheme in ("", "file"):
        raise settings.WrongValue(
            f"MLFLOW_TRACKING_URI={uri}: MLflow keeps no runs in folders: name a file, sqlite:///mlflow.db"
        )
    return uri


def _sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite store; None for another kind."""
    for prefix, read in ((PLAIN, str), (QUOTED, unquote)):
        if uri.startswith(prefix):
            return settings.anchored(read(OPTIONS.sub("", uri.removeprefix(prefix))))
    return None


def client():
    """The mlflow module, pointed at the store, without the lines its migrations print.

    Raises:
        WrongValue: the address is not one of a store, or its SQLite file cannot be opened.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    uri = store_uri()
    import mlflow

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(uri)
    path = _sqlite_path(uri)
    # two processes that make the tables of a new store at once would leave neither with a store
    with nullcontext() if path is None else locked(_runs_folder(path) / ".lock"):
        if path is not None:
            _open(path)
        mlflow.search_experiments(max_results=1)  # makes the tables
    return mlflow


def _runs_folder(path: Path) -> Path:
    """Artifacts lie beside a SQLite store; MLflow's default is the working directory, in a kernel notebooks/."""
    return path.parent / "mlruns"


def _open(path: Path) -> None:
    """Ask SQLite itself: MLflow would try for two minutes, in silence."""
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("SELECT name FROM sqlite_master LIMIT 1")
    except sqlite3.Error as error:
        raise settings.WrongValue(f"{path}: no store of MLflow can be opened here: {error}") from None


def _experiment_id(mlflow, name: str) -> str:
    existing = mlflow.get_experiment_by_name(name)
    if existing is not None:
        return existing.experiment_id
    path = _sqlite_path(store_uri())
    try:
        return mlflow.create_experiment(name, artifact_location=path and (_runs_folder(path) / name).as_uri())
    except mlflow.MlflowException:  # another process was first
        return mlflow.get_experiment_by_name(name).experiment_id


class Tracked:
    """A run under way."""

    def __init__(self, mlflow, run_id: str):
        self._mlflow, self.run_id = mlflow, run_id

    def metrics(self, values: dict[str, float], step: int | None = None) -> None:
        """Log numbers, for an epoch if step is given."""
        self._mlflow.log_metrics({name: float(value) for name, value in values.items()}, step=step)

    def epoch(self, row: dict[str, float]) -> None:
        """Log a row of History as epoch/<column> (hand this to fit as on_epoch)."""
        self.metrics({f"epoch/{name}": value for name, value in row.items() if name != "epoch"}, step=int(row["epoch"]))

    def figure(self, figure: "Figure", name: str) -> None:
        """Log a figure as <name>.png."""
        self._mlflow.log_figure(figure, f"figures/{name}.png")

    def model(self, model) -> None:
        """Log the files that model.save(folder) writes."""
        with tempfile.TemporaryDirectory() as folder:
            self._mlflow.log_artifacts(model.save(Path(folder) / "model"), "model")


@contextmanager
def run(
    experiment: str, name: str, *, params: dict, tags: dict | None = None, nested: bool = False
) -> Iterator[Tracked]:
    """Track one run; an exception inside marks it FAILED and goes on.

    Args:
        params: configuration and seeds, flat.
        tags: what runs are found by later.
        nested: a child of the run that is open.

    Example:
        >>> with run("sms", "lstm", params={"lr": 0.001}) as tracked:
        ...     tracked.metrics({"f1": 0.97})
    """
    mlflow = client()
    experiment_id = _experiment_id(mlflow, experiment)
    with mlflow.start_run(experiment_id=experiment_id, run_name=name, nested=nested, tags=tags) as active:
        mlflow.log_params(params)
        yield Tracked(mlflow, active.info.run_id)


def runs(experiment: str) -> "pd.DataFrame":
    """Finished runs of an experiment, oldest first: columns tags.*, params.*, metrics.*; empty where there is none."""
    import pandas as pd

    mlflow = client()
    if mlflow.get_experiment_by_name(experiment) is None:
        return pd.DataFrame()
    found = mlflow.search_runs(
        experiment_names=[experiment], filter_string="attributes.status = 'FINISHED'", max_results=50_000
    )
    return found.iloc[::-1].reset_index(drop=True)
