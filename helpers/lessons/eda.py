"""Notebook 01: labelled titles before any network: columns, repeats, words, look-alike categories, doubtful titles.

The two quick classifiers (centroids, nearest neighbours) are measuring instruments, not models to report.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from scipy import sparse
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from scipy.stats import entropy
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize

from helpers.data.corpora import SchemaError, check_one_of
from helpers.data.text import tokenize
from helpers.report.plots import COLORS, panels

# of titles: both quick classifiers wrong (agreeing or not), one of them right, both right
STRATA = ("agree", "disagree", "one_right", "both_right")
LOSSES = {"label": 0.0, "both": 0.5, "alternative": 1.0, "neither": 0.5}  # judgement -> error it costs
GREY = "0.45"
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
READING_COLORS = {"label": COLORS[0], "both": COLORS[4], "alternative": COLORS[1], "neither": "0.7"}


def describe_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per column: dtype, type of what a cell holds, nulls, empty texts or lists, distinct values."""
    rows = {}
    for name, column in frame.items():
        first = column.iloc[0]
        held = f"list[{type(next(iter(first), '')).__name__}]" if isinstance(first, list) else type(first).__name__
        empty = int((column.str.len() == 0).sum()) if isinstance(first, list | str) else 0
        distinct = (column.map(tuple) if isinstance(first, list) else column).nunique()
        rows[name] = [str(column.dtype), held, int(column.isna().sum()), empty, distinct]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["dtype", "value", "nulls", "empty", "distinct"])


def balance(labels: pd.Series) -> dict[str, float]:
    """How evenly rows spread over categories; `evenness` is the entropy over its maximum (Pielou's J), 1 if all tie."""
    sizes = labels.value_counts()
    return {
        "categories": len(sizes), "smallest": int(sizes.min()), "median": float(sizes.median()),
        "largest": int(sizes.max()), "std": float(sizes.std()), "ratio": float(sizes.max() / sizes.min()),
        "evenness": float(entropy(sizes) / np.log(len(sizes))), "majority_share": float(sizes.max() / sizes.sum()),
    }  # fmt: skip


def blocks(labels: pd.Series) -> pd.DataFrame:
    """Runs of equal labels in the order of the rows: label, start, rows."""
    labels = labels.reset_index(drop=True)
    starts = np.flatnonzero(labels.ne(labels.shift()))
    return pd.DataFrame({"label": labels[starts], "start": starts, "rows": np.diff([*starts, len(labels)])})


def repeats(keys: pd.Series, subsets: pd.Series, labels: pd.Series) -> pd.DataFrame:
    """Repeated keys per subset.

    Args:
        keys, subsets, labels: (n,) what is compared, the subset and the label of each row.

    Returns:
        Indexed by subset: rows, distinct (keys), inside (rows whose key comes again in the subset), across (rows whose
        key is in another subset too), conflict (rows whose key has more than one label anywhere).
    """
    table = pd.DataFrame({"key": keys, "subset": subsets, "label": labels})
    marks = {
        "rows": True,
        "distinct": ~table.duplicated(["subset", "key"]),
        "inside": table.duplicated(["subset", "key"], keep=False),
        "across": table.groupby("key")["subset"].transform("nunique") > 1,
        "conflict": table.groupby("key")["label"].transform("nunique") > 1,
    }
    return table.assign(**marks).groupby("subset", sort=False)[list(marks)].sum()


def zipf_slope(counts: pd.Series, first: int = 10, last: int = 5_000) -> float:
    """Slope of log frequency against log rank (Zipf: about -1): least squares on 50 ranks evenly spaced in log."""
    ranks = np.unique(np.geomspace(first, min(last, len(counts)), 50).astype(int))
    return float(np.polyfit(np.log(ranks), np.log(counts.to_numpy()[ranks - 1]), 1)[0])


def vocabulary_growth(tokens: Sequence[Sequence[str]], *, seed: int, points: int = 40) -> pd.DataFrame:
    """Heaps' curve, titles in a seeded order: distinct words after so many words read; columns read, distinct."""
    order = np.random.default_rng(seed).permutation(len(tokens))
    words = pd.Series([word for i in order for word in tokens[i]], dtype="str")
    distinct = (~words.duplicated()).cumsum().to_numpy()
    read = np.unique(np.geomspace(min(100, len(words)), len(words), points).astype(int))
    return pd.DataFrame({"read": read, "distinct": distinct[read - 1]})


