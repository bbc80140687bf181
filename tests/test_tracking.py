"""Where MLflow keeps runs, whatever the folder is called and wherever the process runs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers import settings
from helpers.report import tracking


def test_a_clone_in_a_folder_of_any_name_keeps_its_runs_there(tmp_path, monkeypatch):
    name = "a%20b?c=d #1 ñ"
    root = tmp_path / name / "clone"
    root.mkdir(parents=True)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setattr(settings, "ROOT", root)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # MLflow hands its address down in the environment: the second run reads that
        with tracking.run("e", "r", params={"a": 1}) as tracked:
            tracked.figure(plt.figure(), "curva")
    assert len(tracking.runs("e")) == 2
    assert sorted(path.name for path in root.iterdir()) == ["mlflow.db", "mlruns"]
    assert len(list(root.glob("mlruns/e/*/artifacts/figures/curva.png"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]  # no folder of another spelling beside it


def test_a_relative_store_is_the_same_from_every_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///some/mlflow.db")
    found = set()
    for folder in (settings.ROOT, settings.ROOT / "notebooks", tmp_path):
        monkeypatch.chdir(folder)
        found.add(tracking.store_uri())
    assert found == {f"sqlite:///{settings.ROOT}/some/mlflow.db"}


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:5000", "postgresql://u:p@host/db", "sqlite:////srv/x.db?timeout=5", "databricks"]
)
def test_other_addresses_pass_as_they_are(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert tracking.store_uri() == uri


@pytest.mark.parametrize("uri", ["file:///tmp/runs", "/tmp/runs", "mlruns"])
def test_a_folder_as_store_is_refused_in_one_line(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ValueError, match=r"sqlite:///mlflow\.db") as refused:
        tracking.runs("e")
    assert str(refused.value).startswith(f"MLFLOW_TRACKING_URI={uri}: ")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    (tmp_path / "store.db").write_text("some text that is no database\n" * 40)
    with pytest.raises(ValueError, match=r"store\.db: no store of MLflow can be opened here: file is not a database"):
        tracking.runs("e")


def test_a_failed_run_is_marked_and_not_counted():
    with pytest.raises(RuntimeError, match="boom"), tracking.run("failing", "r", params={"a": 1}):
        raise RuntimeError("boom")
    assert tracking.runs("failing").empty
    assert tracking.runs("never run").empty


def test_a_run_keeps_parameters_metrics_figures_and_model(tmp_path):
    class Model:
        def save(self, folder):
            folder.mkdir()
            np.save(folder / "weights.npy", np.arange(3))
            return folder

    with tracking.run("keeping", "r", params={"lr": 0.1}, tags={"study": "s"}) as tracked:
        tracked.epoch({"epoch": 1, "train_loss": 0.5})
        tracked.epoch({"epoch": 2, "train_loss": 0.25})
        tracked.metrics({"f1": 0.9})
        tracked.figure(plt.figure(), "curva")
        tracked.model(Model())
    mlflow = tracking.client()
    row = tracking.runs("keeping").iloc[0]
    assert (row["params.lr"], row["tags.study"], row["metrics.f1"]) == ("0.1", "s", 0.9)
    history = mlflow.MlflowClient().get_metric_history(tracked.run_id, "epoch/train_loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    folder = mlflow.artifacts.download_artifacts(run_id=tracked.run_id, artifact_path="model", dst_path=str(tmp_path))
    assert np.load(f"{folder}/weights.npy").tolist() == [0, 1, 2]
    names = [artifact.path for artifact in mlflow.MlflowClient().list_artifacts(tracked.run_id, "figures")]
    assert names == ["figures/curva.png"]
