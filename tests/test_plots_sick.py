import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.lessons import sick as lesson
from helpers.lessons.sick import by_phenomenon
from helpers.model.metrics import Calibration
from helpers.model.training import History


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def history(best, **columns):
    return History(pd.DataFrame({"epoch": (1, 2, 3)} | columns).to_dict("records"), best)


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_training_curves_have_a_row_per_model_and_a_dot_on_the_epoch_kept():
    both = history(2, train_loss=(3, 2, 1), valid_loss=(3, 1, 2), train_pearson=(0, 1, 1), valid_pearson=(0, 0.8, 0.7))
    alone = history(3, train_loss=(5, 4, 3))
    _, axes = lesson.training_curves({"una": both, "otra": alone})
    assert axes.shape == (2, 3)
    dashed, solid, dot = axes[0, 1].lines
    assert dashed.get_ydata().tolist() == [0, 1, 1]
    assert solid.get_ydata().tolist() == [0, 0.8, 0.7]
    assert (dot.get_xdata().tolist(), dot.get_ydata().tolist()) == ([2], [0.8])
    assert axes[0, 2].lines[:] == []
    assert [line.get_ydata().tolist() for line in axes[1, 0].lines] == [[5, 4, 3]]
    assert axes[1, 0].get_title(loc="left") == "otra"


def test_the_lowest_loss_lies_at_an_end_as_written_and_at_every_grade_squared():
    _, axes = lesson.pair_losses((0, 0.25, 0.5, 0.75, 1), margin=2.0)
    lowest = [[line.get_xdata()[0].item() for line in ax.lines if line.get_marker() == "o"] for ax in axes[0]]
    assert lowest[0] == pytest.approx([2, 2, 0, 0], abs=0.011)
    assert lowest[1] == pytest.approx([2, 1.5, 1, 0.5, 0], abs=0.011)


def test_seed_scores_order_by_mean_and_stand_a_single_training():
    table = pd.DataFrame({"model": ["a", "a", "b"], "pearson": [0.7, 0.9, 0.85]})
    _, ax = lesson.seed_scores(table, "pearson", label="Pearson", names={"b": "B"}, reference=("artículo", 0.88))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "B"]
    assert "artículo" in labels(ax)
    assert any(np.allclose(line.get_xdata(), [0.88, 0.88]) for line in ax.lines)


def test_predictions_against_truth_show_every_pair_and_the_means():
    frame = pd.DataFrame({"relatedness": [1.0, 1.2, 4.8, 5.0], "prediction": [1.5, 1.7, 4.0, 4.6]})
    _, axes = lesson.predicted_against_true({"m": frame})
    dots, means = axes[0, 0].lines[1:]
    assert len(dots.get_xdata()) == 4
    assert means.get_ydata().tolist() == pytest.approx([1.6, 4.3])
    assert axes[0, 0].get_title() == f"m: Pearson {np.corrcoef(frame.T)[0, 1]:.4f}"


def test_calibrations_are_drawn_over_the_range_they_were_fitted_on():
    similarity, relatedness = np.array([0.0, 0.5, 1.0]), np.array([1.0, 2.0, 5.0])
    maps = {
        "lineal": Calibration.fit(similarity, relatedness),
        "isotónica": Calibration.fit(similarity, relatedness, "isotonic"),
    }
    _, ax = lesson.calibration_curve(similarity, relatedness, maps)
    assert labels(ax) == ["un par de trial", "lineal", "isotónica"]
    assert ax.lines[2].get_ydata()[[0, -1]].tolist() == [1, 5]


def test_heat_maps_write_every_value_under_its_words():
    maps = {"vectores": np.array([[1.0, -0.2], [0.3, 0.5]]), "estados": np.eye(2)}
    _, axes = lesson.word_heat_maps(["a", "dog"], ["one", "cat"], maps)
    assert [text.get_text() for text in axes[0, 0].texts] == ["1.00", "-0.20", "0.30", "0.50"]
    assert [tick.get_text() for tick in axes[0, 1].get_xticklabels()] == ["one", "cat"]
    assert [tick.get_text() for tick in axes[0, 1].get_yticklabels()] == ["a", "dog"]
    assert len({image.norm.vmin for ax in axes[0] for image in ax.images}) == 1


def test_bars_of_phenomena_name_how_many_pairs():
    frame = pd.DataFrame(
        {"sentence_a": ["A dog runs"] * 2, "sentence_b": ["No dog runs", "Men sing"], "relatedness": [4.0, 1.0]}
    ).assign(prediction=[2.0, 1.5])
    table = by_phenomenon(frame)
    _, axes = lesson.phenomenon_bars(table)
    ticks = [tick.get_text() for tick in axes[0, 0].get_yticklabels()]
    assert ticks == [f"{name} ({n})" for name, n in table["pairs"].items()]
    assert [bar.get_width() for bar in axes[0, 1].patches] == pytest.approx(table["bias"].tolist())
