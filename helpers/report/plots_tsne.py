"""Figures of notebook 07: pictures of vectors in two dimensions; labels in Spanish, points rasterised.

A picture is an (n, 2) array; labels (n,) number the cluster of each row from 0; names say what a cluster is about. The
axes of t-SNE have no unit and no direction that means anything, so they bear no ticks.
"""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from IPython.display import Image
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from helpers.report.plots import COLORS, panels

LINES = (("0.15", "-"), ("#c0392b", (0, (4, 2))))  # of the first and the second kind of pairs: colour, style
STEP, TURNS = 9.0, 16  # how far apart the places are that are tried for a label, in pixels; directions


class Example(NamedTuple):
    """A pair worth reading: the two rows, and what is written about it below the picture."""

    first: int
    second: int
    text: str


def small_multiples(
    pictures: Mapping[tuple[float, int], np.ndarray], labels: np.ndarray, names: Mapping[int, str], *, side: float = 2.9
) -> tuple[Figure, np.ndarray]:
    """A row of panels per perplexity, a column per seed, the same colours everywhere.

    Args:
        pictures: (perplexity, seed) -> picture; every perplexity with every seed.
        side: of a panel, in inches.
    """
    perplexities, seeds = (list(dict.fromkeys(key[i] for key in pictures)) for i in (0, 1))
    figure, axes = panels(len(seeds), len(perplexities), width=side, height=side)
    for row, perplexity in enumerate(perplexities):
        for column, seed in enumerate(seeds):
            ax = axes[row, column]
            scatter(ax, pictures[perplexity, seed], labels, size=4)
            ax.set_title(f"perplejidad {perplexity:g}, semilla {seed}")
    _cluster_legend(figure, names, columns=2)
    return figure, axes


def side_by_side(
    pictures: Mapping[str, np.ndarray], labels: np.ndarray, names: Mapping[int, str], *, side: float = 4.6
) -> tuple[Figure, np.ndarray]:
    """One panel per picture, title above, the same colours everywhere."""
    figure, axes = panels(len(pictures), width=side, height=side)
    for ax, (title, picture) in zip(axes[0], pictures.items(), strict=True):
        scatter(ax, picture, labels, size=5)
        ax.set_title(title)
    _cluster_legend(figure, names, columns=3)
    return figure, axes


def annotated_map(
    picture: np.ndarray, labels: np.ndarray, names: Mapping[int, str], *, title: str,
    links: Mapping[str, np.ndarray] | None = None, examples: Sequence[Example] = (),
    points: Mapping[int, str] | None = None, size: tuple[float, float] = (13, 10.4),
) -> tuple[Figure, Axes]:  # fmt: skip
    """The large picture: clusters coloured and named where they lie, pairs as lines, examples numbered.

    Args:
        links: kind of pair (at most two kinds) -> (m, 2) rows to be joined by a line.
        examples: pairs joined by a thick line that bears their number; their texts stand below the picture.
        points: row -> a text of its own.
        size: of the figure, in inches.
    """
    figure, axes = panels(width=size[0], height=size[1])
    ax = axes[0, 0]
    for (name, pairs), (color, style) in zip((links or {}).items(), LINES, strict=False):
        lines = LineCollection(
            picture[np.asarray(pairs, dtype=int).reshape(-1, 2)], colors=color, linestyles=[style], linewidths=0.8,
            alpha=0.6, label=name, rasterized=True, zorder=1,
        )  # fmt: skip
        ax.add_collection(lines)
    scatter(ax, picture, labels, size=17, smooth=True)
    for example in examples:
        ax.plot(*picture[[example.first, example.second]].T, "o-", color="black", lw=1.6, ms=5, mfc="none", zorder=3)
    ax.set_title(title, fontsize=15, loc="left")
    ax.set_xlabel("\n".join(f"{i}. {e.text}" for i, e in enumerate(examples, 1)), loc="left", fontsize=9.5)
    if links:
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(links), fontsize=10)  # above the points
    _write_labels(figure, ax, _wanted_labels(picture, labels, names, examples, points or {}))
    return figure, ax


def compact(figure: Figure) -> Image:
    """The figure as a PNG file of 256 colours, which needs a third of the bytes; closed, so that it is shown once."""
    whole, small = BytesIO(), BytesIO()
    figure.savefig(whole, format="png", bbox_inches="tight")
    plt.close(figure)
    colors = PIL.Image.open(whole).convert("RGB").quantize(256, kmeans=2)
    colors.save(small, "PNG", optimize=True, dpi=(figure.dpi, figure.dpi))
    return Image(small.getvalue())


