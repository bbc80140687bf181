import pytest

from helpers.report.results import load_predictions, predictions_path, save_predictions


def test_saved_predictions_come_back():
    path = save_predictions("some-study", "best-1", [5, 3], [631, 0])
    assert path == predictions_path("some-study", "best-1")
    rows, predicted = load_predictions("some-study", "best-1")
    assert rows.tolist() == [5, 3]
    assert predicted.tolist() == [631, 0]
    assert not list(path.parent.glob("*.tmp*"))


def test_the_same_predictions_give_the_same_file():
    first = save_predictions("some-study", "best-2", [1], [2]).read_bytes()
    assert save_predictions("some-study", "best-2", [1], [2]).read_bytes() == first


def test_missing_predictions_say_how_they_are_made():
    with pytest.raises(FileNotFoundError, match="make study NAME=some-study"):
        load_predictions("some-study", "none")
