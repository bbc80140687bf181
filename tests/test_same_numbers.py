"""tools.same_numbers: rows of another tree, run once, and every difference between two runs."""

import json

import pytest

from helpers import settings
from tools import same_numbers
from tools.same_numbers import differences, main

TREE = {
    "helpers/__init__.py": "",
    "helpers/report/__init__.py": "",
    "helpers/report/tracking.py": (
        "from contextlib import contextmanager\n@contextmanager\ndef run(name, label, *, params):\n    yield None\n"
    ),
    "helpers/tasks/studies.py": "def row_key(spec):\n    return f'k{spec[\"seed\"]}'\n",
    "helpers/tasks/__init__.py": """
import os
class Study:
    def specs(self):
        return [{"model": "m, 'n'", "seed": seed} for seed in (1, 2)]
    def run(self, spec, tracked):
        assert (os.environ["PROFILE"], os.environ["DEVICE"], os.environ["THREADS"]) == ("full", "cpu", "3")
        return {"f1": spec["seed"] / 7, "train_seconds": 9.0, "loss": float("nan")}
STUDIES = {"toy-models": Study(), "other-models": Study()}
""",
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name, text in TREE.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    studies = tmp_path / "results" / "studies"
    studies.mkdir(parents=True)
    for name in ("toy-models", "other-models"):
        (studies / f"{name}.csv").write_text("key,seconds\nk1,500\nk2,20\n")
    monkeypatch.setattr(same_numbers, "COMMITTED", tmp_path / "results")
    monkeypatch.setattr(settings, "processor", lambda: "one, two")
    return tmp_path / "tree"


def test_a_row_of_every_study_is_run_by_the_code_of_the_tree_once(tree, tmp_path, capfd):
    out = tmp_path / "rows.csv"
    command = ["rows", "--tree", str(tree), "--out", str(out), "--max-seconds", "100", "--threads", "3"]
    assert main([*command, "--only", "toy-models"]) == 0
    assert main(command) == 0
    said = capfd.readouterr().out
    assert "1 rows, 0 run before" in said
    assert "2 rows, 1 run before" in said
    rows = same_numbers.read_rows(out)
    assert {(row["study"], row["key"]) for row in rows} == {("toy-models", "k2"), ("other-models", "k2")}
    assert {row["value"] for row in rows if row["metric"] == "f1"} == {repr(2 / 7)}
    assert {row["processor"] for row in rows} == {"one, two"}
    assert sorted(path.name for path in tree.rglob("*") if path.is_file()) == sorted(
        name.split("/")[-1] for name in TREE
    )


def test_a_folder_without_code_and_an_unknown_study_are_named(tree, tmp_path, capsys):
    out = ["--out", str(tmp_path / "rows.csv")]
    assert main(["rows", "--tree", str(tmp_path), *out]) == 1
    assert "holds no helpers/" in capsys.readouterr().err
    assert main(["rows", "--tree", str(tree), *out, "--only", "none"]) == 1
    assert "no study none: there are other-models, toy-models" in capsys.readouterr().err


def test_only_times_may_differ_and_gaps_are_equal():
    old = {"a: f1": 0.1, "a: seconds": 1.0, "a: loss": float("nan"), "a: gone": 1.0}
    new = {"a: f1": 0.1, "a: seconds": 2.0, "a: loss": float("nan"), "a: new": 1.0}
    assert differences(old, new) == (
        2,
        [{"what": "a: gone", "old": 1.0, "new": None}, {"what": "a: new", "old": None, "new": 1.0}],
    )
    assert differences({"f1": 0.1}, {"f1": 0.1 + 2e-17}) == (0, [{"what": "f1", "old": 0.1, "new": 0.1 + 2e-17}])


def test_the_report_holds_both_runs_and_the_command_ends_in_1_where_a_number_differs(tree, tmp_path, capsys):
    out = tmp_path / "rows.csv"
    main(["rows", "--tree", str(tree), "--out", str(out), "--threads", "3"])
    for name, value in (("old", 0.5), ("new", 0.25)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "01_eda.json").write_text(json.dumps({"metrics": {"toy.a.f1": value, "toy.a.n": 3}}))
    report = tmp_path / "report.json"
    rows = ["--rows", str(out), str(out), "--out", str(report)]
    assert main(["compare", *rows]) == 0
    assert main(["compare", str(tmp_path / "old"), str(tmp_path / "new"), *rows, "--commits", "a", "b"]) == 1
    assert "01_eda: toy.a.f1: 0.5 is now 0.25" in capsys.readouterr().out
    content = json.loads(report.read_text())
    assert (content["notebooks"]["equal"], content["notebooks"]["different"]) == (1, 1)
    assert (content["rows"]["equal"], content["rows"]["different"]) == (4, 0)
    assert content["old"] == content["new"] == [{"commit": "", "threads": "3", "processor": "one, two"}]
    assert content["commits"] == {"old": "a", "new": "b"}
    assert main(["compare", str(tmp_path / "old")]) == 1
