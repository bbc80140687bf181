import pandas as pd
import pytest

from helpers.report.results import mean_and_std

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
