"""Figures of the data itself (notebook 01), in the style of plots.py: data in, (figure, axes) out; Spanish labels."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from helpers.report.plots import COLORS, panels

GREY = "0.45"
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
READING_COLORS = {"label": COLORS[0], "both": COLORS[4], "alternative": COLORS[1], "neither": "0.7"}


def category_sizes(sizes: Mapping[str, pd.Series]) -> tuple[Figure, np.ndarray]:
    """Titles per category: by rank, and how many categories have each size.

    Args:
        sizes: subset -> titles of each category.
    """
    figure, axes = panels(2, width=5.5, height=3.6)
    largest = max(values.max() for values in sizes.values())
    for (name, values), color in zip(sizes.items(), COLORS, strict=False):
        ranked = values.sort_values(ascending=False).to_numpy()
        axes[0, 0].plot(np.arange(1, len(ranked) + 1), ranked, color=color, linewidth=2, label=name)
        axes[0, 0].axhline(ranked.mean(), color=color, linestyle=":", label=f"{name}, media: {ranked.mean():.1f}")
        axes[0, 1].hist(ranked, bins=30, color=color, alpha=0.8, label=name)
    axes[0, 0].set(xlabel="categorías, de la mayor a la menor", ylabel="títulos", title="Títulos por categoría")
    axes[0, 0].set(yscale="log" if largest > 1000 else "linear")
    if largest <= 1000:
        axes[0, 0].set_ylim(0)
    axes[0, 0].legend(fontsize=9)
    axes[0, 1].set(xlabel="títulos por categoría", ylabel="categorías", title="Cuántas categorías de cada tamaño")
    return figure, axes


def extremes(sizes: pd.Series, k: int = 10) -> tuple[Figure, np.ndarray]:
    """The k largest and the k smallest categories, on one scale, with the mean marked."""
    figure, axes = panels(2, width=5.5, height=0.26 * k + 0.9)
    ranked = sizes.sort_values(ascending=False, kind="stable")
    sides = ((ranked.head(k)[::-1], COLORS[0], "Las mayores"), (ranked.tail(k)[::-1], COLORS[1], "Las menores"))
    for ax, (values, color, title) in zip(axes[0], sides, strict=True):
        ax.barh(values.index, values, color=color, height=0.7)
        for y, value in enumerate(values):
            ax.text(value, y, f" {value}", va="center", fontsize=8)
        ax.axvline(sizes.mean(), color=GREY, linestyle=":", linewidth=1.5)
        ax.set(xlabel="títulos (línea: la media)", title=title, xlim=(0, sizes.max() * 1.12))
        ax.tick_params(axis="y", labelsize=8)
        ax.grid(axis="y", visible=False)
    return figure, axes


def row_order(codes: np.ndarray, *, batch: int, seed: int) -> tuple[Figure, np.ndarray]:
    """Category of every row in the order of the file, and how many categories a batch holds with and without shuffling.

    Args:
        codes: (rows,) category numbers by order of appearance.
    """
    figure, axes = panels(2, width=5.5, height=3.4)
    shuffled = np.random.default_rng(seed).permutation(codes)
    shown = np.arange(0, len(codes), max(1, len(codes) // 300))
    axes[0, 0].plot(shown, shuffled[shown], "o", markersize=2, color=COLORS[4], label="mezclado")
    axes[0, 0].plot(shown, codes[shown], color=COLORS[0], linewidth=2.5, label="como está")
    axes[0, 0].set(xlabel="fila del archivo", ylabel="categoría (orden de aparición)", title="El orden de las filas")
    for values, color in ((codes, COLORS[0]), (shuffled, COLORS[4])):
        counts = [len(np.unique(values[i : i + batch])) for i in range(0, len(values) - batch + 1, batch)]
        axes[0, 1].hist(counts, bins=np.arange(0, max(counts) + 2) - 0.5, color=color)
    axes[0, 1].set(xlabel=f"categorías distintas en un lote de {batch}", ylabel="lotes", title="Qué ve cada lote")
    axes[0, 0].xaxis.set_major_formatter(THOUSANDS)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), ncols=2, loc="outside upper center", fontsize=9)
    return figure, axes


def lengths(characters: pd.Series, words: pd.Series, *, limit: int) -> tuple[Figure, np.ndarray]:
    """Histograms of title length; `limit` is the longest title that the site takes."""
    figure, axes = panels(2, width=5.5, height=3.4)
    axes[0, 0].hist(characters, bins=np.arange(0.5, characters.max() + 1.5), color=COLORS[0])
    axes[0, 0].axvline(limit, color=COLORS[1], linestyle=":", label=f"tope de {limit}")
    axes[0, 0].set(xlabel="caracteres por título", ylabel="títulos", title="Caracteres")
    axes[0, 0].legend(loc="upper left")
    axes[0, 1].hist(words, bins=np.arange(0.5, words.max() + 1.5), color=COLORS[2], rwidth=0.85)
    axes[0, 1].axvline(words.median(), color=COLORS[1], linestyle=":", label=f"mediana: {words.median():.0f}")
    axes[0, 1].set(xlabel="palabras por título", ylabel="títulos", title="Palabras")
    axes[0, 1].legend()
    for ax in axes[0]:
        ax.yaxis.set_major_formatter(THOUSANDS)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    return figure, axes


def zipf(counts: pd.Series, slope: float, growth: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Rank and frequency with the fitted slope, what the most frequent words cover, and growth of the vocabulary.

    Args:
        counts: occurrences, most frequent first.
        growth: columns read, distinct.
    """
    figure, axes = panels(3, width=3.8, height=3.2)
    ranks, values = np.arange(1, len(counts) + 1), counts.to_numpy()
    anchor = min(100, len(counts)) - 1
    axes[0, 0].loglog(ranks, values, color=COLORS[0], linewidth=2, label="palabras")
    line = values[anchor] * (ranks / ranks[anchor]) ** slope
    axes[0, 0].loglog(ranks, line, ":", color=COLORS[1], label=f"pendiente {slope:.2f}")
    axes[0, 0].set(xlabel="rango", ylabel="apariciones", title="Ley de Zipf", ylim=(0.7, values[0] * 2))
    axes[0, 0].legend()
    axes[0, 1].semilogx(ranks, values.cumsum() / values.sum(), color=COLORS[2], linewidth=2)
    axes[0, 1].set(xlabel="palabras más frecuentes", ylabel="apariciones cubiertas", title="Cobertura")
    axes[0, 1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 2].plot(growth["read"] / 1000, growth["distinct"] / 1000, color=COLORS[3], linewidth=2)
    axes[0, 2].set(xlabel="miles de palabras leídas", ylabel="miles de palabras distintas", title="Vocabulario")
    return figure, axes


