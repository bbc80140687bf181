"""Notebook 05: training of siamese networks, their losses and predictions, where they fail, one pair word by word."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.augment.lexicon import word_set
from helpers.data.batching import EncodedSentences
from helpers.data.text import SentenceReader, tokenize_sentence
from helpers.model.metrics import Calibration, relatedness_metrics
from helpers.model.networks import device_of
from helpers.model.siamese import SiameseNetwork, pairwise_ranking_loss
from helpers.model.training import History
from helpers.report.plots import COLORS, course, panels, scores

NEGATIONS = word_set("no not n't nobody nothing none never nowhere neither nor without cannot")
NUMBERS = word_set("two three four five six seven eight nine ten both couple pair several few many dozen")
ARTICLES = word_set("a an the")
AUXILIARIES = word_set("is are was were be been")
FUNCTION_WORDS = (ARTICLES | AUXILIARIES) | word_set(
    "being am there and or of to in on at by with from into onto for over off up down out near next some one who which "
    "that while as it its his her their"
)
COURSE = {"loss": "pérdida", "pearson": "Pearson", "accuracy": "exactitud (parecidas o no)"}
SEEDS = "\n(punto: una semilla; rombo: media ± desviación típica)"
PHENOMENA = {  # column -> name shown
    "negation": "niega una sola de las dos",
    "order": "mismas palabras plenas, en otro orden",
    "numbers": "distintas cantidades",
    "one_word": "se diferencian en una palabra",
    "passive": "una en pasiva y la otra en activa",
    "other": "ninguno de los anteriores",
}


def phenomena(frame: pd.DataFrame) -> pd.DataFrame:
    """Which phenomena the pairs show, by their words: a boolean column for each of PHENOMENA.

    A pair may show several. "order" compares content words alone; "one_word" is one word replaced or added, articles
    aside; "other" is a pair that shows none.

    Args:
        frame: sentence_a, sentence_b.
    """
    pairs = zip(frame["sentence_a"], frame["sentence_b"], strict=True)
    rows = [_shown(*map(_words, pair)) for pair in pairs]
    table = pd.DataFrame(rows, index=frame.index, columns=list(PHENOMENA)[:-1])
    return table.assign(other=~table.any(axis=1))


def _words(sentence: str) -> list[str]:
    return [word.lower() for word in tokenize_sentence(sentence)]


def _shown(first: list[str], second: list[str]) -> list[bool]:
    contents = [[word for word in words if word not in FUNCTION_WORDS] for words in (first, second)]
    one, other = (Counter(word for word in words if word not in ARTICLES) for words in (first, second))
    return [
        bool(NEGATIONS & set(first)) != bool(NEGATIONS & set(second)),
        Counter(contents[0]) == Counter(contents[1]) and contents[0] != contents[1],
        _quantities(first) != _quantities(second),
        max((one - other).total(), (other - one).total()) == 1,
        _is_passive(first) != _is_passive(second),
    ]


def _quantities(words: list[str]) -> Counter:
    return Counter(word for word in words if word in NUMBERS or word[0].isdigit())


def _is_passive(words: list[str]) -> bool:
    """ "being" and later "by", or a participle between a form of "be" and "by"."""
    return any(
        "being" in words[:i] or (words[i - 1].endswith(("ed", "en")) and words[max(0, i - 2)] in AUXILIARIES)
        for i, word in enumerate(words)
        if word == "by"
    )


def by_phenomenon(frame: pd.DataFrame) -> pd.DataFrame:
    """Errors over the pairs of each phenomenon, and over all.

    Args:
        frame: sentence_a, sentence_b, relatedness, prediction.

    Returns:
        Indexed by name shown: pairs, relatedness (mean), absolute_error, bias (mean of prediction - relatedness),
        pearson (NaN for fewer than three pairs).
    """
    shown = phenomena(frame).rename(columns=PHENOMENA).assign(todos=True)
    rows = {name: _errors(frame[mask]) for name, mask in shown.items() if mask.any()}
    return pd.DataFrame(rows).T.astype({"pairs": int})


def _errors(frame: pd.DataFrame) -> dict[str, float]:
    error = frame["prediction"] - frame["relatedness"]
    pearson = relatedness_metrics(frame["relatedness"], frame["prediction"])["pearson"] if len(frame) > 2 else np.nan
    return {
        "pairs": len(frame), "relatedness": frame["relatedness"].mean(), "absolute_error": error.abs().mean(),
        "bias": error.mean(), "pearson": pearson,
    }  # fmt: skip


def worst_pairs(frame: pd.DataFrame, count: int = 20) -> pd.DataFrame:
    """The pairs with the largest error, worst first.

    Args:
        frame: sentence_a, sentence_b, relatedness, prediction, entailment.

    Returns:
        sentence_a, sentence_b, relatedness, prediction, error (signed), entailment, phenomena (names shown).
    """
    error = frame["prediction"] - frame["relatedness"]
    rows = error.abs().sort_values(ascending=False, kind="stable").index[:count]
    worst = frame.loc[rows, ["sentence_a", "sentence_b", "relatedness", "prediction", "entailment"]]
    marks = phenomena(worst).drop(columns="other").rename(columns=PHENOMENA)
    names = [", ".join(marks.columns[row]) or "—" for row in marks.to_numpy()]
    worst.insert(4, "error", error[rows])
    return worst.assign(phenomena=names)


def word_similarities(
    network: SiameseNetwork, reader: SentenceReader, first: str, second: str
) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Cosines between the words of one sentence and those of the other, by word vector and by state of the recurrence.

    Args:
        network: whose recurrence reads word by word (not the averaged vector).
        reader: of its words.

    Returns:
        The words of both sentences as they are read, and two (len(first), len(second)) matrices; a word without a
        vector has cosine 0 with every other.
    """
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        batch = EncodedSentences([[first], [second]], reader).__getitems__([0]).to(device_of(network))
        embedded, states = network.encoder.embedding(batch), network.encoder.states(batch).outputs
    network.train(was_training)
    sizes = batch.lengths.tolist()
    vectors, states = (
        _cosines(*(part[side, : sizes[side]].double().cpu().numpy() for side in (0, 1))) for part in (embedded, states)
    )
    return _pieces(reader, first), _pieces(reader, second), vectors, states