def cluster_counts(curves: Mapping[str, Mapping[int, float]], chosen: int) -> tuple[Figure, Axes]:
    """Silhouette against the number of clusters, one line per kind of vectors, the chosen number marked.

    Args:
        curves: what was clustered -> projections.silhouettes().
    """
    figure, axes = panels(width=7.5, height=3.6)
    ax = axes[0, 0]
    for (name, curve), color in zip(curves.items(), COLORS, strict=False):
        ax.plot(list(curve), list(curve.values()), "o-", color=color, label=name)
    counts = sorted({k for curve in curves.values() for k in curve})
    ax.axvline(chosen, color="0.4", linestyle=":", label=f"elegido: {chosen}")
    ax.set(xscale="log", xlabel="número de grupos (escala log)", ylabel="silueta media en el espacio de rasgos")
    ax.set_xticks(counts, [str(k) for k in counts])
    ax.minorticks_off()
    ax.legend(fontsize=9)
    return figure, ax


def scatter(ax: Axes, picture: np.ndarray, labels: np.ndarray, *, size: float, smooth: bool = False) -> None:
    """The points, coloured by cluster and rasterised, on axes without ticks.

    Args:
        size: area of a point, in square points.
        smooth: round dots; else small squares without soft edges, of which a PNG file needs a third of the bytes.
    """
    ax.scatter(
        *picture.T, s=size, c=np.array([color_of(label) for label in labels]), marker="o" if smooth else "s",
        antialiased=smooth, linewidths=0, rasterized=True, zorder=2,
    )  # fmt: skip
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set(visible=True, color="0.85")


def color_of(label: int) -> tuple[float, float, float]:
    """Of a cluster: ten strong colours, then ten pale ones, then again."""
    place = int(label) % 20
    return colormaps["tab20"].colors[2 * place if place < 10 else 2 * (place - 10) + 1]


def _cluster_legend(figure: Figure, names: Mapping[int, str], *, columns: int) -> None:
    marks = [Line2D([], [], marker="o", linestyle="", color=color_of(c)) for c in names]
    texts = [f"{c + 1}: {name}" for c, name in names.items()]
    figure.legend(marks, texts, loc="outside lower center", ncols=columns, fontsize=8, handletextpad=0.2)


class _Label(NamedTuple):
    text: str
    anchor: np.ndarray  # (2,) in the picture
    style: dict


def _wanted_labels(picture, labels, names, examples, points) -> list[_Label]:
    """Numbers of examples first: they must stand near their line; then the clusters, then single points."""
    number = {"fontsize": 10, "fontweight": "bold", "bbox": _box("black")}
    wanted = [_Label(str(i), picture[[e.first, e.second]].mean(0), number) for i, e in enumerate(examples, start=1)]
    for label, name in names.items():
        members = picture[labels == label]
        if len(members):
            middle = members[np.abs(members - np.median(members, axis=0)).sum(1).argmin()]
            style = {"fontsize": 10.5, "fontweight": "bold", "bbox": _box(color_of(label))}
            wanted.append(_Label(f"{label + 1}: {name}", middle, style))
    plain = {"fontsize": 7.5, "color": "0.15", "bbox": _box("none")}
    return wanted + [_Label(text, picture[row], plain) for row, text in points.items()]


def _box(edge) -> dict:
    return {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": edge, "linewidth": 0.8, "alpha": 0.85}


def _write_labels(figure: Figure, ax: Axes, wanted: Sequence[_Label]) -> None:
    """Each label at the free place nearest to its anchor, tied to it by a thin line; none on another, all inside."""
    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())
    figure.draw_without_rendering()  # the layout is settled now: places in pixels hold
    figure.set_layout_engine("none")
    inside, taken = ax.get_window_extent().padded(-3), []
    for label in wanted:
        written = ax.text(*label.anchor, label.text, ha="center", va="center", zorder=5, **label.style)
        own = written.get_window_extent().padded(0.35 * written.get_fontsize())  # with the box around it
        free = (s for s in _spiral(max(inside.width, inside.height)) if _fits(own.translated(*s), inside, taken))
        shift = next(free, (0.0, 0.0))
        place = ax.transData.inverted().transform(ax.transData.transform(label.anchor) + shift)
        written.set_position(place)
        ax.plot(*np.stack([label.anchor, place]).T, color="0.35", linewidth=0.6, zorder=4)
        taken.append(own.translated(*shift))


def _spiral(reach: float) -> Iterator[tuple[float, float]]:
    yield 0.0, 0.0
    for radius in np.arange(STEP, reach, STEP):
        for angle in np.arange(TURNS) * 2 * np.pi / TURNS:
            yield float(radius * np.cos(angle)), float(radius * np.sin(angle))


def _fits(box: Bbox, inside: Bbox, taken: Sequence[Bbox]) -> bool:
    within = np.all(inside.min <= box.min) and np.all(box.max <= inside.max)
    return bool(within) and not any(box.overlaps(other) for other in taken)
