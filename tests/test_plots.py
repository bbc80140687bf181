import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.report import plots

HISTORY = pd.DataFrame({"epoch": [1, 2], "train_loss": [1.0, 0.5], "train_accuracy": [0.5, 0.9]})
VALIDATED = HISTORY.assign(valid_loss=[0.9, 0.6], valid_accuracy=[0.6, 0.8])
SCORES = pd.DataFrame({"model": ["a", "a", "b", "b"], "f1": [0.8, 0.9, 0.7, 0.75]})
DRAWN = {
    "training": lambda: plots.training_curves({"RNN": VALIDATED, "LSTM": HISTORY}),
    "scores": lambda: plots.scores(SCORES, "f1", label="F1", names={"a": "A", "b": "B"}),
    "curves": lambda: plots.curves({"x": [1, 2], "y*": [2, 1]}, xlabel="x", ylabel="y", log=True),
    "calibration": lambda: plots.calibration([0, 1, 1, 0], {"m": [0.1, 0.9, 0.6, 0.4]}, bins=2),
    "words": lambda: plots.words(pd.Series({"hola": -1.0, "gratis": 2.0}), xlabel="efecto"),
}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_has_100_dpi_and_named_axes(name):
    figure, _ = DRAWN[name]()
    assert figure.dpi == 100
    assert all(ax.get_xlabel() for ax in figure.axes)


def test_curves_have_one_legend_entry_per_model_also_without_validation():
    _, axes = DRAWN["training"]()
    assert [text.get_text() for text in axes[0, 1].get_legend().get_texts()] == ["RNN", "LSTM"]


def test_the_legend_promises_no_validation_where_there_is_none():
    _, axes = plots.training_curves({"sola": HISTORY})
    assert "validación" not in axes[0, 1].get_legend().get_title().get_text()
    _, axes = DRAWN["training"]()
    assert "validación" in axes[0, 1].get_legend().get_title().get_text()


def test_scores_are_sorted_by_mean_and_show_mean_and_deviation():
    _, axes = DRAWN["scores"]()
    ax = axes[0, 0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["B", "A"]
    assert ax.containers[1][0].get_xdata()[0] == pytest.approx(0.85)


def test_words_are_sorted():
    _, ax = DRAWN["words"]()
    assert np.all(np.diff([bar.get_width() for bar in ax.patches]) > 0)
