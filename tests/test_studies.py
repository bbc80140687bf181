"""A table of many trainings: run once, resumed, stale rows told from current ones, never read back from MLflow."""

from dataclasses import replace
from threading import Thread

import pandas as pd
import pytest

from helpers import settings
from helpers.data.sources import SourceError
from helpers.files import locked
from helpers.report import tracking
from helpers.tasks import STUDIES
from helpers.tasks.studies import (
    ORIGIN,
    Study,
    current_rows,
    read_table,
    row_key,
    run_study,
    table,
    table_path,
    table_problems,
)

SPECS = [{"model": "m", "seed": seed} for seed in (1, 2, 3)]


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """Tables in a folder of the test's own; runs in the store of the session."""
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "results"))
    return tmp_path


def toy(ran=None, *, data="d1", revision=1, fail_at=None, specs=SPECS):
    ran = [] if ran is None else ran

    def run(spec, tracked):
        if spec["seed"] == fail_at:
            raise KeyboardInterrupt
        ran.append(spec["seed"])
        tracked.epoch({"epoch": 1, "f1": 0.1})
        return {"f1": spec["seed"] / 10}

    return Study("toy", lambda: specs, run, lambda: data, revision)


def edit(change):
    """Put the table through a function of the frame, as a hand or another machine would."""
    change(read_table(table_path("toy"))).to_csv(table_path("toy"), index=False)


def test_a_study_runs_every_row_once_and_writes_them_in_order():
    ran = []
    first = run_study(toy(ran))
    assert first["f1"].tolist() == [0.1, 0.2, 0.3]
    assert not any(column.startswith("epoch/") for column in first.columns)
    pd.testing.assert_frame_equal(run_study(toy(ran)), read_table(table_path("toy")), check_dtype=False)
    assert ran == [1, 2, 3]


def test_a_row_says_how_it_was_made_on_the_cpu_whatever_device_is_set(monkeypatch):
    monkeypatch.setenv("DEVICE", "cuda:99")
    made = run_study(toy(), limit=1).iloc[0]
    assert made[["data_hash", "revision", "key"]].tolist() == ["d1", 1, row_key(SPECS[0])]
    assert made[["commit", "threads", "device"]].tolist() == [settings.commit(), settings.threads(), "cpu"]
    assert made["processor"] == settings.processor()
    assert made["seconds"] >= 0


def test_a_stopped_study_goes_on_where_it_was():
    ran = []
    with pytest.raises(KeyboardInterrupt):
        run_study(toy(ran, fail_at=2))
    assert read_table(table_path("toy"))["seed"].tolist() == [1]
    assert run_study(toy(ran))["seed"].tolist() == [1, 2, 3]
    assert ran == [1, 2, 3]


@pytest.mark.parametrize("change", [{"data": "d2"}, {"revision": 2}])
def test_rows_of_other_data_or_of_an_earlier_revision_are_run_again(change):
    ran = []
    run_study(toy(ran))
    again = run_study(toy(ran, **change))
    assert ran == [1, 2, 3, 1, 2, 3]
    assert len(again) == 3


def test_what_mlflow_holds_and_the_table_does_not_is_run_again():
    ran = []
    run_study(toy(ran))
    assert not tracking.runs("toy").empty
    edit(lambda rows: rows[rows["seed"] != 2])
    assert run_study(toy(ran))["seed"].tolist() == [1, 2, 3]
    assert ran == [1, 2, 3, 2]


def test_a_second_run_waits_until_the_first_has_ended():
    ran = []
    with locked(table_path("toy").with_suffix(".lock")):
        second = Thread(target=run_study, args=[toy(ran)])
        second.start()
        second.join(1)
        assert second.is_alive()
        assert not table_path("toy").exists()
    second.join(120)
    assert ran == [1, 2, 3]