@dataclass(frozen=True)
class CategoryWords:
    """How many titles of each category hold each word."""

    counts: sparse.csr_matrix  # (categories, words)
    titles: np.ndarray  # (categories,)
    names: np.ndarray  # (categories,)
    words: np.ndarray  # (words,)

    def row(self, name: str) -> np.ndarray:
        """(words,) counts of one category."""
        return self.counts[int(np.flatnonzero(self.names == name)[0])].toarray()[0]


def category_words(texts: pd.Series, labels: pd.Series) -> CategoryWords:
    """Titles of each category that hold each word (lower case, letters only); categories in order of appearance."""
    vectorizer = CountVectorizer(tokenizer=tokenize, lowercase=False, token_pattern=None, binary=True)
    matrix = vectorizer.fit_transform(texts)
    codes, names = pd.factorize(labels)
    counts = _indicator(codes, len(names)) @ matrix
    return CategoryWords(counts.tocsr(), np.bincount(codes), np.asarray(names), vectorizer.get_feature_names_out())


def frequent_words(table: CategoryWords, name: str, k: int = 8) -> pd.Series:
    """Share of the category's titles that hold each of its k most frequent words."""
    counts = table.row(name)
    top = np.argsort(-counts, kind="stable")[:k]
    return pd.Series(counts[top] / table.titles[table.names == name][0], index=table.words[top])


def word_profiles(table: CategoryWords) -> sparse.csr_matrix:
    """(categories, words) TF-IDF over categories, rows of length 1: words of few categories weigh most."""
    return TfidfTransformer(sublinear_tf=True).fit_transform(table.counts)


def telling_words(table: CategoryWords, profiles: sparse.csr_matrix, *names: str, k: int = 8) -> pd.Series:
    """The k words of most weight in a category's profile or, for two categories, in their cosine."""
    rows = [profiles[int(np.flatnonzero(table.names == name)[0])].toarray()[0] for name in names]
    weights = np.prod(rows, axis=0)
    top = np.argsort(-weights, kind="stable")[:k]
    return pd.Series(weights[top], index=table.words[top])


def profile_similarity(profiles: sparse.csr_matrix) -> np.ndarray:
    """(categories, categories) cosine between word profiles."""
    return np.clip((profiles @ profiles.T).toarray(), 0, 1)


def cohesion(counts, labels: np.ndarray) -> np.ndarray:
    """(categories,) mean cosine between two titles of a category, TF-IDF: low where it holds many kinds of things.

    Args:
        counts: (rows, words).
        labels: (rows,) category numbers.
    """
    vectors, sizes = TfidfTransformer(sublinear_tf=True).fit_transform(counts), np.bincount(labels)
    sums = _indicator(labels, len(sizes)) @ vectors
    squares = np.asarray(sums.multiply(sums).sum(1)).ravel()
    return (squares - sizes) / np.maximum(sizes * (sizes - 1), 1)


