"""Figures of the preparation of titles: what the steps do, what a dictionary covers, where padding goes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import StrMethodFormatter

from helpers.report.plots import COLORS, panels

STEP_LABELS = {
    "lower_case": "minúsculas",
    "strip_tags": "quitar etiquetas",
    "split_alphanumerics": "separar letras y números",
    "punctuation_to_spaces": "puntuación → espacio",
    "drop_other_signs": "quitar los demás signos",
    "collapse_spaces": "juntar espacios",
    "drop_digits": "quitar dígitos",
    "drop_short": "quitar las de 1 o 2 letras",
}


def step_effects(table: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Tokens and distinct words after each step, first step at the top.

    Args:
        table: indexed by the name shown, columns "tokens" and "distinct".
    """
    figure, axes = panels(2, width=5.2, height=0.36 * len(table) + 1.1)
    titles = {"tokens": "Tokens en total", "distinct": "Palabras distintas"}
    for ax, (column, title), color in zip(axes[0], titles.items(), COLORS, strict=False):
        bars = ax.barh(table.index, table[column] / 1000, color=color)
        ax.bar_label(bars, fmt="{:.1f}", padding=3, fontsize=9)
        ax.set(xlabel="miles", title=title)
        ax.margins(x=0.14)
        ax.invert_yaxis()
    axes[0, 1].set_yticklabels([])
    return figure, axes


def coverage(counts: Sequence[int], covered: Mapping[str, Sequence[int]]) -> tuple[Figure, Axes]:
    """Share of tokens in the k most frequent training words, against k.

    Args:
        counts: how often each word stands in training, falling.
        covered: name of a side -> how often each of these words stands there, and, last, how many tokens are none of
            them.
    """
    counts = np.asarray(counts)
    figure, axes = panels(width=7.5, height=3.6)
    ax = axes[0, 0]
    for (name, values), color, style in zip(covered.items(), COLORS, ("-", "--", ":"), strict=False):
        share = 100 * np.cumsum(values[:-1]) / np.sum(values)
        ax.plot(np.arange(1, len(share) + 1), share, style, color=color, linewidth=2, label=name)
    for least in (2, 5):
        size = int((counts >= least).sum())
        if size:
            ax.axvline(size, color="0.5", linewidth=0.9, linestyle=":")
            ax.annotate(
                f"vistas {least} veces o más: {size:,}", (size, 3), rotation=90, fontsize=8, color="0.35",
                ha="right", va="bottom",
            )  # fmt: skip
    ax.set(xscale="log", ylim=(0, 101), xlabel="palabras en el diccionario, las más frecuentes (escala log)",
           ylabel="% de los tokens con índice propio")  # fmt: skip
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.legend(loc="upper left")
    return figure, ax


def padding(batches: Mapping[str, Sequence[int]]) -> tuple[Figure, np.ndarray]:
    """One batch per panel, a row per title: which positions hold a token and which padding.

    Args:
        batches: title of the panel -> lengths of the sequences.
    """
    figure, axes = panels(len(batches), width=3.3, height=3.4)
    widest = max(max(lengths) for lengths in batches.values())
    for ax, (name, lengths) in zip(axes[0], batches.items(), strict=True):
        lengths = np.asarray(lengths)
        is_token = np.arange(lengths.max()) < lengths[:, None]
        ax.imshow(is_token, aspect="auto", cmap=ListedColormap(["#e8d9c6", COLORS[0]]), vmin=0, vmax=1,
                  interpolation="nearest", extent=(0.5, lengths.max() + 0.5, len(lengths), 0))  # fmt: skip
        ax.set(xlim=(0.5, widest + 0.5), xlabel="posición en el título", title=name)
        ax.grid(False)
    axes[0, 0].set_ylabel("título del lote")
    handles = [Patch(color=COLORS[0], label="token"), Patch(color="#e8d9c6", label="relleno")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure, axes
