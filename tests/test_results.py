"""Results files, code hashes and stale studies."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import helpers
from helpers import settings
from helpers.report import results, rules

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


def test_interrupted_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = results.write_text(tmp_path / "a.txt", "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(results.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        results.write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**12), 10**12))
def test_every_finite_number_is_a_metric(number, whole):
    assert results.metric_faults({"sms.rnn.f1": number, "sms.rnn.parameters": whole}) == []


def test_committed_results_of_profile_quick_are_a_problem(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PROFILE", "quick")
    results.write_results(NAME, METRICS)
    assert results.results_problems(folder) == [f"{NAME}.json: made in profile quick, not full"]


def test_code_hash_follows_names_and_contents(tmp_path):
    (tmp_path / "a.py").write_bytes(b"x = 1\n")
    (tmp_path / "b.py").write_bytes(b"y = 1\n")
    both = results.code_hash(tmp_path)
    assert re.fullmatch("[0-9a-f]{12}", both)
    assert both == results.code_hash(tmp_path / "b.py", tmp_path / "a.py", tmp_path)
    assert both != results.code_hash(tmp_path / "a.py")
    (tmp_path / "a.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "notas.txt").write_text("x")
    assert both == results.code_hash(tmp_path)
    (tmp_path / "a.py").write_bytes(b"x = 2\n")
    assert both != results.code_hash(tmp_path)


def test_code_hash_takes_modules_packages_and_relative_paths():
    assert results.code_hash(settings) == results.code_hash("helpers/settings.py")
    assert results.code_hash(helpers) == results.code_hash(settings.ROOT / "helpers")
    with pytest.raises(FileNotFoundError, match="no Python source at helpers/nada"):
        results.code_hash("helpers/nada.py")


CURRENT = {"sms-search": {"code_hash": "c1", "data_hash": "d1"}}


def study(folder, rows, name="sms-search"):
    pd.DataFrame(rows, columns=["f1", "code_hash", "data_hash"]).to_csv(folder / f"{name}.csv", index=False)


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        ([(0.9, "c1", "d1")], []),
        (
            [(0.9, "c0", "d1"), (0.9, "c1", "d1")],
            ["studies/sms-search.csv: 1 of 2 rows are stale (other code); make study NAME=sms-search"],
        ),
        (
            [(0.9, "c0", "d1"), (0.9, "c0", "d0"), (0.9, "c1", "d0")],
            ["studies/sms-search.csv: 3 of 3 rows are stale (other code and data); make study NAME=sms-search"],
        ),
    ],
)
def test_stale_rows_are_counted_a_line_a_study(rows, problems, tmp_path):
    study(tmp_path, rows)
    assert results.stale_problems(CURRENT, tmp_path) == problems


def test_hashes_of_digits_are_compared_as_text(tmp_path):
    study(tmp_path, [(0.9, "000123456789", "12e4")])
    assert results.stale_problems({"sms-search": {"code_hash": "000123456789", "data_hash": "12e4"}}, tmp_path) == []


def test_study_without_hashes_or_owner_is_a_problem(tmp_path):
    study(tmp_path, [(0.9, "c1", "d1")], name="other")
    pd.DataFrame({"f1": [1], "code_hash": ["c1"]}).to_csv(tmp_path / "sms-search.csv", index=False)
    assert results.stale_problems(CURRENT, tmp_path) == [
        "studies/other.csv: no study of this name; delete the table or give the study back",
        "studies/sms-search.csv: no column data_hash",
    ]


def test_check_of_everything_reads_notebooks_readme_and_studies(tmp_path, monkeypatch):
    for name in ("notebooks", "results/studies", "tests"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tests" / "questions.json").write_text("{}")
    (tmp_path / "notebooks" / "01_eda.ipynb").write_text("{}")
    content = {"schema": 1, "metrics": METRICS, "info": {"profile": "full"}}
    (tmp_path / "results" / "01_eda.json").write_text(json.dumps(content))
    study(tmp_path / "results" / "studies", [(0.9, "c0", "d1")])
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    problems = rules.check(current=CURRENT)
    assert [problem.split(":")[0] for problem in problems] == ["01_eda.ipynb", "README.md", "studies/sms-search.csv"]
    assert len(rules.check()) == 2  # without hashes of today the studies are left alone


def test_rows_of_another_configuration_and_missing_rows_are_named(tmp_path):
    pd.DataFrame({"key": ["a", "old"], "code_hash": "c", "data_hash": "d"}).to_csv(tmp_path / "s.csv", index=False)
    current = {"s": {"code_hash": "c", "data_hash": "d", "keys": ["a", "b", "e"]}}
    assert results.stale_problems(current, tmp_path) == [
        "studies/s.csv: 1 of 2 rows are stale (other configuration); make study NAME=s",
        "studies/s.csv: 2 rows are missing; make study NAME=s",
    ]
