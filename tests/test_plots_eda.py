import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.lessons import eda as lesson

SIZES = pd.Series({"A": 5, "B": 3, "C": 9})
WORDS = {name: pd.Series({"de": 0.9, "silla": 0.5}) for name in "ABCD"}
SIMILARITY = np.array([[1, 0.1, 0.8, 0], [0.1, 1, 0, 0.7], [0.8, 0, 1, 0.1], [0, 0.7, 0.1, 1]])
TWINS = pd.DataFrame(
    [
        {"model": model, "group": group, "twins": twins, "split_seed": seed, "score": 0.8 + 0.01 * seed}
        for model in ("m", "n")
        for group in ("con", "sin")
        for twins in ("dentro", "fuera")
        for seed in (1, 2)
    ]
)
BINS = {"largo": pd.DataFrame({"rows": [10, 5], "score": [0.5, 0.9]}, index=["1", "2"])}
RECALL = pd.DataFrame({"near": [0.1, 0.2, 0.3], "recall": [0.9, 0.4, 0.6]}, index=list("ABC"))
JUDGED = pd.DataFrame(
    {"label": [0.5, 1.0], "both": [0.5, 0], "alternative": [0, 0], "neither": [0, 0]}, index=["fallan", "aciertan"]
)
NAMES = {"label": "solo la etiqueta", "both": "las dos", "alternative": "solo la otra", "neither": "ninguna"}
COUNTS = pd.Series({"fallan": 4, "aciertan": 2})
GROWTH = pd.DataFrame({"read": [1, 2, 4], "distinct": [1, 2, 3]})
DRAWN = {
    "sizes": lambda: lesson.category_sizes({"train": SIZES * 1000, "test": SIZES}),
    "extremes": lambda: lesson.extremes(SIZES, k=2),
    "order": lambda: lesson.row_order(np.repeat(np.arange(5), 20), batch=10, seed=0),
    "lengths": lambda: lesson.lengths(pd.Series([10, 60, 30]), pd.Series([2, 9, 5]), limit=60),
    "zipf": lambda: lesson.zipf(pd.Series([9, 4, 2, 1]), -0.9, GROWTH),
    "words": lambda: lesson.word_bars(WORDS, columns=3, xlabel="títulos"),
    "similarity": lambda: lesson.similarity_map(SIMILARITY, list("ABCD"), label="coseno"),
    "twins": lambda: lesson.twin_scores(TWINS, metric="score", label="exactitud"),
    "bins": lambda: lesson.score_by(BINS, label="exactitud"),
    "recall": lambda: lesson.recall_scatter(RECALL, {"near": "parecido"}, named=2),
    "readings": lambda: lesson.reading_bars(JUDGED, NAMES, counts=COUNTS),
}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_can_be_drawn_at_100_dpi(name):
    figure, _ = DRAWN[name]()
    figure.canvas.draw()
    assert figure.dpi == 100
    assert any(ax.get_xlabel() for ax in figure.axes)


def test_sizes_of_very_different_subsets_are_on_a_log_scale():
    assert DRAWN["sizes"]()[1][0, 0].get_yscale() == "log"
    assert lesson.category_sizes({"test": SIZES})[1][0, 0].get_yscale() == "linear"


def test_extremes_have_the_largest_at_the_top_left_and_the_smallest_at_the_bottom_right():
    _, axes = DRAWN["extremes"]()
    left, right = ([label.get_text() for label in ax.get_yticklabels()] for ax in axes[0])
    assert left[-1] == "C"
    assert right[0] == "B"
    assert {bar.get_width() for bar in axes[0, 1].patches} == {5, 3}


def test_batches_of_the_file_see_few_categories_and_shuffled_ones_many():
    _, axes = DRAWN["order"]()
    bars = [(patch.get_x() + 0.5, patch.get_facecolor()) for patch in axes[0, 1].patches if patch.get_height()]
    seen = {color: [x for x, other in bars if other == color] for _, color in bars}
    in_order, shuffled = sorted(seen.values(), key=max)
    assert max(in_order) == 1
    assert min(shuffled) > 1


def test_heat_map_puts_like_beside_like_and_leaves_the_diagonal_blank():
    _, ax = DRAWN["similarity"]()
    names = [label.get_text().split()[0] for label in ax.get_yticklabels()]
    assert {frozenset(names[:2]), frozenset(names[2:])} == {frozenset("AC"), frozenset("BD")}
    assert np.isnan(np.diag(np.ma.filled(ax.images[0].get_array(), np.nan))).all()
    assert {text.get_text() for text in ax.texts} == {".80", ".70"}


def test_panels_without_words_are_hidden():
    _, axes = DRAWN["words"]()
    assert [ax.get_visible() for ax in axes.flat] == [True] * 4 + [False] * 2


def test_twin_scores_draw_every_split_and_name_both_trainings_once():
    figure, axes = DRAWN["twins"]()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["dentro", "fuera"]
    dots = [line for line in axes[0, 0].lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in dots) == 8
    assert [label.get_text() for label in axes[0, 0].get_yticklabels()] == ["sin", "con"]


def test_the_worst_categories_are_named():
    figure, _ = DRAWN["recall"]()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["B", "C"]


def test_readings_are_stacked_to_one_and_tell_how_many_were_read():
    _, ax = DRAWN["readings"]()
    ends = {round(bar.get_y() + bar.get_height() / 2): bar.get_x() + bar.get_width() for bar in ax.patches}
    assert all(end == pytest.approx(1) for end in ends.values())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["aciertan (2)", "fallan (4)"]