def closest_pairs(similarity: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Every pair of names once, most similar first: columns first, second, similarity."""
    i, j = np.triu_indices(len(names), 1)
    order = np.argsort(-similarity[i, j], kind="stable")
    i, j, names = i[order], j[order], np.asarray(names)
    return pd.DataFrame({"first": names[i], "second": names[j], "similarity": similarity[i, j]})


def neighbours(queries, corpus, k: int, block: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar corpus rows of every query.

    Args:
        queries, corpus: sparse rows of length 1 (TF-IDF), so that the product is the cosine.

    Returns:
        (queries, k) row numbers and cosines, best first, ties by row number; where fewer share anything, cosine 0.
    """
    rows = np.zeros((queries.shape[0], k), dtype=int)
    cosines = np.zeros((queries.shape[0], k))
    columns = corpus.T.tocsr()
    for start in range(0, queries.shape[0], block):
        product = (queries[start : start + block] @ columns).tocsr()
        for offset, (low, high) in enumerate(zip(product.indptr, product.indptr[1:], strict=False)):
            found, values = product.indices[low:high], product.data[low:high]
            if len(values) > k:
                best = values >= np.partition(values, -k)[-k]
                found, values = found[best], values[best]
            order = np.lexsort((found, -values))[:k]
            rows[start + offset, : len(order)], cosines[start + offset, : len(order)] = found[order], values[order]
    return rows, cosines


def centroid_labels(train, labels: np.ndarray, queries, k: int = 1) -> np.ndarray:
    """(queries, k) labels of the nearest class centroids by cosine (Rocchio), nearest first."""
    centroids = normalize(_indicator(labels, labels.max() + 1) @ train)
    return _best((queries @ centroids.T).toarray(), k)


def neighbour_labels(train, labels: np.ndarray, queries, k: int = 10) -> np.ndarray:
    """(queries, 1) label with the largest sum of cosines among the k nearest training rows."""
    rows, cosines = neighbours(queries, train, k)
    return _votes(labels[rows], cosines).argmax(1)[:, None]


def twin_effect(counts, labels: np.ndarray, keys: pd.Series, train, test, predict: Callable) -> list[dict]:
    """Effect of near-duplicates across a split: scores with twins (rows of equal key) left in train, then removed.

    Args:
        counts: (rows, features) word counts of all rows; TF-IDF is fitted on the training rows.
        predict: as centroid_labels or neighbour_labels.

    Returns:
        One dict per training set and group of test rows: twins_in_train, group, rows, accuracy, balanced_accuracy
        (both NaN where a group has no row).
    """
    twin = keys.iloc[test].isin(set(keys.iloc[train])).to_numpy()
    kept = train[~keys.iloc[train].isin(set(keys.iloc[test])).to_numpy()]
    groups = {"with_twin": twin, "without_twin": ~twin, "all": np.ones(len(test), dtype=bool)}
    scores = []
    for inside, rows in ((True, train), (False, kept)):
        fitted, queries = _weigh(counts, rows, test)
        right = predict(fitted, labels[rows], queries)[:, 0] == labels[test]
        for group, mask in groups.items():
            hits = pd.Series(right[mask], dtype=float)
            recalls = hits.groupby(labels[test][mask]).mean()
            result = {"twins_in_train": inside, "group": group, "rows": len(hits)}
            scores.append(result | {"accuracy": hits.mean(), "balanced_accuracy": recalls.mean()})
    return scores


def word_matrix(texts: pd.Series) -> sparse.csr_matrix:
    """(rows, words) counts, lower case, digits kept."""
    return CountVectorizer(token_pattern=r"\w+").fit_transform(texts).astype(np.float32)  # noqa: S106 (no password)


def out_of_fold(texts: pd.Series, labels: np.ndarray, folds: Iterable[tuple]) -> pd.DataFrame:
    """Out-of-fold predictions of two quick and different classifiers.

    Returns:
        centroid (characters, 3- and 4-grams) and neighbours (10, words): predicted labels; rival: the second choice of
        the neighbours or, where all ten agree, of the centroids; nearest: row number of the training title that shares
        most words; similarity: its cosine.
    """
    words, grams = word_matrix(texts), CountVectorizer(analyzer="char_wb", ngram_range=(3, 4), min_df=2)
    chars = grams.fit_transform(texts).astype(np.float32)
    columns = ["centroid", "neighbours", "rival", "nearest"]
    result = pd.DataFrame(0, index=range(len(texts)), columns=columns).assign(similarity=0.0)
    for train, test in folds:
        fitted, queries = _weigh(chars, train, test)
        centroids = centroid_labels(fitted, labels[train], queries, 2)
        fitted, queries = _weigh(words, train, test)
        rows, cosines = neighbours(queries, fitted, 10)
        votes = _votes(labels[train][rows], cosines)
        first, second = _best(votes.copy(), 2).T
        rival = np.where(votes[np.arange(len(test)), second] > 0, second, centroids[:, 1])
        result.loc[test, columns] = np.column_stack([centroids[:, 0], first, rival, train[rows[:, 0]]])
        result.loc[test, "similarity"] = cosines[:, 0]
    return result


def _indicator(labels: np.ndarray, count: int) -> sparse.csr_matrix:
    rows = np.arange(len(labels))
    return sparse.csr_matrix((np.ones(len(labels), dtype=np.float32), (labels, rows)), shape=(count, len(labels)))


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """(rows, k) columns of the highest scores, best first, ties by column; overwrites `scores`."""
    best = np.zeros((len(scores), k), dtype=int)
    for place in range(k):
        best[:, place] = scores.argmax(1)
        scores[np.arange(len(scores)), best[:, place]] = -np.inf
    return best


def _weigh(counts, train: np.ndarray, test: np.ndarray) -> tuple:
    weights = TfidfTransformer(sublinear_tf=True).fit(counts[train])
    return weights.transform(counts[train]), weights.transform(counts[test])


def _votes(labels: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    votes = np.zeros((len(labels), labels.max() + 1))
    np.add.at(votes, (np.arange(len(labels))[:, None], labels), cosines)
    return votes


def strata(labels: np.ndarray, predicted: pd.DataFrame) -> np.ndarray:
    """The stratum of each row of out_of_fold(), one of STRATA."""
    first, second = predicted["centroid"].to_numpy(), predicted["neighbours"].to_numpy()
    right = (first == labels).astype(int) + (second == labels)
    return np.select([right == 2, right == 1, first == second], ["both_right", "one_right", "agree"], "disagree")


def draw_readings(labels: np.ndarray, predicted: pd.DataFrame, sizes: dict[str, int], *, seed: int) -> pd.DataFrame:
    """A seeded sample of titles for a person to read, each with its label and one alternative.

    The alternative is the wrong prediction (the centroid's where both are wrong); where both classifiers are right it
    is their rival: those titles are controls.

    Args:
        sizes: stratum -> titles; a larger sample contains the smaller one of the same seed.

    Returns:
        row, stratum, label, alternative, label_first (the order in which the two are shown), shuffled.
    """
    rng, stratum = np.random.default_rng(seed), strata(labels, predicted)
    rows = [rng.permutation(np.flatnonzero(stratum == name))[: sizes.get(name, 0)] for name in STRATA]
    rows = rng.permutation(np.concatenate(rows))
    label, said = labels[rows], predicted.iloc[rows]
    other = said["centroid"].where(said["centroid"] != label, said["neighbours"])
    other = other.where(other != label, said["rival"]).to_numpy()
    columns = {"row": rows, "stratum": stratum[rows], "label": label, "alternative": other}
    return pd.DataFrame(columns | {"label_first": rng.random(len(rows)) < 0.5})


def read_readings(path: str | Path) -> pd.DataFrame:
    """A committed table of readings: row, stratum, label, alternative, judgement.

    Raises:
        SchemaError: a column is missing or a value is none of those allowed.
    """
    table = pd.read_csv(path)
    for column in {"row", "stratum", "label", "alternative", "judgement"} - set(table):
        raise SchemaError(path, 1, column, "a column of that name in the header", list(table))
    for row, (stratum, judgement) in enumerate(zip(table["stratum"], table["judgement"], strict=True), start=2):
        check_one_of(path, row, "stratum", stratum, STRATA)
        check_one_of(path, row, "judgement", judgement, LOSSES)
    return table


def ceiling(readings: pd.DataFrame, shares: dict[str, float], *, seed: int, draws: int = 10_000) -> dict[str, float]:
    """Accuracy within reach if every title were as ambiguous as those read: mean and 95% interval.

    Each stratum's judgements have a Dirichlet posterior (Perks' prior, 1/4 each); LOSSES is what a judgement costs.

    Args:
        shares: stratum -> its share of all rows.
    """
    rng, costs = np.random.default_rng(seed), np.array(list(LOSSES.values()))
    counts = pd.crosstab(readings["stratum"], readings["judgement"]).reindex(columns=list(LOSSES), fill_value=0)
    posterior = {stratum: rng.dirichlet(row + 1 / len(costs), draws) for stratum, row in counts.iterrows()}
    right = 1 - sum(shares[stratum] * (judged @ costs) for stratum, judged in posterior.items())
    low, high = np.quantile(right, [0.025, 0.975])
    return {"mean": float(right.mean()), "low": float(low), "high": float(high)}


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
    """Category of every row in the order of the file, and categories per batch with and without shuffling.

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
    """Histograms of title length; `limit` is the longest title that the site accepts."""
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
    """Frequency by rank with the fitted slope, coverage of the most frequent words, growth of the vocabulary.

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
    """Clustered heat map: average linkage on 1 - similarity, leaves ordered so that neighbours are similar.

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
    """Score with the twins left in train and removed, one panel a model: a dot a split, a line for the mean.

    Args:
        table: columns model, group, twins (left in or removed), split_seed and the metric.
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
    """Score by bins (line, right scale) over the titles of each bin (bars, left scale).

    Args:
        groups: what is binned -> table: index bin, columns rows and score.
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
    """Recall of every category against possible causes, one panel a cause; the worst categories are named.

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
    """Judgements of the titles of each stratum, one stacked bar a stratum.

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
