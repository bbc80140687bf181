"""Notebook 07: vectors in two dimensions (t-SNE, PCA), clusters, and how much of the vectors a picture keeps.

A picture is an (n, 2) array, a row for each row of the vectors; labels (n,) number each row's cluster from 0; names
say what a cluster is about. The axes of t-SNE have no unit and no direction that means anything: they bear no ticks.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import combinations
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import PIL.Image
from IPython.display import Image
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import adjusted_rand_score, silhouette_samples, silhouette_score
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from helpers import settings
from helpers.report.plots import COLORS, panels

NEIGHBOURS = 10
ITERATIONS = 750  # of t-SNE, the first 250 exaggerated: as in openTSNE
WORD = r"[^\W\d_]{2,}"
LINES = (("0.15", "-"), ("#c0392b", (0, (4, 2))))  # colour and style of the first and the second kind of pairs
STEP, TURNS = 9.0, 16  # of the places tried for a label: their distance in pixels, directions
Name = str | tuple[float, int]  # of a picture: what it is, or its perplexity and seed


class Example(NamedTuple):
    """A pair worth reading: the two rows, and the text below the picture."""

    first: int
    second: int
    text: str


def directions(features: np.ndarray) -> np.ndarray:
    """Rows minus their mean, at length 1 (zero rows stay): Euclidean neighbours are then those with the highest cosine.

    With the mean, cosines of encoded sentences are all near 1 (Mu & Viswanath, "All-but-the-Top", ICLR 2018,
    arXiv:1702.01417).
    """
    centred = features - features.mean(axis=0)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def shuffled(features: np.ndarray, *, seed: int) -> np.ndarray:
    """A control: each column permuted on its own, so that the values of each dimension stay and no structure does."""
    return np.random.default_rng(seed).permuted(features, axis=0)


def pca(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture with the largest variance, and each axis's share of all variance."""
    model = PCA(2, svd_solver="full")
    return model.fit_transform(features), model.explained_variance_ratio_


def tsne(features: np.ndarray, *, perplexity: float = 30.0, seed: int, init: str = "pca") -> np.ndarray:
    """t-SNE keeps near rows near (van der Maaten & Hinton, JMLR 2008; Barnes-Hut: van der Maaten, JMLR 2014).

    Args:
        features: (n, d).
        perplexity: effective number of neighbours of a row; below n.
        seed: of the starting positions.
        init: "pca" starts from the two main axes, which keeps more of the large-scale layout (Kobak & Berens, Nature
            Communications 2019); "random" from noise, so that seeds show the effect of the start.

    Returns:
        (n, 2) float32.
    """
    model = TSNE(perplexity=perplexity, init=init, learning_rate="auto", max_iter=ITERATIONS, random_state=seed)
    with _two_threads():
        return model.fit_transform(np.asarray(features, dtype=np.float32))


def _two_threads() -> threadpool_limits:
    """At most two threads: the order of two partial sums changes nothing, so that a seed always gives the same."""
    return threadpool_limits(min(2, settings.threads()))


