"""One style for every figure: data in, (figure, axes) out; labels in Spanish."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLORS = ("#2f6f9f", "#d1603d", "#4b8b5b", "#8a5a9e", "#b8902f", "#5c6670", "#c2558a", "#3aa6a6")
STYLE = {
    "figure.dpi": 100, "savefig.dpi": 100, "figure.constrained_layout.use": True, "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
    "axes.axisbelow": True, "axes.titlesize": 11, "legend.frameon": False,
    "axes.prop_cycle": plt.cycler(color=COLORS),
}  # fmt: skip


def panels(columns: int = 1, rows: int = 1, *, width: float = 5.5, height: float = 3.6) -> tuple[Figure, np.ndarray]:
    """Figure and (rows, columns) array of axes in the one style; inches per panel."""
    plt.rcParams.update(STYLE)
    return plt.subplots(rows, columns, figsize=(columns * width, rows * height), squeeze=False)


def course(
    ax: Axes, x, frame: pd.DataFrame, column: str, *, kept: int | None, color: str, train: dict, valid: dict, dot: dict
) -> None:
    """One column of a History on one panel: training dashed, validation solid, a dot on the epoch that was kept.

    A side that the history lacks is left out.

    Args:
        x: (epochs,) where each epoch stands.
        frame: History.frame().
        column: without train_ or valid_.
        kept: position of the epoch that was kept; None for no dot.
        train, valid, dot: how each is drawn besides (a label, a marker).
    """
    x = np.asarray(x)
    for side, line, options in (("train", "--", train), ("valid", "-", valid)):
        if f"{side}_{column}" in frame:
            ax.plot(x, frame[f"{side}_{column}"], line, color=color, **options)
    if kept is not None and f"valid_{column}" in frame:
        ax.plot(x[kept], frame[f"valid_{column}"].iloc[kept], "o", color=color, **dot)


def training_curves(
    histories: Mapping[str, pd.DataFrame], *, metric: str = "accuracy", metric_label: str = "exactitud"
) -> tuple[Figure, np.ndarray]:
    """Loss and a metric by epoch, one colour a model; kept is the epoch with the least validation loss.

    Args:
        histories: name -> History.frame().
    """
    figure, axes = panels(2)
    for number, (name, frame) in enumerate(histories.items()):
        kept = int(frame["valid_loss"].argmin()) if "valid_loss" in frame else None
        for ax, column in zip(axes[0], ("loss", metric), strict=True):
            train = {} if f"valid_{column}" in frame else {"label": name}  # one entry of the legend a model
            color = COLORS[number % len(COLORS)]
            course(
                ax, frame["epoch"], frame, column, kept=kept, color=color, train=train, valid={"label": name}, dot={}
            )
    axes[0, 0].set(xlabel="época", ylabel="pérdida (entropía cruzada)", title="Pérdida", yscale="log")
    axes[0, 1].set(xlabel="época", ylabel=metric_label, title=metric_label.capitalize())
    for ax in axes[0]:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    validated = any("valid_loss" in frame for frame in histories.values())
    title = "— validación  - - entrenamiento" if validated else "- - entrenamiento"
    axes[0, 1].legend(title=title, fontsize=9, title_fontsize=8)
    return figure, axes


def scores(
    table: pd.DataFrame, metric: str, *, by: str = "model", label: str, names: Mapping[str, str] | None = None,
    note: str = " (punto: una partición; rombo: media ± desviación típica)",
    reference: tuple[str, float] | None = None, size: tuple[float, float, float] = (8, 0.45, 1.2),
) -> tuple[Figure, np.ndarray]:  # fmt: skip
    """Every run a dot, mean and standard deviation beside, best mean at the top.

    Args:
        table: one row per model and run.
        names: by -> name shown.
        note: behind the label, what dot and diamond stand for.
        reference: name and value of a dashed line.
        size: width, height per model and height besides, in inches.
    """
    order = table.groupby(by)[metric].mean().sort_values().index
    figure, axes = panels(width=size[0], height=size[1] * len(order) + size[2])
    ax = axes[0, 0]
    for y, key in enumerate(order):
        values = table.loc[table[by] == key, metric]
        ax.plot(values, np.full(len(values), y), "o", color=COLORS[0], alpha=0.35, markersize=5)
        spread = values.std() if len(values) > 1 else None
        ax.errorbar(values.mean(), y, xerr=spread, fmt="D", color=COLORS[1], capsize=4, markersize=6)
    if reference is not None:
        ax.axvline(reference[1], color=COLORS[2], linestyle="--", label=reference[0])
        ax.legend(fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    ax.set_yticks(range(len(order)), [(names or {}).get(key, key) for key in order])
    ax.set(xlabel=label + note, ylim=(-0.6, len(order) - 0.4))
    return figure, axes


def curves(
    lines: Mapping[str, Sequence[float]], *, xlabel: str, ylabel: str, title: str = "", log: bool = False,
    start: int = 0,
) -> tuple[Figure, Axes]:  # fmt: skip
    """Several series over start, start + 1, …; "x, sin entrenar*" (dashed) and "x, entrenada" share a colour."""
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


def _group(name: str) -> str:
    head, comma, tail = name.rpartition(", ")
    return head if comma and tail in ("sin entrenar*", "entrenada") else name


def calibration(targets, probabilities: Mapping[str, Sequence[float]], *, bins: int = 8) -> tuple[Figure, np.ndarray]:
    """Reliability curve in bins of equal width, and the histogram of the probabilities."""
    from sklearn.calibration import calibration_curve

    figure, axes = panels(2)
    axes[0, 0].plot([0, 1], [0, 1], ":", color="0.4", label="calibración perfecta")
    for name, values in probabilities.items():
        observed, predicted = calibration_curve(targets, values, n_bins=bins, strategy="uniform")
        axes[0, 0].plot(predicted, observed, "o-", label=name)
        axes[0, 1].hist(values, bins=20, range=(0, 1), histtype="step", linewidth=1.8, label=name)
    label = "probabilidad de spam predicha"
    axes[0, 0].set(xlabel=label, ylabel="proporción de spam observada", title="Calibración")
    axes[0, 0].legend(fontsize=9)
    axes[0, 1].set(xlabel=label, ylabel="mensajes (escala log)", yscale="log", title="Cuántos mensajes")
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


def wilson(hits, counts) -> np.ndarray:
    """(2, n) lower and upper ends of the 95% interval of each share of hits (Wilson 1927)."""
    from scipy.stats import binomtest

    tests = (binomtest(hit, count) for hit, count in zip(hits, counts, strict=True))
    return np.array([test.proportion_ci(method="wilson") for test in tests]).T