def _pieces(reader: SentenceReader, sentence: str) -> list[str]:
    """The words of a sentence as they are read: some by the parts between their hyphens."""
    words = tokenize_sentence(sentence)
    pieces = [word.split("-") if len(reader.word_ids(word)) > 1 else [word] for word in words]
    return [piece for parts in pieces for piece in parts] or ["(vacía)"]


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    lengths = [np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12) for side in (first, second)]
    return (first / lengths[0]) @ (second / lengths[1]).T


def training_curves(histories: Mapping[str, History]) -> tuple[Figure, np.ndarray]:
    """A row per model (losses have units of their own), a panel per column of COURSE, by epoch.

    Args:
        histories: name shown -> History.
    """
    figure, axes = panels(len(COURSE), len(histories), width=4.4, height=3)
    train, valid = {"marker": ".", "label": "entrenamiento"}, {"marker": ".", "label": "trial"}
    dot = {"markersize": 8, "label": "elegida"}
    for (name, history), row, color in zip(histories.items(), axes, COLORS, strict=False):
        frame, kept = history.frame(), history.best_epoch - 1
        for ax, (column, label) in zip(row, COURSE.items(), strict=True):
            course(ax, frame["epoch"], frame, column, kept=kept, color=color, train=train, valid=valid, dot=dot)
            ax.set(xlabel="época", ylabel=label)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        row[0].set_title(name, loc="left")
        row[0].legend(fontsize=8)
    return figure, axes


def pair_losses(grades: Sequence[float] = (0, 0.25, 0.5, 0.75, 1), *, margin: float = 1.0):
    """The pairwise ranking loss of one pair against its distance, a line per grade y, a dot where it is lowest.

    Left as the assignment writes it, right with distance and hinge squared. Where a whole interval is lowest
    (y = 1/2, as written) there is no dot.

    Returns:
        Figure and (1, 2) axes.
    """
    figure, axes = panels(2)
    distances = torch.linspace(0, 1.4 * margin, 57)
    for ax, power, title in zip(axes[0], (1, 2), ("Como en el enunciado", "Al cuadrado"), strict=True):
        for grade, color in zip(grades, COLORS, strict=False):
            y = torch.tensor([float(grade)])
            loss = [pairwise_ranking_loss(d.reshape(1), y, margin, power=power).item() for d in distances]
            ax.plot(distances, loss, color=color, label=f"y = {grade:g}")
            lowest = np.flatnonzero(np.isclose(loss, min(loss), atol=1e-6))
            if grade == 0 or len(lowest) <= 2:  # y = 0: lowest all beyond the margin; the dot is where that begins
                ax.plot(distances[lowest[0]], loss[lowest[0]], "o", color=color, clip_on=False)
        ax.axvline(margin, color="0.6", linewidth=0.8, linestyle=":")
        ax.set(xlabel="distancia d entre los dos vectores (punteado: el margen)", ylabel="pérdida del par", title=title)
    axes[0, 1].legend(fontsize=9)
    return figure, axes


def seed_scores(table: pd.DataFrame, metric: str, **options) -> tuple[Figure, Axes]:
    """plots.scores() of one training per seed; `options` as there."""
    figure, axes = scores(table, metric, note=SEEDS, size=(9, 0.42, 1.5), **options)
    return figure, axes[0, 0]