def nearest(features: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """(n, k) the k nearest other rows of each row (Euclidean), nearest first.

    Raises:
        ValueError: fewer than k other rows.
    """
    if not 1 <= k < len(features):
        raise ValueError(f"k={k} neighbours of {len(features)} rows: must lie between 1 and {len(features) - 1}")
    return NearestNeighbors(n_neighbors=k).fit(features).kneighbors(return_distance=False)


def neighbour_recall(features: np.ndarray, pairs, *, k: int = NEIGHBOURS) -> dict[str, float]:
    """Share of a row's partners among its k nearest neighbours.

    Args:
        features: (n, d), or a picture.
        pairs: (m, 2) row numbers, partners of each other; a row's pair with itself does not count.

    Returns:
        "recall", the mean over all rows with partners; "chance", of k neighbours at random; "rows" with partners.

    Raises:
        ValueError: no row has a partner.
    """
    both = np.asarray(pairs, dtype=int).reshape(-1, 2)
    links = np.unique(np.concatenate([both, both[:, ::-1]]), axis=0)
    links = links[links[:, 0] != links[:, 1]]
    if len(links) == 0:
        raise ValueError("no row has a partner: there is nothing to find among its neighbours")
    found = (nearest(features, k)[links[:, 0]] == links[:, 1:]).any(1)
    per_row = pd.Series(found).groupby(links[:, 0]).mean()
    return {"recall": float(per_row.mean()), "chance": k / (len(features) - 1), "rows": len(per_row)}


def neighbourhood_overlap(first: np.ndarray, second: np.ndarray, *, k: int = NEIGHBOURS) -> float:
    """Share of common k nearest neighbours (Lee & Verleysen, Neurocomputing 2009: Q_NX(k)); by chance k / (n - 1).

    Args:
        first, second: (n, any) vectors or pictures of the same rows.
    """
    ours, theirs = nearest(first, k), nearest(second, k)
    return float((ours[:, :, None] == theirs[:, None, :]).any(2).mean())


def kmeans(features: np.ndarray, k: int, *, seed: int, starts: int = 10) -> np.ndarray:
    """(n,) cluster of each row, numbered from the largest cluster on; best of several k-means++ starts.

    Raises:
        ValueError: more clusters than rows.
    """
    with _two_threads():
        labels = KMeans(k, n_init=starts, random_state=seed).fit_predict(np.asarray(features, dtype=np.float64))
    return _largest_first(labels, k)


def communities(features: np.ndarray, k: int, *, seed: int, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """(n,) cluster of each row in the graph of nearest neighbours, numbered from the largest on.

    Spectral clustering (Shi & Malik, IEEE PAMI 2000) uses nearness alone: it finds clusters of any shape, where k-means
    finds blobs around a centre.

    Raises:
        ValueError: more clusters than rows, or not enough rows for so many neighbours.
    """
    if not max(k, neighbours) <= len(features):
        raise ValueError(f"k={k} clusters and {neighbours} neighbours of {len(features)} rows: more than there are")
    model = SpectralClustering(k, affinity="nearest_neighbors", n_neighbors=neighbours, random_state=seed)
    with _two_threads():
        return _largest_first(model.fit_predict(np.asarray(features, dtype=np.float64)), k)


def _largest_first(labels: np.ndarray, k: int) -> np.ndarray:
    order = np.argsort(-np.bincount(labels, minlength=k), kind="stable")
    return np.argsort(order)[labels]


def silhouettes(features: np.ndarray, counts: Iterable[int], *, seed: int, starts: int = 3) -> dict[int, float]:
    """k -> mean silhouette of kmeans() (Rousseeuw 1987): near 1 for clusters well apart, about 0 for arbitrary cuts."""
    return {k: float(silhouette_score(features, kmeans(features, k, seed=seed, starts=starts))) for k in counts}


def stability(
    features: np.ndarray, k: int, *, seeds: Iterable[int], cluster: Callable[..., np.ndarray] = kmeans
) -> float:
    """Mean adjusted Rand index between the clusters of any two seeds.

    Args:
        cluster: kmeans or communities.
    """
    labels = [cluster(features, k, seed=seed) for seed in seeds]
    return float(np.mean([adjusted_rand_score(one, other) for one, other in combinations(labels, 2)]))


def telling_words(
    texts: Sequence[str], labels: np.ndarray, *, top: int = 5, stop_words: Collection[str] = ()
) -> dict[int, list[str]]:
    """Cluster -> its distinctive words, most distinctive first; at most `top`, all more frequent inside than outside.

    A word's weight in a cluster is p log(p / q): p the share of the cluster's texts that hold it, q that of all texts.

    Args:
        texts: (n,) a word counts once per text.
        labels: (n,) cluster of each text.
    """
    counter = CountVectorizer(binary=True, token_pattern=WORD, stop_words=sorted(stop_words) or None)
    held = counter.fit_transform(texts)
    words, overall = counter.get_feature_names_out(), np.asarray(held.mean(axis=0)).ravel()
    found = {}
    for label in np.unique(labels):
        inside = np.asarray(held[np.flatnonzero(labels == label)].mean(axis=0)).ravel()
        weights = inside * np.log(np.maximum(inside, 1e-12) / overall)
        best = np.argsort(-weights, kind="stable")[:top]
        found[int(label)] = [str(words[i]) for i in best if weights[i] > 0]
    return found


def cluster_table(features: np.ndarray, labels: np.ndarray, words: Mapping[int, Sequence[str]]) -> pd.DataFrame:
    """A row per cluster: size, silhouette (mean over its rows) and words."""
    each = pd.Series(silhouette_samples(features, labels)).groupby(labels)
    return pd.DataFrame(
        {"size": each.size(), "silhouette": each.mean(), "words": {c: ", ".join(w) for c, w in words.items()}}
    )


def picture_facts(
    features: np.ndarray, pictures: Mapping[Name, np.ndarray], labels: np.ndarray, *, seed: int, k: int = NEIGHBOURS
) -> pd.DataFrame:
    """How faithful each picture is to the vectors, a row per picture.

    Args:
        features: (n, d) the vectors that the pictures show.
        labels: (n,) clusters of the vectors.
        seed: of kmeans() on the pictures.

    Returns:
        trustworthiness (Venna & Kaski 2001): 1 where all neighbours in the picture are neighbours among the vectors;
        overlap, as in neighbourhood_overlap(); adjusted_rand (Hubert & Arabie 1985) of `labels` and as many clusters
        found in the picture alone: 1 the same, about 0 by chance.
    """
    rows, clusters = {}, len(np.unique(labels))
    for name, picture in pictures.items():
        rows[name] = {
            "trustworthiness": trustworthiness(features, picture, n_neighbors=k),
            "overlap": neighbourhood_overlap(features, picture, k=k),
            "adjusted_rand": adjusted_rand_score(labels, kmeans(picture, clusters, seed=seed)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def agreement(pictures: Mapping[Name, np.ndarray], clusters: int, *, seed: int, k: int = NEIGHBOURS) -> pd.DataFrame:
    """Agreement of any two pictures of the same rows: first, second, overlap, adjusted_rand (of k-means)."""
    labels = {name: kmeans(picture, clusters, seed=seed) for name, picture in pictures.items()}
    rows = [
        {
            "first": one, "second": other, "overlap": neighbourhood_overlap(pictures[one], pictures[other], k=k),
            "adjusted_rand": adjusted_rand_score(labels[one], labels[other]),
        }
        for one, other in combinations(pictures, 2)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["first", "second", "overlap", "adjusted_rand"])


def together(labels: np.ndarray, pairs) -> dict[str, float]:
    """Share of the pairs with both rows in one cluster.

    Args:
        labels: (n,) cluster of each row.
        pairs: (m, 2) row numbers.

    Returns:
        "share" (NaN without pairs), and "chance", the share among all pairs of different rows.
    """
    first, second = np.asarray(pairs, dtype=int).reshape(-1, 2).T
    sizes, n = np.unique(labels, return_counts=True)[1], len(labels)
    share = float((labels[first] == labels[second]).mean()) if len(first) else float("nan")
    return {"share": share, "chance": float((sizes * (sizes - 1)).sum() / max(1, n * (n - 1)))}


def sharing_a_word(names: Sequence[str], *, ignored: Collection[str] = ()) -> np.ndarray:
    """(m, 2) pairs of names with a word in common, as CELLPHONE_COVERS and CELLPHONE_BATTERIES have.

    Args:
        names: words in any case, with "_" or spaces between.
        ignored: words, in lower case, that bind nothing.
    """
    words = [{word for word in name.lower().replace("_", " ").split() if word not in ignored} for name in names]
    rows = [(i, j) for i, j in combinations(range(len(names)), 2) if words[i] & words[j]]
    return np.array(rows, dtype=int).reshape(-1, 2)


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
    """The large picture: clusters coloured and named in place, pairs as lines, examples numbered.

    Args:
        links: kind of pair (at most two kinds) -> (m, 2) rows joined by a line.
        examples: pairs joined by a thick numbered line; their texts stand below the picture.
        points: row -> its label.
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
    """The figure as a PNG of 256 colours, a third of the bytes; it is closed, so that a notebook shows it once."""
    whole, small = BytesIO(), BytesIO()
    figure.savefig(whole, format="png", bbox_inches="tight")
    plt.close(figure)
    colors = PIL.Image.open(whole).convert("RGB").quantize(256, kmeans=2)
    colors.save(small, "PNG", optimize=True, dpi=(figure.dpi, figure.dpi))
    return Image(small.getvalue())


def cluster_counts(curves: Mapping[str, Mapping[int, float]], chosen: int) -> tuple[Figure, Axes]:
    """Silhouette against the number of clusters, one line per kind of vectors, the chosen number marked.

    Args:
        curves: what was clustered -> silhouettes().
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
        smooth: round dots; else small squares without soft edges, a third of the bytes in a PNG.
    """
    ax.scatter(
        *picture.T, s=size, c=np.array([color_of(label) for label in labels]), marker="o" if smooth else "s",
        antialiased=smooth, linewidths=0, rasterized=True, zorder=2,
    )  # fmt: skip
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set(visible=True, color="0.85")


def color_of(label: int) -> tuple[float, float, float]:
    """The colour of a cluster: ten strong ones, then ten pale ones, then again."""
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
    """Labels in the order in which they take their places: numbers of examples, clusters, single points."""
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
    """Write each label at the free place nearest to its anchor, with a thin line to it; no overlap, all inside."""
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