def word_bars(words: Mapping[str, pd.Series], *, columns: int = 3, xlabel: str) -> tuple[Figure, np.ndarray]:
    """One small panel of horizontal bars per category, longest bar at the top.

    Args:
        words: category -> word -> share of its titles.
    """
    rows = -(-len(words) // columns)
    figure, axes = panels(columns, rows, width=3.5, height=2.1)
    for ax, (name, shares), color in zip(axes.flat, words.items(), COLORS * rows, strict=False):
        ax.barh(shares.index[::-1], shares[::-1], color=color)
        ax.set_title(name, fontsize=9)
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.grid(axis="y", visible=False)
        ax.tick_params(labelsize=8)
    for ax in axes[-1]:
        ax.set_xlabel(xlabel, fontsize=9)
    for ax in list(axes.flat)[len(words) :]:
        ax.set_visible(False)
    return figure, axes


def similarity_map(similarity: np.ndarray, names: Sequence[str], *, label: str) -> tuple[Figure, Axes]:
    """Clustered heat map: average linkage on 1 - similarity, leaves in the order that puts like beside like.

    Args:
        similarity: (n, n) symmetric, 1 on the diagonal, which is left blank.
    """
    distance = squareform(np.clip(1 - similarity, 0, None), checks=False)
    order = leaves_list(linkage(distance, "average", optimal_ordering=True))
    shown = similarity[np.ix_(order, order)].copy()
    np.fill_diagonal(shown, np.nan)
    figure, axes = panels(width=9, height=0.2 * len(names) + 1)
    ax, top = axes[0, 0], np.nanmax(shown)
    image = ax.imshow(shown, cmap=plt.get_cmap("YlGnBu", 10), vmin=0, vmax=top, aspect="auto")
    for row, column in zip(*np.nonzero(shown >= top / 3), strict=True):
        value, color = shown[row, column], "white" if shown[row, column] > 0.6 * top else "black"
        ax.text(column, row, f"{value:.2f}"[1:], ha="center", va="center", fontsize=7, color=color)
    ticks = range(len(names))
    ax.set_xticks(ticks, [tick + 1 for tick in ticks], fontsize=7)
    ax.set_yticks(ticks, [f"{names[i]}  {tick + 1}" for tick, i in zip(ticks, order, strict=True)], fontsize=8)
    ax.grid(visible=False)
    ax.set(xlabel="las mismas categorías, por su número")
    figure.colorbar(image, ax=ax, shrink=0.6, label=label)
    return figure, ax


def twin_scores(table: pd.DataFrame, *, metric: str, label: str) -> tuple[Figure, np.ndarray]:
    """Score with the twins left in train and taken out, one panel a model: a dot a split, a line for the mean.

    Args:
        table: columns model, group, twins (what was done with them), split_seed and the metric.
    """
    models = list(dict.fromkeys(table["model"]))
    figure, axes = panels(len(models), width=5.2, height=3.2)
    for ax, model in zip(axes[0], models, strict=True):
        part = table[table["model"] == model]
        groups = list(dict.fromkeys(part["group"]))
        for (name, rows), color, shift in zip(
            part.groupby("twins", sort=False), COLORS[:2], (0.14, -0.14), strict=True
        ):
            height = len(groups) - 1 - rows["group"].map(groups.index) + shift
            ax.plot(rows[metric], height, "o", color=color, alpha=0.7, label=name)
            for y, values in rows.groupby(height)[metric]:
                ax.plot([values.mean()] * 2, [y - 0.1, y + 0.1], color=color, linewidth=2.5)
        ax.set_yticks(range(len(groups)), groups[::-1])
        ax.set(xlabel=label, title=model, ylim=(-0.5, len(groups) - 0.5))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), ncols=2, loc="outside upper center", fontsize=9)
    return figure, axes


