"""Results files, saved predictions, and tables over the rows of a study."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import settings
from helpers.report import results, rules
from helpers.report.results import load_predictions, mean_and_std, predictions_path, save_predictions

NAME = "04_sms_rnn_vs_lstm"
METRICS = {"sms.lstm.f1.mean": 0.97, "sms.lstm.f1.std": 0.01234, "sms.lstm.accuracy.mean": 0.99}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("PROFILE", "full")
    return tmp_path / "results"


def test_written_results_are_read_again_with_their_circumstances(folder):
    metrics = METRICS | {"sms.lstm.parameters": np.int64(12), "sms.lstm.auc": torch.tensor(0.5)}
    path = results.write_results(NAME, metrics, {"split_seeds": np.arange(1, 4), "seconds": np.float32(1.5)})
    assert path == folder / f"{NAME}.json"
    assert [file.name for file in folder.iterdir()] == [path.name]
    content = results.read_results(NAME)
    assert content["schema"] == 1
    assert content["metrics"] == METRICS | {"sms.lstm.parameters": 12, "sms.lstm.auc": 0.5}
    assert content["info"] == {
        "split_seeds": [1, 2, 3],
        "seconds": 1.5,
        "profile": "full",
        "versions": settings.versions(),
        "threads": settings.threads(),
        "device": "cpu",
        "processor": settings.processor(),
    }


def test_same_results_give_the_same_bytes(folder):
    first = results.write_results(NAME, METRICS).read_bytes()
    assert results.write_results(NAME, dict(reversed(METRICS.items()))).read_bytes() == first


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"sms.lstm.f1": math.nan}, "sms.lstm.f1 is nan"),
        ({"sms.lstm.f1": -math.inf}, "sms.lstm.f1 is -inf"),
        ({"sms.lstm.f1": "0.9"}, "sms.lstm.f1 is '0.9'"),
        ({"sms.lstm.f1": True}, "sms.lstm.f1 is True"),
        ({"sms.f1": 0.9}, "'sms.f1' is no metric name"),
        ({"sms.LSTM.f1": 0.9}, "'sms.LSTM.f1' is no metric name"),
        ({"sms.lstm.f1.": 0.9}, "is no metric name"),
    ],
)
def test_wrong_metric_is_refused_and_the_old_file_stays(metrics, message, folder):
    path = results.write_results(NAME, METRICS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=re.escape(message)):
        results.write_results(NAME, METRICS | metrics)
    assert path.read_bytes() == before


def test_info_that_is_no_json_leaves_nothing(folder):
    with pytest.raises(TypeError, match="info holds a set"):
        results.write_results(NAME, METRICS, {"seeds": {1, 2}})
    assert not folder.exists()


def test_sample_gives_no_result_in_full_and_is_named_in_quick(folder, monkeypatch):
    frame = pd.DataFrame({"text": ["a", "b"]})
    frame.attrs = {"sha256": "ab", "sample": True}
    info = {"data": results.describe_data(sms=frame)}
    with pytest.raises(ValueError, match="sms: the synthetic sample"):
        results.write_results(NAME, METRICS, info)
    monkeypatch.setenv("PROFILE", "quick")
    results.write_results(NAME, METRICS, info)
    assert results.read_results(NAME)["info"]["data"] == {"sms": {"rows": 2, "sha256": "ab", "sample": True}}


def test_quick_never_writes_to_results(monkeypatch):
    monkeypatch.delenv("RESULTS_DIR", raising=False)
    monkeypatch.setenv("PROFILE", "quick")
    monkeypatch.setattr(results, "write_text", lambda path, text: path)
    assert results.write_results(NAME, METRICS) == settings.ROOT / "build" / "results" / f"{NAME}.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ('{"schema": 2, "metrics": {}, "info": {}}', "not of schema 1"),
        ('{"schema": 1, "metrics": []}', 'lacks "metrics" or "info"'),
        ('{"schema": 1, "metrics": {"a": 1}, "info": {}}', "'a' is no metric name"),
    ],
)
def test_wrong_results_file_is_named(text, message, folder):
    folder.mkdir()
    (folder / f"{NAME}.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"{NAME}.json: .*{message}"):
        results.read_results(NAME)


def test_missing_results_say_which_notebook_writes_them(folder):
    with pytest.raises(FileNotFoundError, match=f"execute notebooks/{NAME}"):
        results.read_results(NAME)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**12), 10**12))
def test_every_finite_number_is_a_metric(number, whole):
    assert results.metric_faults({"sms.rnn.f1": number, "sms.rnn.parameters": whole}) == []


def test_committed_results_of_profile_quick_are_a_problem(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PROFILE", "quick")
    results.write_results(NAME, METRICS)
    assert results.results_problems(folder) == [f"{NAME}.json: made in profile quick, not full"]


def test_check_of_everything_reads_notebooks_and_readme(tmp_path, monkeypatch):
    for name in ("notebooks", "results", "tests"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tests" / "questions.json").write_text("{}")
    (tmp_path / "notebooks" / "01_eda.ipynb").write_text("{}")
    content = {"schema": 1, "metrics": METRICS, "info": {"profile": "full"}}
    (tmp_path / "results" / "01_eda.json").write_text(json.dumps(content))
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    assert [problem.split(":")[0] for problem in rules.check()] == ["01_eda.ipynb", "README.md"]


def test_saved_predictions_come_back():
    path = save_predictions("some-study", "best-1", [5, 3], [631, 0])
    assert path == predictions_path("some-study", "best-1")
    rows, predicted = load_predictions("some-study", "best-1")
    assert rows.tolist() == [5, 3]
    assert predicted.tolist() == [631, 0]
    assert list(path.parent.iterdir()) == [path]


def test_the_same_predictions_give_the_same_file():
    first = save_predictions("some-study", "best-2", [1], [2]).read_bytes()
    assert save_predictions("some-study", "best-2", [1], [2]).read_bytes() == first


def test_missing_predictions_say_how_they_are_made():
    with pytest.raises(FileNotFoundError, match="make study NAME=some-study"):
        load_predictions("some-study", "none")


RUNS = pd.DataFrame(
    {
        "model": ["b", "b", "a", "a", "c"],
        "f1": [0.25, 0.75, 0.9, 0.9, 0.6],
        "parameters": [1000, 3000, 70, 70, 5],
        "seen": [None, None, 0.5, 0.7, None],
    }
)


def spread(mean, std):
    return f"{mean}\u00a0±\u00a0{std}"  # a narrow column must not part them


def test_cells_hold_mean_and_sample_deviation_in_order_of_appearance():
    table = mean_and_std(RUNS, "model", {"f1": "F1"}, names={"b": "modelo B"})
    assert table["F1"].to_dict() == {
        "modelo B": spread("0.5000", "0.3536"),
        "a": spread("0.9000", "0.0000"),
        "c": "0.6000",
    }
    assert list(table.index) == ["modelo B", "a", "c"]
    assert table.index.name is None


def test_metrics_have_their_own_decimals_and_unmeasured_ones_a_dash():
    table = mean_and_std(RUNS, "model", {"parameters": "parámetros", "seen": "visto"}, decimals={"parameters": 0})
    assert table["parámetros"].tolist() == [spread("2,000", "1,414"), spread("70", "0"), "5"]
    assert table["visto"].tolist() == ["—", spread("0.6000", "0.1414"), "—"]


def test_groups_are_sorted_by_the_mean_not_by_its_text():
    runs = pd.DataFrame({"model": ["a", "b", "c"], "seconds": [9.0, 10.0, 100.0]})
    assert list(mean_and_std(runs, "model", {"seconds": "s"}, sort="seconds").index) == ["c", "b", "a"]


def test_a_missing_metric_is_named():
    with pytest.raises(KeyError, match="recall"):
        mean_and_std(RUNS, "model", {"recall": "exhaustividad"})
