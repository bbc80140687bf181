"""Notebook 03: the search in one figure, learning curves, and where a title classifier fails, down to single words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from helpers.model.explain import occlusion
from helpers.report.plots import COLORS, panels, wilson


def by_category(frame: pd.DataFrame) -> pd.DataFrame:
    """titles, recall and mostly (the commonest wrong prediction) of every category, worst first.

    Args:
        frame: category and predicted (both names), a row per title.
    """
    wrong = frame[frame["category"] != frame["predicted"]]
    table = pd.DataFrame({"titles": frame.groupby("category").size()})
    table["recall"] = (frame["category"] == frame["predicted"]).groupby(frame["category"]).mean()
    table["mostly"] = wrong.groupby("category")["predicted"].agg(lambda names: names.value_counts().index[0])
    return table.sort_values(["recall", "titles"])


def confused_pairs(frame: pd.DataFrame, count: int = 15) -> pd.DataFrame:
    """The pairs of categories most often mistaken for each other, both directions together.

    Args:
        frame: category and predicted (both names), a row per title.

    Returns:
        first, second, first_as_second and second_as_first (titles), share (of the titles of both), errors.
    """
    sizes = frame["category"].value_counts()
    wrong = frame[frame["category"] != frame["predicted"]]
    flows = wrong.groupby(["category", "predicted"]).size()
    rows = []
    for first, second in {tuple(sorted(pair)) for pair in flows.index}:
        there, back = int(flows.get((first, second), 0)), int(flows.get((second, first), 0))
        rows.append((first, second, there, back, (there + back) / (sizes.get(first, 0) + sizes.get(second, 0))))
    table = pd.DataFrame(rows, columns=["first", "second", "first_as_second", "second_as_first", "share"])
    table["errors"] = table["first_as_second"] + table["second_as_first"]
    return table.sort_values(["errors", "first"], ascending=[False, True]).head(count).reset_index(drop=True)


def accuracy_by(frame: pd.DataFrame, values: pd.Series, edges: Sequence[float]) -> pd.DataFrame:
    """Accuracy of each model in bins of `values`, and the titles in each bin.

    Args:
        frame: booleans (right or wrong), a column per model, a row per title.
        values: what is binned, one per title.
        edges: of the bins, [low, high); the last one holds all above.
    """
    inside = pd.cut(values, [*edges, np.inf], right=False)
    return frame.groupby(inside, observed=True).mean().assign(titles=inside.value_counts(sort=False))


def word_effects(predict_proba: Callable[[list[str]], np.ndarray], title: str, target: int) -> pd.Series:
    """What every word of a title adds to the log-odds of a class (occlusion), for any classifier of raw titles."""
    words = title.split()

    def log_odds(kept: np.ndarray) -> np.ndarray:
        titles = [" ".join(compress(words, row)) for row in kept]
        p = predict_proba(titles)[:, target].astype(float).clip(1e-9, 1 - 1e-9)
        return np.log(p / (1 - p))

    return pd.Series(occlusion(len(words), log_odds), index=words)


def unknown_share(words: pd.Series, folds: Iterable[tuple[np.ndarray, np.ndarray]]) -> pd.Series:
    """Share of a title's words not seen in training, in the fold that tests it.

    Args:
        words: a list of words per title.
        folds: (train rows, test rows), every row tested once.
    """
    shares = pd.Series(0.0, index=words.index)
    for train, test in folds:
        known = {word for row in words.iloc[train] for word in row}
        shares.iloc[test] = [sum(word not in known for word in row) / len(row) for row in words.iloc[test]]
    return shares


def parallel_coordinates(table: pd.DataFrame, columns: Sequence[str], score: str, *, label: str) -> tuple[Figure, Axes]:
    """One line per configuration across its settings, coloured by its score; the values of a setting evenly spaced.

    Args:
        table: one row per configuration.
        columns: settings, one vertical axis each.
        score: column that colours the lines; its own axis is the last.
        label: of the score.
    """
    figure, axes = panels(width=11, height=4.6)
    ax, shown = axes[0, 0], [*columns, score]
    norm = Normalize(table[score].min(), table[score].max())
    places = {}
    for x, column in enumerate(columns):
        values = sorted(table[column].unique(), key=lambda v: (isinstance(v, str), v))
        places[column] = {v: i / max(1, len(values) - 1) for i, v in enumerate(values)}
        for value, y in places[column].items():
            text = f"{value:g}" if isinstance(value, float) else str(value)
            box = {"facecolor": "white", "alpha": 0.7, "pad": 0.5, "lw": 0}
            ax.annotate(text, (x, y), (3, 4), fontsize=8, textcoords="offset points", bbox=box)
        ax.axvline(x, color="0.75", linewidth=0.8)
    jitter = np.random.default_rng(0).uniform(-0.015, 0.015, (len(table), len(columns)))
    for number, row in enumerate(table.sort_values(score).to_dict("records")):
        heights = [places[c][row[c]] + jitter[number, i] for i, c in enumerate(columns)] + [norm(row[score])]
        ax.plot(range(len(shown)), heights, color=colormaps["viridis"](norm(row[score])), alpha=0.75, linewidth=1.4)
    ax.set_xticks(range(len(shown)), [*columns, "resultado"], rotation=25, ha="right")
    ax.set(yticks=[], ylim=(-0.06, 1.1))
    ax.grid(visible=False)
    figure.colorbar(ScalarMappable(norm, "viridis"), ax=ax, label=label, pad=0.01)
    return figure, ax


def learning_curve(table: pd.DataFrame, metric: str, *, names: Mapping[str, str], label: str) -> tuple[Figure, Axes]:
    """A metric against the number of training titles (log scale), one line per model, with its interval.

    Args:
        table: model, train_titles, the metric, test_low, test_high.
    """
    figure, axes = panels(width=7.5, height=4.2)
    ax = axes[0, 0]
    for (model, rows), color in zip(table.groupby("model", sort=False), COLORS, strict=False):
        rows = rows.sort_values("train_titles")
        ax.plot(rows["train_titles"], rows[metric], "o-", color=color, label=names.get(model, model))
        ax.fill_between(rows["train_titles"], rows["test_low"], rows["test_high"], color=color, alpha=0.15)
    sizes = sorted(table["train_titles"].unique())
    ax.set(xscale="log", xlabel="títulos de entrenamiento (escala log)", ylabel=label)
    ax.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
    ax.minorticks_off()
    ax.legend()
    return figure, ax


def accuracy_points(tables: Mapping[str, pd.DataFrame], *, names: Mapping[str, str]) -> tuple[Figure, np.ndarray]:
    """Accuracy of each model in bins of something, with Wilson's 95% interval; one panel per table of accuracy_by().

    Args:
        tables: what is binned -> table; its columns but `titles` are models.
    """
    figure, axes = panels(len(tables), height=3.8)
    for ax, (label, table) in zip(axes[0], tables.items(), strict=True):
        models = [column for column in table if column != "titles"]
        positions, step = np.arange(len(table)), 0.24 / len(models)
        for i, model in enumerate(models):
            places = positions + (i - (len(models) - 1) / 2) * step
            style = {"fmt": "o", "capsize": 3, "color": COLORS[i], "label": names[model]}
            bounds = wilson((table[model] * table["titles"]).round().astype(int), table["titles"])
            ax.errorbar(places, table[model], yerr=np.abs(bounds - table[model].to_numpy()), **style)
        ticks = [f"{interval_name(i)}\n({n:,})" for i, n in zip(table.index, table["titles"], strict=True)]
        ax.set_xticks(positions, ticks, fontsize=8)
        ax.set(xlabel=f"{label} (títulos)", ylabel="exactitud (intervalo del 95 %)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), bbox_to_anchor=(0.5, 1.06))
    return figure, axes


def interval_name(interval: pd.Interval) -> str:
    """ "4 a 6" for whole numbers, "0.1 a 0.2" for shares, "12 o más" for the last, "ninguna" for no share."""
    low, high = interval.left, interval.right
    if np.isinf(high):
        return f"{low:g} o más"
    if low == 0 and high < 0.01:  # of shares
        return "ninguna"
    if float(low).is_integer() and float(high).is_integer():
        return f"{low:g}" if high - low == 1 else f"{low:g} a {high - 1:g}"
    return f"{low:g} a {high:g}"
