"""What labelled titles are like before any network: columns, repeats, words, look-alike categories, doubtful titles.

Two quick classifiers stand here as measuring instruments (centroids, nearest neighbours), not as models to report.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import entropy
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize

from helpers.data.text import tokenize


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
    """How evenly rows fall on categories; `evenness` is the entropy over its maximum (Pielou's J), 1 where all tie."""
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
    """Per subset: rows, distinct keys, rows whose key comes again inside it or stands in another, and label conflicts.

    A conflict is a row whose key stands under more than one label anywhere.
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
    """Slope of log frequency against log rank (Zipf: about -1), least squares on 50 ranks evenly spaced in log."""
    ranks = np.unique(np.geomspace(first, min(last, len(counts)), 50).astype(int))
    return float(np.polyfit(np.log(ranks), np.log(counts.to_numpy()[ranks - 1]), 1)[0])


def vocabulary_growth(tokens: Sequence[Sequence[str]], *, seed: int, points: int = 40) -> pd.DataFrame:
    """Distinct words (Heaps' curve) after so many words read, titles in a seeded order: columns read, distinct."""
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
    """Count words (lower case, letters only) by category, once per title; categories in order of appearance."""
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
    """(categories, words) TF-IDF over categories, rows of length 1: a word that few categories have weighs most."""
    return TfidfTransformer(sublinear_tf=True).fit_transform(table.counts)


def telling_words(table: CategoryWords, profiles: sparse.csr_matrix, *names: str, k: int = 8) -> pd.Series:
    """The k words of most weight in a profile or, of two categories, those that add most to their cosine."""
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
        counts: (rows, words); labels: (rows,) category numbers.
    """
    vectors, sizes = TfidfTransformer(sublinear_tf=True).fit_transform(counts), np.bincount(labels)
    sums = _indicator(labels, len(sizes)) @ vectors
    squares = np.asarray(sums.multiply(sums).sum(1)).ravel()
    return (squares - sizes) / np.maximum(sizes * (sizes - 1), 1)


def closest_pairs(similarity: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Every pair once, most alike first: first, second, similarity."""
    i, j = np.triu_indices(len(names), 1)
    order = np.argsort(-similarity[i, j], kind="stable")
    i, j, names = i[order], j[order], np.asarray(names)
    return pd.DataFrame({"first": names[i], "second": names[j], "similarity": similarity[i, j]})


def neighbours(queries, corpus, k: int, block: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar corpus rows of every query, without looking at labels.

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
    """What near-duplicates across a split do to a score: twins (rows of equal key) left in train, then taken out.

    Args:
        counts: (rows, features) word counts of all rows; their weights are learnt on the training rows.
        predict: centroid_labels, neighbour_labels or another of their kind.

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
    """What two quick and different classifiers say of every row when it is not among their training rows.

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
    """(rows, k) columns of the highest scores, best first, ties by column; overwrites what it has taken."""
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
