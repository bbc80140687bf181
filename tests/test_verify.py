"""make verify: what counts as the same number, what is run again, and how it goes on after a stop."""

import json
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import settings, tasks
from helpers.__main__ import main
from helpers.tasks import verify
from helpers.tasks.studies import Study, row_key
from helpers.tasks.verify import (
    MACHINE,
    NOTEBOOK_SECONDS,
    Check,
    Place,
    compare,
    duration,
    environment,
    notebook_deviations,
    notebook_unit,
    numbers,
    repeats_exactly,
    row_deviations,
    sample,
    study_threads,
    verify,
)

LIKE_TABLES = {"digits": 10, "deviations": {"f1": 0.02}}


def verdicts(checks):
    return {check.what: check.verdict for check in checks}


# what counts as the same number


def test_on_the_same_machine_the_last_digit_decides():
    committed = {"f1": 0.9571984436, "accuracy": 0.5}
    same = {"f1": 0.957198443579766, "accuracy": 0.5}
    assert verdicts(compare("w", committed, same, exact=True, **LIKE_TABLES)) == {"f1": "equal", "accuracy": "equal"}
    checks = compare("w", committed, same | {"f1": 0.9571984437}, exact=True, **LIKE_TABLES)
    assert verdicts(checks) == {"f1": "differs", "accuracy": "equal"}
    assert checks[1] == Check("f1", "w", 0.9571984436, 0.9571984437, "differs", 0.0)
    assert [check.passes for check in checks] == [True, False]


def test_elsewhere_a_number_may_be_off_by_its_recorded_deviation_and_no_more():
    committed = {"f1": 0.90, "accuracy": 0.5}
    near = compare("w", committed, {"f1": 0.915, "accuracy": 0.5}, exact=False, **LIKE_TABLES)
    assert verdicts(near) == {"f1": "within", "accuracy": "equal"}
    assert near[1].tolerance == 0.02
    far = compare("w", committed, {"f1": 0.925, "accuracy": 0.501}, exact=False, **LIKE_TABLES)
    assert verdicts(far) == {"f1": "differs", "accuracy": "differs"}


def test_a_number_that_is_gone_or_was_never_committed_does_not_pass():
    checks = compare("w", {"f1": 1.0}, {"recall": 1.0}, exact=False, **LIKE_TABLES)
    assert verdicts(checks) == {"f1": "missing", "recall": "new"}
    assert not any(check.passes for check in checks)


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(-1e6, 1e6)), st.booleans())
def test_the_same_numbers_always_pass_and_another_sign_never_does(metrics, exact):
    options = {"digits": 17, "exact": exact, "deviations": {}}
    assert all(check.verdict == "equal" for check in compare("w", metrics, metrics, **options))
    turned = {name: -value for name, value in metrics.items() if value}
    assert not any(check.passes for check in compare("w", {n: metrics[n] for n in turned}, turned, **options))


def test_times_hashes_and_gaps_are_not_compared():
    row = {"f1": 1, "seconds": 3.0, "train_seconds": 2.0, "valid_f1": float("nan"), "key": "ab", "code_hash": "cd"}
    assert numbers(row) == {"f1": 1.0}


def test_a_notebooks_metric_is_held_to_its_own_deviation_else_to_the_largest_of_that_name():
    metrics = {"sms.a.f1.mean": 0.9, "sms.a.f1.std": 0.01, "sms.a.f1.low": 0.8, "sms.b.f1.std": 0.03, "sms.c.f1": 0.7}
    found = notebook_deviations(metrics | {"sms.all.rows": 5})
    assert found == {
        "sms.a.f1.mean": 0.01,
        "sms.a.f1.std": 0.01,
        "sms.a.f1.low": 0.01,
        "sms.b.f1.std": 0.03,
        "sms.c.f1": 0.03,
        "sms.all.rows": 0.0,
    }


