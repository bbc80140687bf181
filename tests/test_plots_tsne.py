from io import BytesIO
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import pytest
from matplotlib.text import Text

from helpers.lessons import tsne as lesson
from helpers.lessons.tsne import Example

NAMES = {0: "guitar, playing", 1: "dog, running", 2: "water, swimming"}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def picture(n=90, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)


def labels(n=90):
    return np.arange(n) % 3


def boxes(ax):
    """Where the texts of a picture stand, in pixels."""
    ax.figure.draw_without_rendering()
    return {text.get_text(): Text.get_window_extent(text) for text in ax.texts}


def assert_apart(ax):
    placed, frame = boxes(ax), ax.get_window_extent()
    for (one, first), (other, second) in combinations(placed.items(), 2):
        assert not first.overlaps(second), (one, other)
    for name, box in placed.items():
        assert np.all(frame.min <= box.min), name
        assert np.all(box.max <= frame.max), name


def test_small_multiples_have_a_row_per_perplexity_and_a_column_per_seed():
    pictures = {(p, s): picture(seed=p + s) for p in (5, 30) for s in (1, 2, 3)}
    figure, axes = lesson.small_multiples(pictures, labels(), NAMES)
    titles = [[ax.get_title() for ax in row] for row in axes]
    assert titles[0][1] == "perplejidad 5, semilla 2"
    assert titles[1][2] == "perplejidad 30, semilla 3"
    points = axes[1, 2].collections[0]
    np.testing.assert_allclose(points.get_offsets(), pictures[30, 3])
    assert points.get_rasterized()
    assert figure.dpi == 100
    assert figure.legends[0].get_texts()[0].get_text() == "1: guitar, playing"


def test_side_by_side_draws_every_picture_in_the_same_colours():
    _, axes = lesson.side_by_side({"t-SNE": picture(), "PCA": picture(seed=1)}, labels(), NAMES)
    assert [ax.get_title() for ax in axes[0]] == ["t-SNE", "PCA"]
    first, second = (ax.collections[0].get_facecolors() for ax in axes[0])
    assert (first == second).all()
    assert len(np.unique(first, axis=0)) == 3


def test_clusters_have_colours_of_their_own():
    assert len({lesson.color_of(label) for label in range(20)}) == 20
    assert lesson.color_of(20) == lesson.color_of(0)


def test_annotated_map_names_clusters_numbers_examples_and_joins_pairs():
    links = {"pares altos": np.array([[0, 1], [2, 3]]), "pares bajos": np.array([[4, 5]])}
    examples = [Example(0, 1, "a dog — a cat (4.7)"), Example(4, 5, "a man — a car (1.2)")]
    figure, ax = lesson.annotated_map(
        picture(), labels(), NAMES, title="Mapa", links=links, examples=examples, points={7: "una oración"}, size=(8, 6)
    )
    assert set(boxes(ax)) == {"1", "2", *(f"{c + 1}: {name}" for c, name in NAMES.items()), "una oración"}
    assert_apart(ax)
    high, low, points = ax.collections
    assert [len(part.get_segments()) for part in (high, low)] == [2, 1]
    assert all(part.get_rasterized() for part in ax.collections)
    np.testing.assert_allclose(high.get_segments()[1], picture()[[2, 3]])
    assert len(points.get_offsets()) == 90
    assert ax.get_xlabel().splitlines() == ["1. a dog — a cat (4.7)", "2. a man — a car (1.2)"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(links)
    assert figure.dpi == 100


def test_labels_of_clusters_in_one_place_do_not_overlap():
    crowd = np.concatenate([np.zeros((40, 2)), picture(8)])
    names = {label: f"nombre algo largo, número {label}" for label in range(16)}
    _, ax = lesson.annotated_map(crowd, np.arange(48) % 16, names, title="Mapa", size=(9, 7))
    assert len(ax.texts) == 16
    assert_apart(ax)


def test_a_cluster_without_rows_is_not_named():
    _, ax = lesson.annotated_map(picture(), labels(), NAMES | {7: "nobody"}, title="Mapa", size=(8, 6))
    assert len(ax.texts) == 3


def test_cluster_counts_mark_the_chosen_number():
    curves = {"rasgos": {4: 0.3, 8: 0.4, 16: 0.35}, "barajados": {4: 0.1, 8: 0.05}}
    _, ax = lesson.cluster_counts(curves, 8)
    assert ax.lines[0].get_ydata().tolist() == [0.3, 0.4, 0.35]
    assert ax.lines[-1].get_xdata() == [8, 8]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["4", "8", "16"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["rasgos", "barajados", "elegido: 8"]


def test_compact_is_the_same_picture_in_fewer_bytes_and_closes_the_figure():
    figure, _ = lesson.annotated_map(picture(600), labels(600), NAMES, title="Mapa", size=(5, 4))
    whole = BytesIO()
    figure.savefig(whole, format="png", bbox_inches="tight")
    small = lesson.compact(figure).data
    assert len(small) < 0.6 * len(whole.getvalue())
    assert plt.get_fignums() == []
    before, after = (PIL.Image.open(BytesIO(part)) for part in (whole.getvalue(), small))
    assert after.size == before.size
    assert round(after.info["dpi"][0]) == 100
    gaps = np.abs(np.asarray(before.convert("RGB"), float) - np.asarray(after.convert("RGB"), float))
    assert gaps.mean() < 1  # of 255
