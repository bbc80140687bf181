"""make verify: what counts as the same number, what is run again, and how it goes on after a stop."""

import itertools
import json
import os
import signal
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import settings, tasks
from helpers.tasks.studies import Study, read_table, row_key
from tools import sample, verify
from tools.verify import Check, Unit, compare, interval, numbers, row_tolerances

HERE = {"processor": "this one", "threads": 2, "device": "cpu", "commit": "c", "revision": 1}


def unit(committed, *, digits=10, tolerances=None, sampled=True):
    return Unit("w", "k", lambda: {}, committed, digits, tolerances or {}, 1.0, sampled)


def verdicts(checks):
    return {check.what: check.verdict for check in checks}


# what counts as the same number


def test_where_it_was_made_the_last_digit_decides():
    committed = {"f1": 0.9571984436, "accuracy": 0.5}
    same = {"f1": 0.957198443579766, "accuracy": 0.5}
    assert verdicts(compare(unit(committed), same)) == {"f1": "equal", "accuracy": "equal"}
    checks = compare(unit(committed), same | {"f1": 0.9571984437})
    assert checks[1] == Check("f1", "w", 0.9571984436, 0.9571984437, "differs", 0.0)
    assert not verify.stands(checks)


def test_elsewhere_a_number_may_be_off_by_its_interval_and_no_more():
    held = unit({"f1": 0.90, "accuracy": 0.5}, tolerances={"f1": 0.02})
    near = compare(held, {"f1": 0.915, "accuracy": 0.5})
    assert verdicts(near) == {"f1": "within", "accuracy": "equal"}
    assert near[1].tolerance == 0.02
    assert verdicts(compare(held, {"f1": 0.925, "accuracy": 0.501})) == {"f1": "differs", "accuracy": "differs"}


def test_a_number_that_is_gone_or_was_never_committed_does_not_pass():
    checks = compare(unit({"f1": 1.0}, tolerances={"f1": 9.0}), {"recall": 1.0})
    assert verdicts(checks) == {"f1": "missing", "recall": "new"}
    assert not verify.stands(checks)


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(-1e6, 1e6)), st.booleans())
def test_the_same_numbers_always_pass_and_another_sign_never_does(metrics, exact):
    held = unit(metrics, digits=17, tolerances={} if exact else {"other": 1.0})
    assert verify.stands(compare(held, metrics))
    turned = {name: -value for name, value in metrics.items() if value}
    changed = replace(held, committed={name: metrics[name] for name in turned})
    assert not turned or not verify.stands(compare(changed, turned))


def test_chance_explains_some_numbers_outside_and_none_far_outside():
    names = [f"m{number}" for number in range(200)]
    held = unit(dict.fromkeys(names, 1.0), tolerances=dict.fromkeys(names, 0.1))
    allowed = verify.let_pass(compare(held, dict.fromkeys(names, 1.0)))
    assert 4 <= allowed <= 12  # two are expected

    def outside(count, off):
        return compare(held, dict.fromkeys(names, 1.0) | dict.fromkeys(names[:count], 1.0 + off))

    assert verify.stands(outside(allowed, 0.15))
    assert not verify.stands(outside(allowed + 1, 0.15))
    assert not verify.stands(outside(1, 0.25))
    exact = unit({"f1": 1.0}, sampled=False)
    assert not verify.stands([*outside(0, 0.0), *compare(exact, {"f1": 1.1})])


def test_times_hashes_and_gaps_are_not_compared():
    row = {"f1": 1, "seconds": 3.0, "train_seconds": 2.0, "valid_f1": float("nan"), "key": "ab", "data_hash": "cd"}
    assert numbers(row | HERE) == {"f1": 1.0}