def test_a_row_is_held_to_the_deviation_over_its_seeds_else_to_that_of_its_table_or_corpus():
    table = pd.DataFrame(
        {"model": ["a", "a", "b"], "size": [1, 1, 1], "split_seed": [1, 2, 1], "key": ["x", "y", "z"]}
        | {"f1": [0.8, 0.9, 0.1], "loss": [float("nan")] * 3}
    )
    deviation = pd.Series([0.8, 0.9]).std()
    other = pd.DataFrame({"name": ["n", "n"], "seed": [1, 2], "f1": [0.0, 9.0], "loss": [1.0, 3.0]})
    found = row_deviations({"model": "a", "size": 1, "split_seed": 1}, table, [(other, ["name", "seed"])])
    assert found == {"f1": pytest.approx(deviation), "loss": pytest.approx(2**0.5)}
    alone = row_deviations({"model": "b", "size": 1, "split_seed": 1}, table)
    assert alone == {"f1": pytest.approx(deviation)}


def test_exact_means_machine_threads_and_versions_of_the_committed_numbers(monkeypatch):
    monkeypatch.setattr(verify, "machine", lambda: MACHINE)
    now = settings.versions()
    assert repeats_exactly(2, 2, [now])
    assert repeats_exactly(2, 2, [])
    assert not repeats_exactly(1, 2, [now])
    assert not repeats_exactly(2, 2, [now | {"torch": "0.1"}])
    monkeypatch.setattr(verify, "machine", lambda: "another")
    assert not repeats_exactly(2, 2, [now])


def test_threads_of_the_studies():
    assert [study_threads(name) for name in ("meli-models", "sms-models", "sick-cv")] == [1, 2, 1]


# what is run again


class Toy:
    """A study of four rows with one metric, and what was run of it."""

    def __init__(self, name="toy-models"):
        self.ran, self.shift, self.stop_at, self.seen = [], 0.0, None, {}
        self.specs = [{"model": "m", "config": "c", "seed": seed} for seed in (1, 2, 3, 4)]
        self.study = Study(name, lambda: self.specs, self.run, lambda: "d", (settings.ROOT / "helpers/settings.py",))

    def run(self, spec, tracked):
        if spec["seed"] == self.stop_at:
            raise KeyboardInterrupt
        self.seen = {name: os.environ[name] for name in ("PROFILE", "THREADS", "RESULTS_DIR", "ARTIFACTS_DIR")}
        self.ran.append(spec["seed"])
        return {"f1": spec["seed"] / 7 + self.shift, "train_seconds": time.perf_counter()}

    def commit(self, place):
        rows = [
            spec | {"data_hash": "d", "code_hash": "old", "key": row_key(spec), "f1": spec["seed"] / 7, "seconds": 90.0}
            for spec in self.specs
        ]
        path = place.committed / "studies" / f"{self.study.name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.10g")

    @property
    def studies(self):
        return {self.study.name: self.study}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "machine", lambda: MACHINE)
    monkeypatch.setattr(verify.tracking, "run", lambda *args, **kwargs: nullcontext(SimpleNamespace()))
    return Place(tmp_path / "results", tmp_path / "notebooks", tmp_path / "build")


@pytest.fixture
def toy(place):
    made = Toy()
    made.commit(place)
    return made


