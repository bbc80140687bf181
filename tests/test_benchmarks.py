"""The harness of the benchmarks, with sides that do nothing; no timing is asserted."""

import itertools
import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as command
from benchmarks import device, gemm, harness, passing, references, startup
from benchmarks.harness import QUICK, Outcome, Row, Sizes, alternate, table, warning, windows
from helpers.data.batching import Ragged, RaggedTexts, make_loader
from helpers.data.splits import Split
from helpers.report.results import read_results

SIZES = Sizes(rounds=3, warm_up=1)


def test_sides_run_in_turn_after_warm_up_and_change_places_every_round(monkeypatch):
    monkeypatch.setattr(harness.gc, "collect", lambda: None)  # slow where many modules are loaded
    calls = []
    rounds = alternate({name: lambda name=name: calls.append(name) or 5 for name in ("a", "b")}, SIZES)
    assert calls == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert [len(side.measured) for side in rounds.values()] == [3, 3]


def test_the_rate_is_the_median_over_the_counted_rounds():
    assert harness.Rounds([(10, 1.0), (10, 100.0), (30, 1.0)]).rate == 10


@pytest.mark.parametrize(
    ("row", "factor", "reached"),
    [
        (Row("m.a", "", "1/s", 60, 10, 6), 6, True),
        (Row("m.a", "", "1/s", 59, 10, 6), 5.9, False),
        (Row("m.a", "", "s", 5, 10, 1, lower_is_better=True), 2, True),
        (Row("m.a", "", "s", 20, 10, 1, lower_is_better=True), 0.5, False),
        (Row("m.a", "", "ms", 4, goal=5, lower_is_better=True), None, True),
        (Row("m.a", "", "ms", 6, goal=5, lower_is_better=True), None, False),
        (Row("m.a", "", "1/s", 60, 10), 6, None),
    ],
)
def test_factor_and_goal(row, factor, reached):
    assert row.factor == (None if factor is None else pytest.approx(factor))
    assert row.reached is reached


def test_the_table_says_what_was_reached():
    lines = table(
        [
            Row("m.a", "training", "titles/s", 6_500, 1_000, 6),
            Row("m.b", "single", "ms", 7.25, goal=5, lower_is_better=True),
        ]
    ).splitlines()
    assert lines[2].split() == ["training", "titles/s", "1,000", "6,500", "6.5", ">=", "6", "yes"]
    assert lines[3].split() == ["single", "ms", "7.25", "<=", "5", "NO"]


def test_a_busy_machine_is_warned_of_and_an_idle_one_is_not():
    assert warning("before x", 0.01, 0.3) is None
    assert "NOT IDLE before x: other processes use 40% of the cores" in warning("before x", 0.4)
    assert "load 3.50" in warning("before x", 0.0, 3.5)


def test_the_watch_leaves_out_what_we_used_ourselves(monkeypatch):
    moments = iter([(0.0, 0.0, 0.0), (20.0, 15.0, 10.0)])  # there were, were used, were used by us
    monkeypatch.setattr(harness.Watch, "_now", staticmethod(lambda: next(moments)))
    assert harness.Watch().others() == pytest.approx(0.25)


def test_windows_have_the_widths_of_the_epoch_and_together_all_its_rows():
    lengths = np.repeat([1, 2, 3], [40, 80, 40])
    data = RaggedTexts(Ragged([np.ones(n, dtype=np.int64) for n in lengths]))
    loader = make_loader(data, 10, strategy="equal", generator=torch.Generator().manual_seed(0))
    drawn = list(itertools.islice(windows(loader, data.lengths, 4, seed=0), 5))
    batches = [list(window) for window in drawn]
    assert [sorted(batch.tokens.shape[1] for batch in window) for window in batches] == [[1, 2, 2, 3]] * 5
    rows = torch.cat([batch.rows for window in batches[:4] for batch in window])
    assert rows.sort().values.tolist() == list(range(160))


def outcome(value):
    return Outcome(
        [Row("fake.side", "fake", "1/s", value, 1.0, 2.0)], {"rounds": {"ours": [(1.0, 2.0)]}}, {}, ["noted"]
    )


@pytest.fixture
def fakes(monkeypatch, tmp_path):
    """Two comparisons that cost nothing; the sizes they were run with."""
    sizes = []
    runs = {name: lambda given, value=value: sizes.append(given) or outcome(value) for name, value in [("one", 3.0)]}
    runs["two"] = lambda given: Outcome([Row("fake.other", "other", "1/s", 5.0)], {})
    monkeypatch.setattr(command, "COMPARISONS", runs)
    monkeypatch.setattr(command, "others_now", lambda: 0.0)
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path))
    return sizes