def test_large_counts_and_hashes_that_look_like_numbers_survive_the_file():
    study = toy(data="12345678901234567890")
    run_study(replace(study, run=lambda spec, tracked: {"parameters": 2_926_006 + spec["seed"]}))
    again = read_table(table_path("toy"))
    assert again["parameters"].tolist() == [2_926_007, 2_926_008, 2_926_009]
    assert again["data_hash"].tolist() == ["12345678901234567890"] * 3
    assert len(current_rows(study, study.stamp())) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.assign(revision=[1, 7, 1]), r"1 of 3 rows \(lines 3\) have an unknown revision \(7; "),
        (lambda rows: rows.assign(revision=[1, "x", None]), r"2 of 3 rows \(lines 3, 4\) have an unknown revision"),
        (lambda rows: rows.drop(columns="revision"), r"3 of 3 rows \(lines 2, 3, 4\) .* \(none; "),
    ],
)
def test_an_unknown_revision_names_its_lines_and_the_command_and_nothing_is_run(change, message):
    ran = []
    run_study(toy(ran))
    edit(change)
    before = table_path("toy").read_text()
    with pytest.raises(ValueError, match=rf"toy\.csv: {message}.*delete them and run `make study NAME=toy`"):
        run_study(toy(ran))
    assert ran == [1, 2, 3]
    assert table_path("toy").read_text() == before


def problems(study, folder=None):
    return table_problems({"toy": study}, folder or table_path("toy").parent)


def test_a_current_table_has_no_problem():
    run_study(toy())
    assert problems(toy()) == []


def test_stale_and_missing_rows_are_counted_a_line_a_study():
    run_study(toy())
    command = "make study NAME=toy"
    assert problems(toy(revision=2)) == [f"studies/toy.csv: 3 of 3 rows are stale (other revision); {command}"]
    assert problems(toy(data="d2", revision=2)) == [
        f"studies/toy.csv: 3 of 3 rows are stale (other data_hash and revision); {command}"
    ]
    other = [*SPECS[:2], {"model": "n", "seed": 1}, {"model": "n", "seed": 2}]
    assert problems(toy(specs=other)) == [
        f"studies/toy.csv: 1 of 3 rows are stale (other configuration); {command}",
        f"studies/toy.csv: 2 rows are missing; {command}",
    ]


def test_a_table_without_owner_or_provenance_is_a_problem(tmp_path):
    run_study(toy())
    edit(lambda rows: rows.drop(columns=["commit", "device"]))
    table_path("other").write_text("key\n1\n")
    assert problems(toy()) == [
        "studies/other.csv: no study of this name; delete the table or give the study back",
        "studies/toy.csv: no column commit or device; make study NAME=toy",
    ]


def test_a_missing_table_names_its_command(monkeypatch):
    monkeypatch.setenv("PROFILE", "full")
    with pytest.raises(FileNotFoundError, match="make study NAME=toy"):
        table(toy())


def test_keys_tell_rows_apart_and_do_not_depend_on_order():
    assert row_key({"a": 1, "b": 2}) == row_key({"b": 2, "a": 1}) != row_key({"a": 1, "b": 3})


def test_registered_studies_have_distinct_rows():
    for study in STUDIES.values():
        keys = [row_key(spec) for spec in study.specs()]
        assert len(keys) == len(set(keys)) > 0


@pytest.mark.parametrize("path", sorted((settings.ROOT / "results" / "studies").glob("*.csv")), ids=lambda p: p.stem)
def test_committed_rows_say_how_they_were_made_and_belong_to_a_study(path, monkeypatch):
    monkeypatch.setenv("PROFILE", "full")
    rows, study = read_table(path), STUDIES[path.stem]
    assert set(ORIGIN) <= set(rows.columns)
    assert set(rows["key"]) == {row_key(spec) for spec in study.specs()}
    assert set(rows["revision"]) == {study.revision}


def test_committed_tables_are_current(monkeypatch):
    monkeypatch.setenv("PROFILE", "full")  # in quick the hash of a sample would call every row stale
    try:
        assert table_problems(STUDIES, settings.ROOT / "results" / "studies") == []
    except SourceError:
        pytest.skip("the real data, which the rows were made on, is not here")