def test_a_row_is_held_to_the_interval_over_its_seeds_else_to_that_of_its_table_or_corpus():
    table = pd.DataFrame(
        {"model": ["a", "a", "a", "b"], "split_seed": [1, 2, 3, 1], "key": list("wxyz")}
        | {"f1": [0.8, 0.9, 1.0, 0.1], "loss": [float("nan")] * 4, "parameters": [5, 5, 5, 6]}
    )
    other = pd.DataFrame({"name": ["n", "n"], "seed": [1, 2], "f1": [0.0, 9.0], "loss": [1.0, 3.0]})
    found = row_tolerances({"model": "a", "split_seed": 1}, table, [(other, ["name", "seed"])])
    over_three, over_two = 9.925 * 2**0.5, 63.66 * 2**0.5  # Student's t, 0.995, with 2 and 1 degrees of freedom
    expected = {"f1": over_three * 0.1, "loss": over_two * 2**0.5, "parameters": 0.0}
    assert found == pytest.approx(expected, rel=1e-3)
    assert row_tolerances({"model": "b", "split_seed": 1}, table)["f1"] == pytest.approx(over_three * 0.1, rel=1e-3)


def test_the_interval_holds_between_seeds_of_the_committed_tables():
    """Two seeds against the deviation of the others: 1% outside by design, whatever the metrics' distributions."""
    outside = compared = 0
    for path in sorted((settings.ROOT / "results" / "studies").glob("*.csv")):
        table = read_table(path)
        names = table.columns[: list(table.columns).index("data_hash")]
        metrics = [name for name in table.select_dtypes("number") if name not in {*names, "revision", "threads"}]
        metrics = [name for name in metrics if "seconds" not in name]
        for _, group in table.groupby([name for name in names if name not in verify.SEED_COLUMNS], dropna=False):
            for first, second in itertools.combinations(range(len(group)), 2) if len(group) > 3 else ():
                rest = group[metrics].drop(group.index[[first, second]])
                off = (group[metrics].iloc[first] - group[metrics].iloc[second]).abs()
                allowed = interval(len(rest)) * rest.std()
                compared += int(allowed.notna().sum())
                outside += int((off > allowed.clip(lower=1e-9)).sum())
    assert compared > 10_000
    assert 0.003 < outside / compared < 0.015


@pytest.mark.parametrize("other", [{"processor": "x"}, {"threads": 1}, {"device": "cuda:0"}, {"processor": None}])
def test_exact_means_processor_threads_device_and_versions_of_the_committed_numbers(monkeypatch, other):
    monkeypatch.setattr(settings, "processor", lambda: "this one")
    now = settings.versions()
    assert verify.repeats_exactly(2, HERE, [now])
    assert verify.repeats_exactly(2, HERE, [])
    assert not verify.repeats_exactly(2, HERE, [now | {"torch": "0.1"}])
    assert not verify.repeats_exactly(2, HERE | other, [now])


# what is run again


class Toy:
    """A study of four rows with one metric, and what was run of it."""

    def __init__(self, name="toy-models"):
        self.ran, self.shift, self.stop_at, self.seen = [], 0.0, None, {}
        self.specs = [{"model": "m", "config": "c", "seed": seed} for seed in (1, 2, 3, 4)]
        self.study = Study(name, lambda: self.specs, self.run, lambda: "d", 1)

    def run(self, spec, tracked):
        if spec["seed"] == self.stop_at:
            raise KeyboardInterrupt
        wanted = ("PROFILE", "THREADS", "DEVICE", "RESULTS_DIR", "ARTIFACTS_DIR")
        self.seen = {name: os.environ[name] for name in wanted}
        self.ran.append(spec["seed"])
        return {"f1": spec["seed"] / 7 + self.shift, "train_seconds": time.perf_counter()}

    def commit(self, **origin):
        made = {"data_hash": "d"} | HERE | origin
        rows = [s | made | {"key": row_key(s), "f1": s["seed"] / 7, "seconds": 90.0} for s in self.specs]
        path = verify.COMMITTED / "studies" / f"{self.study.name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.10g")

    @property
    def studies(self):
        return {self.study.name: self.study}


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name, folder in (("COMMITTED", "results"), ("NOTEBOOKS", "notebooks"), ("BUILD", "build")):
        monkeypatch.setattr(verify, name, tmp_path / folder)
    monkeypatch.setattr(settings, "processor", lambda: "this one")
    monkeypatch.setattr(verify.tracking, "run", lambda *args, **kwargs: nullcontext(SimpleNamespace()))
    return tmp_path


@pytest.fixture
def toy(place):
    made = Toy()
    made.commit()
    return made