def test_a_quick_run_writes_the_results_and_prints_the_table(fakes, capsys):
    command.main(["--quick"])
    assert fakes == [QUICK]
    assert os.environ["PROFILE"] == "quick"
    found = read_results("bench")
    assert found["metrics"] == {
        "fake.side.ours": 3.0, "fake.side.reference": 1.0, "fake.side.factor": 3.0, "fake.other.ours": 5.0,
    }  # fmt: skip
    entry = found["info"]["comparisons"]["one"]
    assert entry["details"] == {"rounds": {"ours": [[1.0, 2.0]]}}
    assert entry["threads"] == found["info"]["threads"] == torch.get_num_threads()
    assert {"idle", "others_before", "others_during", "load_before_the_run", "processor"} == set(entry["machine"])
    printed = capsys.readouterr().out
    assert "noted" in printed
    assert f"{torch.get_num_threads()} threads" in printed


def test_a_comparison_run_again_replaces_its_own_numbers_alone(fakes, monkeypatch):
    command.main(["--quick"])
    monkeypatch.setitem(command.COMPARISONS, "one", lambda given: outcome(4.0))
    command.main(["--quick", "--only", "one"])
    assert read_results("bench")["metrics"]["fake.side.ours"] == 4.0
    assert read_results("bench")["metrics"]["fake.other.ours"] == 5.0
    monkeypatch.delitem(command.COMPARISONS, "two")
    command.main(["--quick"])
    assert set(read_results("bench")["info"]["comparisons"]) == {"one"}


def test_a_machine_that_is_busy_is_shouted_about_and_remembered(fakes, monkeypatch, capsys):
    monkeypatch.setattr(command, "others_now", lambda: 0.6)
    command.main(["--quick", "--only", "one"])
    assert "NOT IDLE before one: other processes use 60%" in capsys.readouterr().err
    assert read_results("bench")["info"]["comparisons"]["one"]["machine"]["idle"] is False


def test_damaged_results_are_refused_and_left_as_they_are(fakes, tmp_path):
    (tmp_path / "bench.json").write_text("{", encoding="utf8")
    with pytest.raises(SystemExit, match=r"bench\.json in the results folder is damaged: delete it"):
        command.main(["--quick", "--only", "one"])
    assert (tmp_path / "bench.json").read_text(encoding="utf8") == "{"


def test_an_unknown_comparison_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--only", "nothing"])
    assert "passing" in capsys.readouterr().err


def test_without_a_cuda_device_a_line_says_so_and_nothing_is_stored(fakes, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(command.COMPARISONS, "device", lambda given: pytest.fail("measured"))
    for name in ("cpu", "cuda:99"):
        monkeypatch.setenv("DEVICE", name)
        command.main(["--quick", "--only", "device"])
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"device: DEVICE={name}: ")
    assert not list(tmp_path.iterdir())


def test_all_comparisons_but_that_of_devices_run_on_the_cpu(fakes, monkeypatch):
    seen = []
    monkeypatch.setenv("DEVICE", "auto")
    for name in ("one", "device"):
        monkeypatch.setitem(command.COMPARISONS, name, lambda given: seen.append(os.environ["DEVICE"]) or outcome(1.0))
    monkeypatch.setattr(device, "missing", lambda: None)
    command.main(["--quick", "--only", "one", "--only", "device"])
    assert seen == ["cpu", "auto"]


