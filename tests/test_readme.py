"""README's tables: scores, speed, scale."""

import json

import pytest

from helpers.report import readme, results
from helpers.report.readme import BATCH_SIZE, DIM, HIDDEN, cost_table, operations
from helpers.tasks.scale import NETWORK

BEGIN, END = (mark.format("results") for mark in readme.MARKS)
TIMED = {
    "what": "training", "unit": "titles/s", "ours": 4321.4, "reference": 1200.0, "factor": 3.601, "goal": 6,
    "reached": False, "lower_is_better": False,
}  # fmt: skip
ALONE = {
    "what": "one title, p99", "unit": "ms", "ours": 3.14159, "reference": None, "factor": None, "goal": 5.0,
    "reached": True, "lower_is_better": True,
}  # fmt: skip
STAGE = {"seconds": 12.34, "titles_per_second": 5160.2, "peak_mib": 512.6}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("PROFILE", "full")
    metrics = {"sms.lstm.f1.mean": 0.97, "sms.lstm.f1.std": 0.01234, "sms.lstm.accuracy.mean": 0.99}
    results.write_results("04_sms_rnn_vs_lstm", metrics)
    return tmp_path / "results"


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"antes\n{BEGIN}\nviejo\n{END}\ndespués\n", encoding="utf-8")
    return path


def timed(folder):
    idle = {"table": [TIMED], "machine": {"idle": True}}
    results.write_results(
        "bench", {}, {"comparisons": {"a": idle, "b": {"table": [ALONE], "machine": {"idle": False}}}}
    )


def test_the_scores_that_are_there_are_shown(folder):
    lines = readme.readme_table(folder).splitlines()
    assert lines[0] == "| Notebook | Model | Metric | Value | To beat |"
    assert len(lines) == 4
    assert "| LSTM | spam F1 | 0.9700 ± 0.0123 | simple RNN |" in lines[2]
    assert "| LSTM | accuracy | 0.9900 | simple RNN |" in lines[3]


def test_timings_stand_beside_reference_and_goal_and_those_of_a_busy_machine_are_marked(folder):
    assert readme.bench_table(folder) == ""
    timed(folder)
    assert readme.bench_table(folder).splitlines()[2:] == [
        "| training | titles/s | 4,321 | 1,200 | 3.60 | ≥ 6: **missed** |",
        "| one title, p99 * | ms | 3.14 |  |  | ≤ 5: reached |",
    ]


def test_scale_has_a_column_per_size(folder):
    assert readme.scale_table(folder) == ""
    sizes = {
        str(rows): {"stages": {"reading": STAGE, "cleaning": STAGE}, "peak_mib": 512.6, "bytes": 3_500_000}
        for rows in (63_680, 600_000)
    }
    (folder / "scale.json").write_text(json.dumps({"schema": 1, "sizes": sizes}), encoding="utf-8")
    cell = "12.3 s, 5,160/s, 513 MiB"
    assert readme.scale_table(folder).splitlines() == [
        "| Stage | 63,680 titles | 600,000 titles |",
        "|---|---|---|",
        f"| reading | {cell} | {cell} |",
        f"| cleaning | {cell} | {cell} |",
        "| **all** | peak 513 MiB, 4 MB on disk | peak 513 MiB, 4 MB on disk |",
    ]


def test_costs_are_those_of_the_largest_set_and_in_proportion(folder):
    assert cost_table(folder) == ""
    stages = {name: {"seconds": 60.0} for name in ("generation", "reading", "cleaning", "dictionary", "encoding")}
    sizes = {
        "10": {"stages": None},
        "6182780": {
            "stages": stages | {"training": {"seconds": 1_000.0, "titles_per_second": 2_000.0}}, "categories": 632,
            "rows": {"train": 4_000_000}, "words": {"tokens": 20_000_000},
        },
    }  # fmt: skip
    (folder / "scale.json").write_text(json.dumps({"schema": 1, "sizes": sizes}), encoding="utf-8")
    here, there = 13_148_160 + 970_752, 13_148_160 + 2_439_168  # two LSTMs over five tokens, then the output layer
    assert (operations(5, 632), operations(5, 1_588)) == (here, there)
    epoch = 20_000_000 / 2_000 * there / here
    assert cost_table(folder).splitlines()[2:] == [
        "| Titles to train on, categories | 4,000,000, 632 | 20,000,000, 1,588 |",
        "| Products per title | 14.1 million operations | 15.6 million operations |",
        "| Reading to encoding, once | 4 min | 20 min |",
        f"| One epoch | 33 min | {epoch / 3600:.1f} h |",
        f"| All of it, 5 epochs | 2.8 h | {(1_200 + 5 * epoch) / 3600:.1f} h |",
        "| 5 epochs on one GPU (estimate) | 5 min | 26 min |",
    ]
    assert (NETWORK.batch_size, NETWORK.embedding_dim, NETWORK.hidden_size) == (BATCH_SIZE, DIM, HIDDEN)


def test_it_is_rewritten_between_its_marks_only(folder, page):
    assert "README.md: the results table is not" in readme.readme_problems(page, folder)[0]
    assert readme.update_readme(page, folder) is True
    assert readme.update_readme(page, folder) is False
    assert readme.readme_problems(page, folder) == []
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"antes\n{BEGIN}\n| Notebook")
    assert text.endswith(f"|\n{END}\ndespués\n")
    assert "viejo" not in text


def test_a_table_without_its_place_is_a_problem_and_nothing_is_written(folder, page):
    timed(folder)
    text = page.read_text(encoding="utf-8")
    assert "bench:begin" in readme.readme_problems(page, folder)[1]
    with pytest.raises(ValueError, match="add them"):
        readme.update_readme(page, folder)
    assert page.read_text(encoding="utf-8") == text
    page.write_text("nada", encoding="utf-8")
    assert BEGIN in readme.readme_problems(page, folder)[0]