def score_by(groups: Mapping[str, pd.DataFrame], *, label: str) -> tuple[Figure, np.ndarray]:
    """Score by bins of something (line, right scale) over how many titles each bin has (bars, left scale).

    Args:
        groups: name of what is binned -> index bin, columns rows and score.
    """
    figure, axes = panels(len(groups), width=4, height=3.2)
    for ax, (name, table) in zip(axes[0], groups.items(), strict=True):
        ax.bar(range(len(table)), table["rows"], color="0.85")
        ax.set_xticks(range(len(table)), table.index, rotation=45, ha="right", fontsize=8)
        ax.set(xlabel=name)
        ax.grid(visible=False)
        other = ax.twinx()
        other.plot(range(len(table)), table["score"], "o-", color=COLORS[1], linewidth=2)
        other.set(ylim=(0, 1.03))
        other.set_ylabel(label if ax is axes[0, -1] else "", color=COLORS[1])
        other.set_zorder(ax.get_zorder() + 1)
    axes[0, 0].set_ylabel("títulos (barras)")
    return figure, axes


def recall_scatter(table: pd.DataFrame, causes: Mapping[str, str], *, named: int = 6) -> tuple[Figure, np.ndarray]:
    """Recall of every category against what may explain it, one panel a cause; the worst categories are named.

    Args:
        table: index category, columns recall and the causes.
        causes: column -> label of its axis.
    """
    figure, axes = panels(len(causes), width=4.4, height=4)
    worst = table.nsmallest(named, "recall")
    for ax, (column, label) in zip(axes[0], causes.items(), strict=True):
        ax.plot(table[column], table["recall"], "o", color="0.75", markersize=3.5)
        for (name, row), color in zip(worst.iterrows(), COLORS, strict=False):
            ax.plot(row[column], row["recall"], "o", color=color, markersize=6.5, label=name)
        ax.set(xlabel=label, xlim=(0, table[column].max() * 1.05))
    axes[0, 0].set_ylabel("exhaustividad (recall)")
    title = {"title": "las de menor exhaustividad", "title_fontsize": 8, "fontsize": 8}
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center", **title)
    return figure, axes


def reading_bars(shares: pd.DataFrame, names: Mapping[str, str], *, counts: pd.Series) -> tuple[Figure, Axes]:
    """What a reader said of the titles of each stratum, one stacked bar a stratum.

    Args:
        shares: index stratum (shown as it stands), columns judgement, rows sum to 1.
        names: judgement -> name shown.
        counts: titles read per stratum.
    """
    figure, axes = panels(width=9.5, height=0.5 * len(shares) + 1.5)
    ax, left = axes[0, 0], np.zeros(len(shares))
    for judgement, name in names.items():
        values = shares[judgement].to_numpy()[::-1]
        ax.barh(range(len(shares)), values, left=left, color=READING_COLORS[judgement], label=name, height=0.65)
        for y, (start, value) in enumerate(zip(left, values, strict=True)):
            if value >= 0.04:
                ax.text(start + value / 2, y, f"{value:.0%}", ha="center", va="center", fontsize=9, color="white")
        left += values
    ax.set_yticks(range(len(shares)), [f"{name} ({counts[name]})" for name in shares.index[::-1]])
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(xlabel="títulos leídos", xlim=(0, 1))
    ax.grid(axis="y", visible=False)
    ax.legend(ncols=len(names), fontsize=9, loc="lower center", bbox_to_anchor=(0.4, 1))
    return figure, ax