def listing(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_two_rows_of_a_study_run_again_away_from_everything_committed(place, toy, capsys):
    before, environ = listing(place.committed), dict(os.environ)
    checks, path = verify(toy.studies, place)
    assert [check.verdict for check in checks] == ["equal", "equal"]
    assert len(set(toy.ran)) == 2
    assert toy.seen["PROFILE"] == "full"
    assert toy.seen["THREADS"] == "2"
    assert toy.seen["RESULTS_DIR"].startswith(str(place.build))
    assert toy.seen["ARTIFACTS_DIR"].startswith(str(place.build))
    assert dict(os.environ) == environ
    assert path == place.committed / "verify.json"
    assert listing(place.committed).items() - {("verify.json", path.read_bytes())} == before.items()
    assert "[1/2] toy-models model=m seed=" in capsys.readouterr().out


def test_another_number_is_found_and_named(place, toy):
    toy.shift = 1e-9
    checks, path = verify(toy.studies, place)
    assert [check.verdict for check in checks] == ["differs", "differs"]
    content = json.loads(path.read_text())
    assert content["verdicts"]["differs"] == 2
    first = content["checks"][0]
    assert set(first) == {"what", "where", "committed", "now", "verdict", "tolerance"}
    assert (first["what"], first["tolerance"]) == ("f1", 0.0)
    assert first["where"] in verify.verdict_table(checks)


def test_with_other_threads_or_on_another_machine_the_deviation_is_allowed(place, toy, monkeypatch):
    toy.shift = 0.01
    checks, _ = verify(toy.studies, place, threads=1)
    assert [check.verdict for check in checks] == ["within", "within"]
    assert toy.seen["THREADS"] == "1"
    monkeypatch.setattr(verify, "machine", lambda: "another")
    checks, _ = verify(toy.studies, place)
    assert [check.verdict for check in checks] == ["within", "within"]


def test_the_sample_is_seeded_and_stays_when_the_table_grows():
    keys = [f"k{number}" for number in range(50)]
    assert sample(keys, 3) == sample(keys, 3)
    assert len(sample(keys, 3)) == 3
    assert set(sample(keys, 3)) <= set(sample(keys, 4))
    assert sample(keys, 99) == keys
    kept = sample(keys, 3)
    assert sample([key for key in keys if key in kept or key < "k3"], 3) == kept


def test_it_goes_on_where_it_was_stopped(place, toy, capsys):
    drawn = sample([row_key(spec) for spec in toy.specs], 3)
    seeds = [spec["seed"] for spec in toy.specs if row_key(spec) in drawn]
    toy.stop_at = seeds[1]
    with pytest.raises(KeyboardInterrupt):
        verify(toy.studies, place, rows=3)
    assert not (place.committed / "verify.json").exists()
    assert "the same command goes on from here" in capsys.readouterr().out
    toy.stop_at = None
    checks, _ = verify(toy.studies, place, rows=3)
    assert toy.ran == seeds
    assert [check.verdict for check in checks] == ["equal"] * 3
    verify(toy.studies, place, rows=3, fresh=True)
    assert toy.ran == [*seeds, *seeds]


@pytest.mark.parametrize("change", ["data", "code", "threads", "machine"])
def test_what_other_code_data_threads_or_machines_gave_is_not_used(place, toy, change, monkeypatch):
    verify(toy.studies, place)
    options = {"threads": 1} if change == "threads" else {}
    if change == "machine":
        monkeypatch.setattr(verify, "machine", lambda: "another")
    if change == "data":
        toy.study = replace(toy.study, data_hash=lambda: "d2")
    if change == "code":
        toy.study = replace(toy.study, code=(settings.ROOT / "helpers" / "__main__.py",))
    verify(toy.studies, place, **options)
    assert len(toy.ran) == 4


def test_a_row_that_fails_is_a_finding_and_is_tried_again(place, toy):
    run = toy.study.run

    def boom(spec, tracked):
        raise RuntimeError("boom")

    toy.study = replace(toy.study, run=boom)
    checks, _ = verify(toy.studies, place)
    assert [(check.verdict, check.now) for check in checks] == [("failed", "RuntimeError: boom")] * 2
    assert "boom" in verify.verdict_table(checks)
    toy.study = replace(toy.study, run=run)
    assert all(check.passes for check in verify(toy.studies, place)[0])


def test_tables_without_study_and_studies_without_table_are_named(place, toy):
    orphan, lacking = Toy("orphan-models"), Toy("lacking-models")
    orphan.commit(place)
    write_results_of(place, "09_gone", {})
    checks, _ = verify(toy.studies | lacking.studies, place)
    missing = {check.where: check.what for check in checks if check.verdict == "missing"}
    assert set(missing) == {"orphan-models", "lacking-models", "09_gone"}
    assert "make study NAME=lacking-models" in missing["lacking-models"]


def test_only_looks_at_what_is_named_and_leaves_the_committed_report(place, toy):
    other = Toy("other-models")
    other.commit(place)
    _, path = verify(toy.studies | other.studies, place, only=["other-models"])
    assert (toy.ran, len(other.ran)) == ([], 2)
    assert path == place.build / "verify.json"
    with pytest.raises(ValueError, match=r"nothing named nonsense: the notebooks and studies are .*toy-models"):
        verify(toy.studies, place, only=["nonsense"])


def test_a_damaged_state_says_how_to_begin_again(place, toy):
    place.build.mkdir(parents=True)
    for content in ("{", "[]", '{"schema": 0}', '{"schema": 1, "done": {"k": {}}}'):
        (place.build / "state.json").write_text(content)
        with pytest.raises(ValueError, match=r"state\.json cannot be read .*--fresh"):
            verify(toy.studies, place)
    assert verify(toy.studies, place, fresh=True)[0]


def test_a_second_run_on_the_same_folder_is_refused(place, toy):
    inside = []

    def second(spec, tracked):
        with pytest.raises(ValueError, match="another verify is at work"):
            verify(toy.studies, place, fresh=True)
        inside.append(spec)
        return {"f1": spec["seed"] / 7}

    toy.study = replace(toy.study, run=second)
    assert all(check.passes for check in verify(toy.studies, place)[0])
    assert len(inside) == 2


def test_the_environment_is_put_back_also_after_an_error(monkeypatch):
    monkeypatch.setenv("THREADS", "3")
    monkeypatch.delenv("VERIFY_TOY", raising=False)
    inside = {}

    def fail():
        inside.update(os.environ)
        raise KeyError

    with pytest.raises(KeyError), environment({"THREADS": "1", "VERIFY_TOY": "x"}):
        fail()
    assert (inside["THREADS"], inside["VERIFY_TOY"]) == ("1", "x")
    assert os.environ["THREADS"] == "3"
    assert "VERIFY_TOY" not in os.environ


# notebooks


SOURCE = """import json, os, pathlib
folder = pathlib.Path(os.environ["RESULTS_DIR"])
info = {name: os.environ[name] for name in ("PROFILE", "THREADS", "ARTIFACTS_DIR", "MLFLOW_TRACKING_URI")}
info["inputs"] = [file.name for file in folder.glob("predictions/*/*")]
content = {"schema": 1, "metrics": {"toy.model.f1": 0.1 + 0.2}, "info": info}
(folder / "08_toy.json").write_text(json.dumps(content))
print(info["PROFILE"])"""


def write_results_of(place, name, metrics, **info):
    place.committed.mkdir(parents=True, exist_ok=True)
    content = {"schema": 1, "metrics": metrics, "info": {"threads": 2} | info}
    (place.committed / f"{name}.json").write_text(json.dumps(content))


def write_notebook(place, source=SOURCE):
    place.notebooks.mkdir(exist_ok=True)
    path = place.notebooks / "08_toy.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    return path


@pytest.fixture
def notebook(place):
    predictions = place.committed / "predictions" / "toy-models"
    predictions.mkdir(parents=True)
    (predictions / "m-1.npz").write_bytes(b"")
    write_results_of(place, "08_toy", {"toy.model.f1": 0.1 + 0.2}, threads=3)
    return write_notebook(place)


def test_a_notebook_is_executed_in_profile_full_and_its_numbers_compared(place, notebook):
    before = notebook.read_bytes()
    checks, _ = verify({}, place)
    assert [(c.what, c.where, c.verdict) for c in checks] == [("toy.model.f1", "08_toy", "equal")]
    info = json.loads((place.build / "results" / "08_toy.json").read_text())["info"]
    assert (info["PROFILE"], info["THREADS"], info["inputs"]) == ("full", "3", ["m-1.npz"])
    assert all(str(place.build) in info[name] for name in ("ARTIFACTS_DIR", "MLFLOW_TRACKING_URI"))
    assert (place.build / "notebooks" / "08_toy.html").is_file()
    assert notebook.read_bytes() == before


def test_the_next_estimate_is_the_time_that_the_last_report_gives(place, notebook, monkeypatch):
    assert notebook_unit(notebook, place, None).seconds == NOTEBOOK_SECONDS
    with counted(monkeypatch, {"toy.model.f1": 0.1 + 0.2}):
        verify({}, place)
    report = place.committed / "verify.json"
    content = json.loads(verify.read_text())
    assert content["info"]["notebook_seconds"] == {"08_toy": 0}
    content["info"]["notebook_seconds"]["08_toy"] = 42
    verify.write_text(json.dumps(content))
    assert notebook_unit(notebook, place, None).seconds == 42
    verify.write_text("{")
    assert notebook_unit(notebook, place, None).seconds == NOTEBOOK_SECONDS


@contextmanager
def counted(monkeypatch, gives):
    ran = []
    monkeypatch.setattr(verify, "run_notebook", lambda path, *rest: ran.append(path.stem) or gives)
    yield ran


@pytest.mark.parametrize("change", ["nothing", "prose", "cell", "inputs"])
def test_a_notebook_runs_again_only_if_its_code_or_what_it_reads_has_changed(place, notebook, change, monkeypatch):
    with counted(monkeypatch, {"toy.model.f1": 0.1 + 0.2}) as ran:
        verify({}, place)
        if change == "cell":
            write_notebook(place, SOURCE + "\nprint(2)")
        elif change == "inputs":
            (place.committed / "predictions" / "toy-models" / "m-1.npz").write_bytes(b"x")
        elif change == "prose":
            told = nbformat.read(notebook, as_version=4)
            told.cells.append(nbformat.v4.new_markdown_cell("text"))
            nbformat.write(told, notebook)
        verify({}, place)
    assert len(ran) == (2 if change in ("cell", "inputs") else 1)


def test_a_notebook_that_fails_is_a_finding_with_its_cell_whatever_an_earlier_run_wrote(place, notebook, monkeypatch):
    said = "error: 08_toy.ipynb: cell 1 (1 / 0): ZeroDivisionError"
    monkeypatch.setattr(verify, "EXECUTE", (sys.executable, "-c", f"import sys; sys.exit({said!r})"))
    checks, _ = verify({}, place)
    assert [(check.verdict, check.now) for check in checks] == [("failed", f"RuntimeError: {said}")]


def test_a_notebook_that_writes_no_results_is_a_finding_whatever_an_earlier_run_wrote(place, notebook, monkeypatch):
    (place.build / "results").mkdir(parents=True)
    (place.build / "results" / "08_toy.json").write_text((place.committed / "08_toy.json").read_text())
    monkeypatch.setattr(verify, "EXECUTE", (sys.executable, "-c", "pass"))
    checks, _ = verify({}, place)
    assert [check.verdict for check in checks] == ["failed"]


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_a_notebook_and_leaves_no_report(place, notebook, tmp_path, monkeypatch, capsys):
    mark = tmp_path / "mark"
    child = f"import os, pathlib, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(99)"
    monkeypatch.setattr(verify, "EXECUTE", (sys.executable, "-c", child))
    threading.Thread(target=lambda: (wait_for(mark.exists), os.kill(os.getpid(), signal.SIGINT))).start()
    with pytest.raises(KeyboardInterrupt):
        verify({}, place)
    assert not running(int(mark.read_text()))
    assert not (place.committed / "verify.json").exists()
    assert "the same command goes on from here" in capsys.readouterr().out


def wait_for(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# command line


def test_the_command_prints_the_table_and_ends_in_1_where_a_number_differs(place, toy, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "STUDIES", toy.studies)
    monkeypatch.setattr("helpers.tasks.verify.Place", lambda: place)
    assert main(["verify", "--rows", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 equal; report: ")
    toy.shift = 0.5
    assert main(["verify", "--fresh", "--only", "toy-models"]) == 1
    out = capsys.readouterr().out
    assert "2 differs; report: " in out
    assert "DIFFERS  toy-models model=m seed=" in out
    assert main(["verify", "--only", "none"]) == 1
    assert "nothing named none" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--rows", "0"], ["--threads", "x"], ["--only"]])
def test_wrong_usage_ends_in_status_2(arguments):
    with pytest.raises(SystemExit) as ended:
        main(["verify", *arguments])
    assert ended.value.code == 2


def test_interrupted_the_command_ends_in_130(monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("helpers.tasks.verify.verify", stop)
    assert main(["verify"]) == 130


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "less than a minute"), (200, "about 3 min"), (7900, "about 2 h 12 min")]
)
def test_estimates_in_words(seconds, words):
    assert duration(seconds) == words
