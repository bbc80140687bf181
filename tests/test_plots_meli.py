import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.lessons import meli as lesson
from helpers.lessons.meli import accuracy_by


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_parallel_coordinates_draw_a_line_per_configuration_ending_at_its_score():
    table = pd.DataFrame({"lr": [0.1, 0.01, 0.1], "cell": ["gru", "lstm", "lstm"], "score": [0.2, 0.6, 1.0]})
    _, ax = lesson.parallel_coordinates(table, ["lr", "cell"], "score", label="exactitud")
    lines = [line for line in ax.lines if len(line.get_xdata()) == 3]
    assert [line.get_ydata()[-1] for line in lines] == pytest.approx([0, 0.5, 1])
    assert {text.get_text() for text in ax.texts} == {"0.01", "0.1", "gru", "lstm"}


def test_learning_curve_has_a_line_and_a_band_per_model():
    table = pd.DataFrame(
        {"model": ["a", "a", "b", "b"], "train_titles": [100, 10, 10, 100], "bacc": [0.9, 0.5, 0.6, 0.8]}
    ).assign(test_low=lambda t: t["bacc"] - 0.1, test_high=lambda t: t["bacc"] + 0.1)
    _, ax = lesson.learning_curve(table, "bacc", names={"a": "Modelo A"}, label="exactitud")
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0.5, 0.9], [0.6, 0.8]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Modelo A", "b"]
    assert len(ax.collections) == 2


def test_accuracy_by_bin_names_the_bins_and_draws_wilsons_interval():
    right = pd.DataFrame({"m": [True, False, True, True]})
    table = accuracy_by(right, pd.Series([1, 2, 3, 9]), [1, 2, 4])
    _, axes = lesson.accuracy_points({"palabras": table}, names={"m": "M"})
    labels = [tick.get_text() for tick in axes[0, 0].get_xticklabels()]
    assert labels == ["1\n(1)", "2 a 3\n(2)", "4 o más\n(1)"]
    points, _, (bars,) = axes[0, 0].containers[0]
    assert points.get_ydata().tolist() == pytest.approx([1, 0.5, 1])
    reached = [segment[:, 1].tolist() for segment in bars.get_segments()]
    z = 1.959964  # one of two right: centre 1/2, half width z / (2 sqrt(2 + z²)); Wilson 1927
    half = z / (2 * (2 + z**2) ** 0.5)
    assert reached[1] == pytest.approx([0.5 - half, 0.5 + half], abs=1e-5)
    assert reached[0] == pytest.approx([1 / (1 + z**2), 1], abs=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "name"), [(0, 0.1, "0 a 0.1"), (4, 6, "4 a 5"), (3, 4, "3"), (12, np.inf, "12 o más")]
)
def test_interval_names(low, high, name):
    assert lesson.interval_name(pd.Interval(low, high, closed="left")) == name