def listing(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_two_rows_of_a_study_run_again_away_from_everything_committed(place, toy, capsys):
    before, environ = listing(place / "results"), dict(os.environ)
    checks, path = verify.verify(toy.studies)
    assert [check.verdict for check in checks] == ["equal", "equal"]
    assert len(set(toy.ran)) == 2
    assert {name: toy.seen[name] for name in ("PROFILE", "THREADS", "DEVICE")} == {
        "PROFILE": "full", "THREADS": "2", "DEVICE": "cpu",
    }  # fmt: skip
    assert all(toy.seen[name].startswith(str(place / "build")) for name in ("RESULTS_DIR", "ARTIFACTS_DIR"))
    assert dict(os.environ) == environ
    assert path == place / "results" / "verify.json"
    assert listing(place / "results").items() - {("verify.json", path.read_bytes())} == before.items()
    assert "[1/2] toy-models model=m seed=" in capsys.readouterr().out


def test_another_number_is_found_and_named(toy):
    toy.shift = 1e-9
    checks, path = verify.verify(toy.studies)
    assert [check.verdict for check in checks] == ["differs", "differs"]
    content = json.loads(path.read_text())
    assert (content["verdicts"]["differs"], content["stands"]) == (2, False)
    first = content["checks"][0]
    assert (first["what"], first["tolerance"]) == ("f1", 0.0)
    assert first["where"] in verify.verdict_table(checks)


@pytest.mark.parametrize("origin", [{"threads": 1, "processor": "another"}, {"processor": "another"}])
def test_rows_made_elsewhere_run_with_their_threads_and_are_held_to_the_interval(toy, origin):
    toy.commit(**origin)
    toy.shift = 0.01
    checks, _ = verify.verify(toy.studies)
    assert [check.verdict for check in checks] == ["within", "within"]
    assert toy.seen["THREADS"] == str(origin.get("threads", 2))


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
        verify.verify(toy.studies, rows=3)
    assert not (place / "results" / "verify.json").exists()
    assert "the same command goes on from here" in capsys.readouterr().out
    toy.stop_at = None
    checks, _ = verify.verify(toy.studies, rows=3)
    assert toy.ran == seeds
    assert [check.verdict for check in checks] == ["equal"] * 3
    verify.verify(toy.studies, rows=3, fresh=True)
    assert toy.ran == [*seeds, *seeds]


@pytest.mark.parametrize("change", ["data", "revision", "code", "threads", "processor"])
def test_what_other_code_data_threads_or_processors_gave_is_not_used(toy, change, monkeypatch):
    verify.verify(toy.studies)
    if change == "processor":
        monkeypatch.setattr(settings, "processor", lambda: "another")
    if change == "data":
        toy.study = replace(toy.study, data_hash=lambda: "d2")
    if change == "revision":
        toy.study = replace(toy.study, revision=2)
    if change == "code":
        monkeypatch.setattr(verify, "_code", lambda: "other")
    verify.verify(toy.studies, threads=1 if change == "threads" else None)
    assert len(toy.ran) == 4


def test_a_row_that_fails_is_a_finding_and_is_tried_again(toy):
    run = toy.study.run

    def boom(spec, tracked):
        raise RuntimeError("boom")

    toy.study = replace(toy.study, run=boom)
    checks, _ = verify.verify(toy.studies)
    assert [(check.verdict, check.now) for check in checks] == [("failed", "RuntimeError: boom")] * 2
    assert "boom" in verify.verdict_table(checks)
    toy.study = replace(toy.study, run=run)
    assert verify.stands(verify.verify(toy.studies)[0])


def test_tables_without_study_and_studies_without_table_are_named(toy):
    orphan, lacking = Toy("orphan-models"), Toy("lacking-models")
    orphan.commit()
    write_results_of("09_gone", {})
    checks, _ = verify.verify(toy.studies | lacking.studies)
    missing = {check.where: check.what for check in checks if check.verdict == "missing"}
    assert set(missing) == {"orphan-models", "lacking-models", "09_gone"}
    assert "make study NAME=lacking-models" in missing["lacking-models"]


def test_only_looks_at_what_is_named_and_leaves_the_committed_report(place, toy):
    other = Toy("other-models")
    other.commit()
    _, path = verify.verify(toy.studies | other.studies, only=["other-models"])
    assert (toy.ran, len(other.ran)) == ([], 2)
    assert path == place / "build" / "verify.json"
    with pytest.raises(ValueError, match=r"nothing named nonsense: the notebooks and studies are .*toy-models"):
        verify.verify(toy.studies, only=["nonsense"])


def test_a_damaged_state_says_how_to_begin_again(place, toy):
    (place / "build").mkdir(parents=True)
    for content in ("{", "[]", '{"k": 0}', '{"k": {}}'):
        (place / "build" / "state.json").write_text(content)
        with pytest.raises(ValueError, match=r"state\.json cannot be read .*--fresh"):
            verify.verify(toy.studies)
    assert verify.verify(toy.studies, fresh=True)[0]


def test_a_second_run_on_the_same_folder_is_refused(toy):
    inside = []

    def second(spec, tracked):
        with pytest.raises(ValueError, match="another verify is at work"):
            verify.verify(toy.studies, fresh=True)
        inside.append(spec)
        return {"f1": spec["seed"] / 7}

    toy.study = replace(toy.study, run=second)
    assert verify.stands(verify.verify(toy.studies)[0])
    assert len(inside) == 2


# notebooks


SOURCE = """import json, os, pathlib
folder = pathlib.Path(os.environ["RESULTS_DIR"])
info = {name: os.environ[name] for name in ("PROFILE", "THREADS", "ARTIFACTS_DIR", "MLFLOW_TRACKING_URI")}
info["inputs"] = [file.name for file in folder.glob("predictions/*/*")]
content = {"schema": 1, "metrics": {"toy.model.f1": 0.1 + 0.2}, "info": info}
(folder / "08_toy.json").write_text(json.dumps(content))
print(info["PROFILE"])"""


def write_results_of(name, metrics, **info):
    verify.COMMITTED.mkdir(parents=True, exist_ok=True)
    content = {"schema": 1, "metrics": metrics, "info": HERE | info}
    (verify.COMMITTED / f"{name}.json").write_text(json.dumps(content))


def write_notebook(source=SOURCE):
    verify.NOTEBOOKS.mkdir(exist_ok=True)
    path = verify.NOTEBOOKS / "08_toy.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    return path


@pytest.fixture
def notebook(place):
    predictions = place / "results" / "predictions" / "toy-models"
    predictions.mkdir(parents=True)
    (predictions / "m-1.npz").write_bytes(b"")
    write_results_of("08_toy", {"toy.model.f1": 0.1 + 0.2}, threads=3)
    return write_notebook()


def test_a_notebook_is_executed_in_profile_full_and_its_numbers_compared(place, notebook):
    before, build = notebook.read_bytes(), place / "build"
    checks, report = verify.verify({})
    assert [(c.what, c.where, c.verdict) for c in checks] == [("toy.model.f1", "08_toy", "equal")]
    info = json.loads((build / "results" / "08_toy.json").read_text())["info"]
    assert (info["PROFILE"], info["THREADS"], info["inputs"]) == ("full", "3", ["m-1.npz"])
    assert all(str(build) in info[name] for name in ("ARTIFACTS_DIR", "MLFLOW_TRACKING_URI"))
    assert (build / "notebooks" / "08_toy.html").is_file()
    assert notebook.read_bytes() == before
    assert list(json.loads(report.read_text())["info"]["notebook_seconds"]) == ["08_toy"]


@pytest.mark.parametrize("report", ["", "{", '{"info": {"notebook_seconds": {"08_toy": 42}}}'])
def test_the_estimate_is_the_time_that_the_last_report_gives(notebook, report):
    if report:
        (verify.COMMITTED / "verify.json").write_text(report)
    (found,), _ = verify.plan({}, only=(), rows=1, threads=None)
    assert found.seconds == (42 if "42" in report else verify.NOTEBOOK_SECONDS)


@pytest.mark.parametrize(
    ("name", "metric", "off", "verdict"),
    [
        ("08_toy", "toy.model.f1", 1e-8, "within"),
        ("08_toy", "toy.model.f1", 1e-3, "differs"),
        ("02_preprocessing", "meli.fasttext.centroid_valid_bacc", 1e-3, "within"),
        ("02_preprocessing", "meli.dictionary.size", 1e-3, "differs"),
        ("07_tsne", "sick.tsne.overlap.std", 0.1, "within"),
        ("07_tsne", "sick.tsne.overlap.mean", 0.2, "differs"),
    ],
)
def test_elsewhere_a_notebook_may_be_off_by_rounding_and_where_it_trains_by_more(notebook, name, metric, off, verdict):
    metrics = {"sick.tsne.overlap.mean": 0.5, metric: 0.5 if metric[-3:] != "std" else 0.01}
    made = verify.notebook_unit(notebook.rename(notebook.with_stem(name)), {"metrics": metrics, "info": {}}, None)
    checks = compare(made, metrics | {metric: metrics[metric] + off})
    assert verdicts(checks)[metric] == verdict
    assert verify.stands(checks) == (verdict == "within")


@pytest.mark.parametrize("change", ["nothing", "prose", "cell", "inputs"])
def test_a_notebook_runs_again_only_if_its_code_or_what_it_reads_has_changed(notebook, change, monkeypatch):
    ran = []
    monkeypatch.setattr(verify, "run_notebook", lambda path, threads: ran.append(path) or {"toy.model.f1": 0.1 + 0.2})
    verify.verify({})
    if change == "cell":
        write_notebook(SOURCE + "\nprint(2)")
    elif change == "inputs":
        (verify.COMMITTED / "predictions" / "toy-models" / "m-1.npz").write_bytes(b"x")
    elif change == "prose":
        content = nbformat.read(notebook, as_version=4)
        content.cells.append(nbformat.v4.new_markdown_cell("text"))
        nbformat.write(content, notebook)
    verify.verify({})
    assert len(ran) == (2 if change in ("cell", "inputs") else 1)


@pytest.mark.parametrize("says", ["error: 08_toy.ipynb: cell 1 (1 / 0): ZeroDivisionError", None])
def test_a_notebook_that_fails_or_writes_nothing_is_a_finding_whatever_an_earlier_run_wrote(
    place, notebook, says, monkeypatch
):
    (place / "build" / "results").mkdir(parents=True)
    (place / "build" / "results" / "08_toy.json").write_text((verify.COMMITTED / "08_toy.json").read_text())
    monkeypatch.setattr(verify, "EXECUTE", (sys.executable, "-c", f"import sys; sys.exit({says!r})"))
    (check,) = verify.verify({})[0]
    assert check.verdict == "failed"
    assert check.now == f"RuntimeError: {says}" or (says is None and "FileNotFoundError" in check.now)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_a_notebook_and_leaves_no_report(place, notebook, tmp_path, monkeypatch, capsys):
    mark = tmp_path / "mark"
    child = f"import os, pathlib, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(99)"
    monkeypatch.setattr(verify, "EXECUTE", (sys.executable, "-c", child))

    def interrupt():
        until = time.monotonic() + 120
        while not mark.exists() and time.monotonic() < until:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        verify.verify({})
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    assert not (place / "results" / "verify.json").exists()
    assert "the same command goes on from here" in capsys.readouterr().out


# command line


def test_the_command_prints_the_table_and_ends_in_1_where_a_number_differs(toy, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "STUDIES", toy.studies)
    assert verify.main(["--rows", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 equal; report: ")
    toy.shift = 0.5
    assert verify.main(["--fresh", "--only", "toy-models"]) == 1
    out = capsys.readouterr().out
    assert "2 differs; report: " in out
    assert "DIFFERS  toy-models model=m seed=" in out
    assert verify.main(["--only", "none"]) == 1
    assert capsys.readouterr().err.startswith("error: nothing named none")


@pytest.mark.parametrize("arguments", [["--rows", "0"], ["--threads", "x"], ["--only"]])
def test_wrong_usage_ends_in_status_2(arguments):
    with pytest.raises(SystemExit) as ended:
        verify.main(arguments)
    assert ended.value.code == 2


def test_interrupted_the_command_ends_in_130(monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "verify", stop)
    assert verify.main([]) == 130


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "less than a minute"), (200, "about 3 min"), (7900, "about 2 h 12 min")]
)
def test_estimates_in_words(seconds, words):
    assert verify.duration(seconds) == words