def test_devices_are_compared_at_every_batch_size(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")  # both sides on the CPU: what is run is the same
    monkeypatch.setenv("THREADS", "1")
    monkeypatch.setattr(device, "BATCHES", (16, 64))
    monkeypatch.setattr(harness.gc, "collect", lambda: None)
    found = device.run(replace(QUICK, warm_up=0, titles=300, trained=64, inferred=20))
    kinds = itertools.product(("baseline", "best"), (16, 64), ("training", "inference"))
    assert [row.name for row in found.rows] == [f"meli.device_{name}_{kind}_{batch}" for name, batch, kind in kinds]
    assert all(row.ours > 0 < row.reference for row in found.rows)


def test_the_recipe_cleans_and_pads_as_the_course_did():
    titles = pd.Series(["Funda <b>Samsung</b> J7 2016!", "Cannot say", "4k"])
    assert references.clean(titles).tolist() == [["funda", "samsung"], ["can", "not", "say"], []]
    data = references.CourseTitles([[3, 4, 5], [6]], [1, 0])
    (tokens, targets), *more = references.course_loader(data)
    assert tokens.tolist() == [[3, 4, 5], [6, 0, 0]]
    assert targets.tolist() == [1, 0]
    assert not more


def test_the_recipe_learns_and_predicts():
    torch.manual_seed(0)
    model = references.CourseClassifier(8, 2, dim=6, hidden_size=4, dropout=0.0)
    data = references.CourseTitles([[2, 3], [4, 5, 6]] * 8, [0, 1] * 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    seen = [references.train_batches(model, references.course_loader(data), optimizer) for _ in range(12)]
    assert seen == [16] * 12
    index = {"uno": 2, "dos": 3, "tres": 4, "cuatro": 5, "cinco": 6}
    said = references.predict(model, pd.Series(["Uno dos", "tres cuatro cinco", "--"]), index, frozenset({"con"}))
    assert said.tolist()[:2] == [0, 1]
    assert said.shape == (3,)


def test_frozen_embeddings_are_not_handed_to_the_recipes_optimizer():
    free, frozen = (references.CourseClassifier(50, 2, dim=3, hidden_size=2, freeze=f) for f in (False, True))
    count = [sum(p.numel() for p in references.course_adam(m).param_groups[0]["params"]) for m in (free, frozen)]
    assert count[0] - count[1] == 150


def test_operations_of_a_fused_lstm_are_those_of_the_same_products_unfused():
    inputs, recurrence = torch.randn(5, 3, 6, requires_grad=True), torch.nn.LSTM(6, 4)
    found = []
    for fused in (True, False):
        torch.backends.mkldnn.set_flags(fused)
        try:
            with gemm.counter() as counted:
                recurrence(inputs)[0].sum().backward()
        finally:
            torch.backends.mkldnn.set_flags(True)
        found.append(counted.get_total_flops())
    forward = 2 * 5 * 3 * 16 * (6 + 4)
    assert found[0] == 3 * forward
    assert abs(found[1] - 3 * forward) <= 2 * 2 * 3 * 16 * 4  # the unfused one skips a product at the first step
    assert isinstance(gemm.counter(), FlopCounterMode)


def test_the_profile_lists_operations_by_their_share():
    rows = gemm.spent(gemm.product(64, 64, 64, 3))
    assert [row["ms"] for row in rows] == sorted((row["ms"] for row in rows), reverse=True)
    assert next(row["calls"] for row in rows if row["operation"] == "aten::mm") == 3
    assert sum(row["share"] for row in rows) <= 1 + 1e-9


def test_the_race_stops_at_the_first_epoch_above_the_score(monkeypatch, tmp_path):
    monkeypatch.setenv("ARTIFACTS_DIR", str(tmp_path))
    scores, folders = [0.2, 0.5, 0.9, 0.95], []

    def fit(config, train, valid, *, categories, seed, on_epoch):
        folders.append(os.environ["ARTIFACTS_DIR"])
        for epoch, score in enumerate(scores, start=1):
            on_epoch({"epoch": epoch, "valid_balanced_accuracy": score})

    monkeypatch.setattr(passing.meli, "fit", fit)
    known = passing.Titles(pd.DataFrame(index=range(5)), Split(np.arange(3), np.arange(3, 5), np.arange(0)), None, [])
    assert [row["score"] for row in passing.race(known, 0.6, None)] == [0.2, 0.5, 0.9]
    assert [row["epoch"] for row in passing.race(known, 0.99, None)] == [1, 2, 3, 4]
    assert str(tmp_path) not in folders
    assert os.environ["ARTIFACTS_DIR"] == str(tmp_path)


def test_the_baseline_is_scored_on_the_validation_side():
    frame = pd.DataFrame({"title": ["funda azul", "mesa roja"] * 6, "target": [0, 1] * 5 + [0, 0]})
    known = passing.Titles(frame, Split(np.arange(8), np.arange(8, 12), np.arange(0)), None, [])
    seconds, score = passing.baseline_score(known, "word_nb")
    assert seconds > 0
    assert score == pytest.approx((2 / 3 + 1) / 2)  # the last title held out carries the wrong target


def test_what_is_written_is_plain_json(fakes, tmp_path):
    command.main(["--quick"])
    assert json.loads((tmp_path / "bench.json").read_text(encoding="utf8"))["schema"] == 1


def test_start_up_runs_the_package_of_another_commit_and_counts_its_cpu(tmp_path):
    root, used = startup.checked_out("HEAD", tmp_path / "then"), []
    assert (root / "helpers" / "__main__.py").is_file()
    assert startup.side(root, ["--help"], used)() == 1
    assert len(used) == 1
    assert used[0] > 0


def test_a_commit_that_is_not_there_is_one_line():
    with pytest.raises(SystemExit, match=r"error: --against 0000000: .*0000000.*git fetch --unshallow"):
        command.main(["--only", "startup", "--quick", "--against", "0000000"])
