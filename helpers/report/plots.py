"""One style for every figure; each function takes data and returns (figure, axes). Labels in Spanish."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.calibration import calibration_curve

COLORS = ("#2f6f9f", "#d1603d", "#4b8b5b", "#8a5a9e", "#b8902f", "#5c6670", "#c2558a", "#3aa6a6")
STYLE = {
    "figure.dpi": 100, "savefig.dpi": 100, "figure.constrained_layout.use": True, "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
    "axes.axisbelow": True, "axes.titlesize": 11, "legend.frameon": False,
    "axes.prop_cycle": plt.cycler(color=COLORS),
}  # fmt: skip


def panels(columns: int = 1, rows: int = 1, *, width: float = 5.5, height: float = 3.6) -> tuple[Figure, np.ndarray]:
    """Figure and (rows, columns) array of axes in the house style; inches per panel."""
    plt.rcParams.update(STYLE)
    return plt.subplots(rows, columns, figsize=(columns * width, rows * height), squeeze=False)


def training_curves(
    histories: Mapping[str, pd.DataFrame], *, metric: str = "accuracy", metric_label: str = "exactitud"
) -> tuple[Figure, np.ndarray]:
    """Loss and a metric by epoch: training dashed, validation solid, a dot on the epoch that was kept.

    Args:
        histories: name -> History.frame().
    """
    figure, axes = panels(2)
    for (name, frame), color in zip(histories.items(), _colors(len(histories)), strict=True):
        for ax, column in zip(axes[0], ("loss", metric), strict=True):
            validated = f"valid_{column}" in frame
            ax.plot(frame["epoch"], frame[f"train_{column}"], "--", color=color, label=None if validated else name)
            if validated:
                best = frame["valid_loss"].idxmin()
                ax.plot(frame["epoch"], frame[f"valid_{column}"], color=color, label=name)
                ax.plot(frame["epoch"][best], frame[f"valid_{column}"][best], "o", color=color)
    axes[0, 0].set(xlabel="época", ylabel="pérdida (entropía cruzada)", title="Pérdida", yscale="log")
    axes[0, 1].set(xlabel="época", ylabel=metric_label, title=metric_label.capitalize())
    for ax in axes[0]:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    validated = any("valid_loss" in frame for frame in histories.values())
    axes[0, 1].legend(
        title="— validación  - - entrenamiento" if validated else "- - entrenamiento", fontsize=9, title_fontsize=8
    )
    return figure, axes


def scores(table: pd.DataFrame, metric: str, *, by: str = "model", label: str, names: Mapping[str, str] | None = None):
    """Every split a dot, mean and standard deviation beside, best mean at the top.

    Args:
        table: one row per model and split.
        names: by -> name shown.
    """
    order = table.groupby(by)[metric].mean().sort_values().index
    figure, axes = panels(width=8, height=0.45 * len(order) + 1.2)
    ax = axes[0, 0]
    for y, key in enumerate(order):
        values = table.loc[table[by] == key, metric]
        ax.plot(values, np.full(len(values), y), "o", color=COLORS[0], alpha=0.35, markersize=5)
        ax.errorbar(values.mean(), y, xerr=values.std(), fmt="D", color=COLORS[1], capsize=4, markersize=6)
    ax.set_yticks(range(len(order)), [(names or {}).get(key, key) for key in order])
    ax.set(xlabel=f"{label} (punto: una partición; rombo: media ± desviación típica)", ylim=(-0.6, len(order) - 0.4))
    return figure, axes


def curves(
    lines: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: bool = False,
    start: int = 0,
) -> tuple[Figure, Axes]:
    """Several series over 0, 1, 2, …; "*" at the end of a name dashes it; trained and untrained share a colour."""
    figure, axes = panels(width=9, height=3.8)
    ax = axes[0, 0]
    groups = {group: COLORS[i % len(COLORS)] for i, group in enumerate(dict.fromkeys(map(_group, lines)))}
    for name, values in lines.items():
        style = "--" if name.endswith("*") else "-"
        ax.plot(range(start, start + len(values)), values, style, color=groups[_group(name)], label=name.rstrip("*"))
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, yscale="log" if log else "linear")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure, ax


def calibration(targets, probabilities: Mapping[str, Sequence[float]], *, bins: int = 8) -> tuple[Figure, np.ndarray]:
    """Reliability curve in bins of equal width, and the histogram of the probabilities."""
    figure, axes = panels(2)
    axes[0, 0].plot([0, 1], [0, 1], ":", color="0.4", label="calibración perfecta")
    for name, values in probabilities.items():
        observed, predicted = calibration_curve(targets, values, n_bins=bins, strategy="uniform")
        axes[0, 0].plot(predicted, observed, "o-", label=name)
        axes[0, 1].hist(values, bins=20, range=(0, 1), histtype="step", linewidth=1.8, label=name)
    axes[0, 0].set(xlabel="probabilidad de spam predicha", ylabel="proporción de spam observada", title="Calibración")
    axes[0, 0].legend(fontsize=9)
    axes[0, 1].set(
        xlabel="probabilidad de spam predicha", ylabel="mensajes (escala log)", yscale="log", title="Cuántos mensajes"
    )
    return figure, axes


def words(effects: pd.Series, *, xlabel: str, title: str = "") -> tuple[Figure, Axes]:
    """Horizontal bars, one per word, coloured by sign."""
    effects = effects.sort_values()
    figure, axes = panels(width=7, height=0.24 * len(effects) + 1)
    ax = axes[0, 0]
    ax.barh(effects.index, effects, color=np.where(effects > 0, COLORS[1], COLORS[0]))
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.set(xlabel=xlabel, title=title)
    ax.margins(y=0.01)
    return figure, ax


def _group(name: str) -> str:
    head, comma, tail = name.rpartition(", ")
    return head if comma and tail in ("sin entrenar*", "entrenada") else name


def _colors(count: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(count)]
