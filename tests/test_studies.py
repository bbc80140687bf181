from dataclasses import replace

import pandas as pd
import pytest

from helpers.report import tracking
from helpers.tasks import STUDIES
from helpers.tasks.studies import Study, confirm_study, read_table, row_key, run_study, table, table_path


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def toy(tmp_path, ran, data="d1", fail_at=None):
    code = tmp_path / "code.py"
    if not code.exists():
        code.write_text("x = 1\n")

    def run(spec, tracked):
        if spec["seed"] == fail_at:
            raise KeyboardInterrupt
        ran.append(spec["seed"])
        tracked.epoch({"epoch": 1, "f1": 0.1})
        return {"f1": spec["seed"] / 10}

    specs = [{"model": "m", "seed": seed} for seed in (1, 2, 3)]
    return Study("toy", lambda: specs, run, lambda: data, (code,))


def test_a_study_runs_every_row_once_and_exports_them_in_order(store):
    ran = []
    first = run_study(toy(store, ran))
    assert first["f1"].tolist() == [0.1, 0.2, 0.3]
    assert {"model", "seed", "f1", "seconds", "data_hash", "code_hash", "key"} <= set(first.columns)
    assert not any(column.startswith("epoch/") for column in first.columns)
    run_study(toy(store, ran))
    assert ran == [1, 2, 3]


def test_a_stopped_study_goes_on_where_it_was(store):
    ran = []
    with pytest.raises(KeyboardInterrupt):
        run_study(toy(store, ran, fail_at=2))
    assert pd.read_csv(table_path("toy"))["seed"].tolist() == [1]
    assert run_study(toy(store, ran))["seed"].tolist() == [1, 2, 3]
    assert ran == [1, 2, 3]


def test_the_committed_table_is_enough_to_resume(store, monkeypatch):
    ran = []
    run_study(toy(store, ran), limit=2)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'empty.db'}")
    run_study(toy(store, ran))
    assert ran == [1, 2, 3]


@pytest.mark.parametrize("change", ["data", "code"])
def test_rows_of_other_data_or_code_are_run_again(store, change):
    ran = []
    run_study(toy(store, ran))
    if change == "code":
        (store / "code.py").write_text("x = 2\n")
    again = run_study(toy(store, ran, data="d2" if change == "data" else "d1"))
    assert ran == [1, 2, 3, 1, 2, 3]
    assert len(again) == 3


def test_comments_and_docstrings_do_not_make_rows_stale(store):
    ran = []
    run_study(toy(store, ran))
    (store / "code.py").write_text('"""Says what x is."""\n\nx = 1  # one\n')
    run_study(toy(store, ran))
    assert ran == [1, 2, 3]


def test_rows_of_a_miniature_are_never_taken_for_full_ones(store, monkeypatch):
    ran = []
    run_study(toy(store, ran))
    table_path("toy").unlink()
    monkeypatch.setenv("PROFILE", "full")
    run_study(toy(store, ran))
    assert ran == [1, 2, 3, 1, 2, 3]


def test_large_counts_and_hashes_that_look_like_numbers_survive_the_file(store):
    study = toy(store, [], data="12345678901234567890")
    run_study(replace(study, run=lambda spec, tracked: {"parameters": 2_926_006 + spec["seed"]}))
    again = read_table(table_path("toy"))
    assert again["parameters"].tolist() == [2_926_007, 2_926_008, 2_926_009]
    assert again["data_hash"].tolist() == ["12345678901234567890"] * 3


def test_confirmed_rows_count_as_made_by_the_code_of_today(store):
    ran = []
    run_study(toy(store, ran))
    (store / "code.py").write_text("x = 3\n")
    confirm_study(toy(store, ran), sample=2)
    assert len(ran) == 5
    run_study(toy(store, ran))
    assert len(ran) == 5


def test_rows_that_come_out_otherwise_are_not_confirmed(store):
    run_study(toy(store, []))
    (store / "code.py").write_text("x = 3\n")
    before = table_path("toy").read_text()
    changed = replace(toy(store, []), run=lambda spec, tracked: {"f1": 0.5})
    with pytest.raises(ValueError, match=r"f1 was 0\.\d, is 0\.5: run the study again"):
        confirm_study(changed)
    assert table_path("toy").read_text() == before


def test_a_missing_table_names_its_command(store, monkeypatch):
    monkeypatch.setenv("PROFILE", "full")
    with pytest.raises(FileNotFoundError, match="make study NAME=toy"):
        table(toy(store, []))


def test_keys_tell_rows_apart_and_do_not_depend_on_order():
    assert row_key({"a": 1, "b": 2}) == row_key({"b": 2, "a": 1}) != row_key({"a": 1, "b": 3})


def test_registered_studies_have_distinct_rows():
    for study in STUDIES.values():
        keys = [row_key(spec) for spec in study.specs()]
        assert len(keys) == len(set(keys)) > 0


def test_a_failed_run_is_marked_and_not_counted(store):
    with pytest.raises(RuntimeError, match="boom"), tracking.run("e", "r", params={"a": 1}):
        raise RuntimeError("boom")
    assert tracking.runs("e").empty


def test_a_run_keeps_parameters_metrics_figures_and_model(store):
    import matplotlib.pyplot as plt
    import mlflow
    import numpy as np

    from helpers.tasks import sms
    from helpers.tasks.sms import CELLS, replace

    model, _ = sms.fit_texts(replace(CELLS["rnn"], epochs=1), ["a b", "c d"] * 10, np.arange(20) % 2, seed=0)
    with tracking.run("e", "r", params={"lr": 0.1}, tags={"study": "s"}) as tracked:
        tracked.epoch({"epoch": 1, "train_loss": 0.5})
        tracked.epoch({"epoch": 2, "train_loss": 0.25})
        tracked.metrics({"f1": 0.9})
        tracked.figure(plt.figure(), "curva")
        tracked.model(model)
    row = tracking.runs("e").iloc[0]
    assert (row["params.lr"], row["tags.study"], row["metrics.f1"]) == ("0.1", "s", 0.9)
    history = mlflow.MlflowClient().get_metric_history(tracked.run_id, "epoch/train_loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    folder = mlflow.artifacts.download_artifacts(run_id=tracked.run_id, artifact_path="model")
    assert sms.SpamModel.load(folder).predict_proba(["a"]) == model.predict_proba(["a"])
    names = [artifact.path for artifact in mlflow.MlflowClient().list_artifacts(tracked.run_id, "figures")]
    assert names == ["figures/curva.png"]
