"""Notebook 02: what each cleaning step does, the course's own cleaning, unseen words, padding; and their figures."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import StrMethodFormatter
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import ComplementNB
from sklearn.preprocessing import normalize

from helpers.data.batching import LengthBatches
from helpers.data.splits import Split
from helpers.data.text import STEPS, clean_tokens, trace
from helpers.report.plots import COLORS, panels

SPLIT, SIGNS = "split_alphanumerics", "drop_other_signs"  # the two steps that the course's cleaning does not have
AGREEMENTS = {  # name -> (steps left out, without stop words?)
    "literal": ((), False),
    "no_stop_words": ((), True),
    "unsplit": ((SPLIT,), True),
    "signs": ((SIGNS,), True),
    "unsplit_signs": ((SPLIT, SIGNS), True),
}


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


def step_table(titles: Sequence[str]) -> pd.DataFrame:
    """One row per cleaning step, in order.

    Returns:
        Indexed by the step's name: changed (titles), tokens and distinct (words between spaces, after the step), and
        before and after, the words of one changed title that are not on the other side.
    """
    stages, before, rows = [trace(title) for title in titles], list(titles), {}
    for number, (name, _) in enumerate(STEPS):
        after = [stage[number][1] for stage in stages]
        changed = [i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        words = Counter(word for text in after for word in text.split())
        case = changed[len(changed) // 3] if changed else None
        old, new = ([] if case is None else text[case].split() for text in (before, after))
        rows[name] = {
            "changed": len(changed),
            "tokens": words.total(),
            "distinct": len(words),
            "before": " ".join(word for word in old if word not in new),
            "after": " ".join(word for word in new if word not in old),
        }
        before = after
    return pd.DataFrame.from_dict(rows, orient="index")


def without(token_lists: Sequence[Sequence[str]], stop_words: Collection[str]) -> list[list[str]]:
    """The token lists without the stop words."""
    return [[token for token in tokens if token not in stop_words] for tokens in token_lists]


def course_agreement(course: pd.DataFrame, stop_words: Collection[str]) -> pd.DataFrame:
    """Which titles we tokenize exactly as the course did, by what is left out of our cleaning.

    Args:
        course: load_meli()'s columns title and tokenized_title.

    Returns:
        Booleans, a row per title: literal (the assignment's steps, stop words kept), no_stop_words, and without stop
        words and without one or both of the steps that the course does not have: unsplit, signs, unsplit_signs.
    """
    agrees, cut = {}, {}
    for name, (skip, dropped) in AGREEMENTS.items():
        if skip not in cut:
            cut[skip] = [clean_tokens(title, skip=skip) for title in course["title"]]
        ours = without(cut[skip], stop_words) if dropped else cut[skip]
        agrees[name] = [mine == its for mine, its in zip(ours, course["tokenized_title"], strict=True)]
    return pd.DataFrame(agrees, index=course.index)


def difference_kinds(agrees: pd.DataFrame) -> pd.Series:
    """Why a title without stop words differs from the course's: "split", "signs", "both", "other"; "same" if not.

    Args:
        agrees: of course_agreement().
    """
    reasons = [agrees["no_stop_words"], agrees["unsplit"], agrees["signs"], agrees["unsplit_signs"]]
    return pd.Series(np.select(reasons, ["same", "split", "signs", "both"], "other"), index=agrees.index)


def bag_of_words_hits(texts: Sequence[str], targets: np.ndarray, split: Split) -> np.ndarray:
    """(n_valid,) bool: hits of naive Bayes (Rennie et al. 2003) over the words, fitted on the training side."""
    texts, counter = np.asarray(texts, dtype=object), CountVectorizer(analyzer=str.split, binary=True)
    model = ComplementNB(alpha=0.1).fit(counter.fit_transform(texts[split.train]), targets[split.train])
    return model.predict(counter.transform(texts[split.valid])) == targets[split.valid]


def macro_recall(hits: np.ndarray, targets: np.ndarray) -> float:
    """Balanced accuracy from hits: the mean over the classes in targets of their share of hits."""
    return float(pd.Series(np.asarray(hits, dtype=float)).groupby(np.asarray(targets)).mean().mean())


def title_means(token_lists: Sequence[Sequence[str]], words: Sequence[str], matrix: np.ndarray) -> np.ndarray:
    """(titles, dim) mean of the unit vectors of each title's words, of length 1; words not given are left out."""
    row_of = {word: row for row, word in enumerate(words)}
    known = [[row_of[token] for token in tokens if token in row_of] for tokens in token_lists]
    lengths = [len(rows) for rows in known]
    columns = np.fromiter((row for rows in known for row in rows), dtype=np.int64, count=sum(lengths))
    counts = csr_matrix((np.ones(len(columns)), columns, np.cumsum([0, *lengths])), shape=(len(known), len(words)))
    return normalize(counts @ normalize(matrix))


def centroid_hits(means: np.ndarray, targets: np.ndarray, split: Split) -> np.ndarray:
    """(n_valid,) bool: hits of the nearest centroid (by cosine) of the training titles of each category."""
    centroids = pd.DataFrame(means[split.train]).groupby(targets[split.train]).mean()
    nearest = (means[split.valid] @ normalize(centroids.to_numpy()).T).argmax(axis=1)
    return centroids.index.to_numpy()[nearest] == targets[split.valid]


def share(token_lists: Sequence[Sequence[str]], has: Callable[[str], bool]) -> float:
    """Share of the tokens for which has(token)."""
    return float(np.mean([has(token) for tokens in token_lists for token in tokens]))


def padding_share(lengths: np.ndarray, strategy: str, batch_size: int, *, seed: int) -> tuple[float, list[np.ndarray]]:
    """Share of padding in one shuffled epoch, and the lengths of the sequences of each batch."""
    sampler = LengthBatches(lengths, batch_size, strategy, torch.Generator().manual_seed(seed))
    batches = [lengths[batch] for batch in sampler]
    return float(1 - lengths.sum() / sum(len(batch) * batch.max() for batch in batches)), batches


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
        covered: side -> how often each of these words stands there and, last, how many tokens are none of them.
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
            style = {"rotation": 90, "fontsize": 8, "color": "0.35", "ha": "right", "va": "bottom"}
            ax.annotate(f"vistas {least} veces o más: {size:,}", (size, 3), **style)
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
