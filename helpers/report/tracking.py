"""MLflow: one context manager around a training, and the table of what was run."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.figure
import pandas as pd

from helpers import settings


def store_uri() -> str:
    """MLFLOW_TRACKING_URI if set, else a SQLite file at the repository root (absolute: notebooks run elsewhere)."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{settings.ROOT / 'mlflow.db'}"


def client():
    """MLflow pointed at the store, without the lines its migrations print."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(store_uri())
    with _alone():
        mlflow.search_experiments(max_results=1)  # makes the tables of a new store
    return mlflow


@contextmanager
def _alone() -> Iterator[None]:
    """Hold a SQLite store: two processes that make its tables at once would leave neither with a store."""
    folder = _store_folder()
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _experiment_id(mlflow, name: str) -> str:
    existing = mlflow.get_experiment_by_name(name)
    if existing is not None:
        return existing.experiment_id
    try:
        return mlflow.create_experiment(name, artifact_location=_artifact_location(name))
    except mlflow.MlflowException:  # another process was first
        return mlflow.get_experiment_by_name(name).experiment_id


def _store_folder() -> Path | None:
    """Of a SQLite store; None for another kind."""
    uri = store_uri()
    return Path(uri.removeprefix("sqlite:///")).resolve().parent if uri.startswith("sqlite:///") else None


def _artifact_location(name: str) -> str | None:
    """Beside a SQLite store; MLflow's own default is the working directory, which is notebooks/ in a kernel."""
    folder = _store_folder()
    return None if folder is None else (folder / "mlruns" / name).as_uri()


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

    def figure(self, figure: matplotlib.figure.Figure, name: str) -> None:
        """Log a figure as <name>.png."""
        self._mlflow.log_figure(figure, f"figures/{name}.png")

    def model(self, model) -> None:
        """Log a model as the tensors and JSON that its save(folder) writes."""
        with tempfile.TemporaryDirectory() as folder:
            self._mlflow.log_artifacts(model.save(Path(folder) / "model"), "model")


@contextmanager
def run(experiment: str, name: str, *, params: dict, tags: dict | None = None, nested=False) -> Iterator[Tracked]:
    """Track one run; an exception inside marks it FAILED and goes on.

    Args:
        params: configuration and seeds, flat.
        tags: what runs are found by later.
        nested: a child of the run that is open.
    """
    mlflow = client()
    started = mlflow.start_run(
        experiment_id=_experiment_id(mlflow, experiment), run_name=name, nested=nested, tags=tags
    )
    with started as active:
        mlflow.log_params(params)
        yield Tracked(mlflow, active.info.run_id)


def runs(experiment: str) -> pd.DataFrame:
    """Finished runs of an experiment: columns tags.*, params.*, metrics.*; empty where there is none."""
    mlflow = client()
    if mlflow.get_experiment_by_name(experiment) is None:
        return pd.DataFrame()
    found = mlflow.search_runs(
        experiment_names=[experiment], filter_string="attributes.status = 'FINISHED'", max_results=50_000
    )
    return found.iloc[::-1].reset_index(drop=True)  # oldest first