def predicted_against_true(tests: Mapping[str, pd.DataFrame], *, bins: int = 8) -> tuple[Figure, np.ndarray]:
    """Predicted against true relatedness: a dot per pair, the mean prediction of each interval, the diagonal.

    Args:
        tests: name shown -> frame with relatedness and prediction (1 to 5).
    """
    figure, axes = panels(len(tests), width=4.6, height=4.2)
    for ax, (name, frame) in zip(axes[0], tests.items(), strict=True):
        truth, said = frame["relatedness"], frame["prediction"]
        ax.plot([1, 5], [1, 5], ":", color="0.4", label="acuerdo perfecto")
        ax.plot(truth, said, ".", color=COLORS[0], alpha=0.18, markersize=4, rasterized=True, label="un par")
        inside = np.digitize(truth, np.linspace(1, 5, bins + 1)[1:-1])
        means = frame.groupby(inside)[["relatedness", "prediction"]].mean()
        ax.plot(means["relatedness"], means["prediction"], "o-", color=COLORS[1], label="media por tramo")
        pearson = relatedness_metrics(truth, said)["pearson"]
        ax.set(xlabel="relación según las personas", title=f"{name}: Pearson {pearson:.4f}", xlim=(0.9, 5.1))
        ax.set(ylim=(0.9, 5.1), ylabel="relación predicha")
    axes[0, 0].legend(fontsize=8, loc="upper left")
    return figure, axes


def calibration_curve(similarity, relatedness, calibrations: Mapping[str, Calibration]) -> tuple[Figure, Axes]:
    """Calibrations of a raw similarity, over the pairs they were fitted on.

    Args:
        similarity: (n,) before calibration.
        relatedness: (n,) of the same pairs.
        calibrations: name shown -> map.
    """
    figure, axes = panels(width=6)
    ax, similarity = axes[0, 0], np.asarray(similarity, dtype=float)
    dots = {"color": "0.6", "alpha": 0.5, "markersize": 4, "rasterized": True, "label": "un par de trial"}
    ax.plot(similarity, relatedness, ".", **dots)
    grid = np.linspace(similarity.min(), similarity.max(), 400)
    for (name, calibration), color in zip(calibrations.items(), COLORS, strict=False):
        ax.plot(grid, calibration(grid), color=color, label=name)
    ax.set(xlabel="similitud sin calibrar", ylabel="relación, 1 a 5")
    ax.legend(fontsize=8)
    return figure, ax


def word_heat_maps(
    first: Sequence[str], second: Sequence[str], maps: Mapping[str, np.ndarray], *, label: str = "coseno"
) -> tuple[Figure, np.ndarray]:
    """Word against word of one pair, one panel per map, all on one scale of colours; the value in every cell.

    Args:
        first, second: words of the two sentences.
        maps: title -> (len(first), len(second)) values.
    """
    width, height = 0.62 * len(second) + 1.6, 0.42 * len(first) + 1.7
    figure, axes = panels(len(maps), width=width, height=height)
    lowest = min(values.min() for values in maps.values())
    norm = Normalize(min(0.0, float(lowest)), 1.0)
    for ax, (title, values) in zip(axes[0], maps.items(), strict=True):
        ax.imshow(values, cmap="viridis", norm=norm, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            color = "black" if norm(value) > 0.6 else "white"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color)
        ax.set_xticks(range(len(second)), second, rotation=40, ha="right")
        ax.set_yticks(range(len(first)), first)
        ax.set_title(title)
        ax.grid(visible=False)
    figure.colorbar(ScalarMappable(norm, "viridis"), ax=list(axes[0]), label=label, pad=0.02)
    return figure, axes


def phenomenon_bars(table: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Mean error, with its sign and without, of the pairs of every phenomenon.

    Args:
        table: as by_phenomenon() returns it.
    """
    figure, axes = panels(2, width=5.6, height=0.42 * len(table) + 1.3)
    columns = {"absolute_error": "error absoluto medio", "bias": "error medio (predicha − verdadera)"}
    ticks = [f"{name} ({n:,})" for name, n in table["pairs"].items()]
    for ax, (column, label) in zip(axes[0], columns.items(), strict=True):
        ax.barh(range(len(table)), table[column], color=np.where(table[column] < 0, COLORS[0], COLORS[1]))
        ax.axvline(0, color="0.3", linewidth=0.8)
        ax.set(xlabel=f"{label}, en puntos")
        ax.invert_yaxis()
    axes[0, 0].set_yticks(range(len(table)), ticks)
    axes[0, 1].set_yticks(range(len(table)), [""] * len(table))
    return figure, axes
