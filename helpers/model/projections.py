"""Vectors seen in two dimensions: t-SNE, PCA, clusters, and numbers that tell what of a picture is in the vectors.

A picture is an (n, 2) array, a row for each row of the vectors.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import adjusted_rand_score, silhouette_samples, silhouette_score
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from helpers import settings

NEIGHBOURS = 10
ITERATIONS = 750  # of t-SNE, the first 250 exaggerated: as in openTSNE
WORD = r"[^\W\d_]{2,}"
Name = str | tuple[float, int]  # of a picture: what it is, or its perplexity and seed


def directions(features: np.ndarray) -> np.ndarray:
    """Rows minus their mean, at length 1 (zero rows stay): Euclidean neighbours are then those with the highest cosine.

    The mean goes because what all rows share tells none from another, but hides the rest: cosines of encoded sentences
    are all near 1 with it (Mu & Viswanath, "All-but-the-Top", ICLR 2018, arXiv:1702.01417).
    """
    centred = features - features.mean(axis=0)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def shuffled(features: np.ndarray, *, seed: int) -> np.ndarray:
    """Every column in an order of its own: the same values in each dimension, and nothing that binds them.

    What a method finds here it would find in any vectors.
    """
    return np.random.default_rng(seed).permuted(features, axis=0)


def pca(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture with the largest variance, and the share of all variance that each of its two axes holds."""
    model = PCA(2, svd_solver="full")
    return model.fit_transform(features), model.explained_variance_ratio_


def tsne(features: np.ndarray, *, perplexity: float = 30.0, seed: int, init: str = "pca") -> np.ndarray:
    """A picture that keeps near rows near (van der Maaten & Hinton, JMLR 2008; Barnes-Hut: van der Maaten, JMLR 2014).

    Args:
        features: (n, d).
        perplexity: about how many neighbours of a row count; below n.
        seed: of the starting positions.
        init: "pca" starts from the two main axes, which keeps more of the large-scale layout (Kobak & Berens, Nature
            Communications 2019); "random" from noise, so that seeds show what depends on the start.

    Returns:
        (n, 2) float32.
    """
    model = TSNE(perplexity=perplexity, init=init, learning_rate="auto", max_iter=ITERATIONS, random_state=seed)
    with _two_threads():
        return model.fit_transform(np.asarray(features, dtype=np.float32))


def _two_threads() -> threadpool_limits:
    """At most: the order in which two partial sums are added changes nothing, so that a seed always gives the same."""
    return threadpool_limits(min(2, settings.threads()))


def nearest(features: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """(n, k) the other rows that are nearest to each row (Euclidean), nearest first.

    Raises:
        ValueError: there are not k other rows.
    """
    if not 1 <= k < len(features):
        raise ValueError(f"k={k} neighbours of {len(features)} rows: must lie between 1 and {len(features) - 1}")
    return NearestNeighbors(n_neighbors=k).fit(features).kneighbors(return_distance=False)


def neighbour_recall(features: np.ndarray, pairs, *, k: int = NEIGHBOURS) -> dict[str, float]:
    """Of a row's partners, how many are among its k nearest neighbours.

    Args:
        features: (n, d), or a picture.
        pairs: (m, 2) row numbers; both are each other's partners, and a row's pair with itself does not count.

    Returns:
        "recall", the mean over all rows that have partners; "chance", what k neighbours drawn at random would get;
        "rows", how many have partners.

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
    """Share of the k nearest neighbours that a row has in both (Lee & Verleysen, Neurocomputing 2009: Q_NX(k)).

    Args:
        first, second: (n, any) vectors or pictures of the same rows; chance would share k / (n - 1).
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

    Spectral clustering (Shi & Malik, IEEE PAMI 2000) asks only who is near whom: it finds what hangs together where
    rows form no blobs around a middle, as k-means would have them.

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
    """Number of clusters -> mean silhouette of kmeans() (Rousseeuw 1987): near 1 well apart, about 0 arbitrary cuts."""
    return {k: float(silhouette_score(features, kmeans(features, k, seed=seed, starts=starts))) for k in counts}


def stability(
    features: np.ndarray, k: int, *, seeds: Iterable[int], cluster: Callable[..., np.ndarray] = kmeans
) -> float:
    """Do other starts find the same clusters? Mean adjusted Rand index of any two over the seeds.

    Args:
        cluster: kmeans or communities.
    """
    labels = [cluster(features, k, seed=seed) for seed in seeds]
    return float(np.mean([adjusted_rand_score(one, other) for one, other in combinations(labels, 2)]))


def telling_words(
    texts: Sequence[str], labels: np.ndarray, *, top: int = 5, stop_words: Collection[str] = ()
) -> dict[int, list[str]]:
    """Cluster -> the words that tell it from the others, most telling first; fewer where fewer are commoner inside.

    A word's weight in a cluster is p log(p / q): p the share of the cluster's texts that hold it, q that of all texts.
    Like TF-IDF it asks for words that are frequent here and not everywhere.

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
    """A row per cluster: size, silhouette (mean of its rows, among these vectors) and its telling words."""
    each = pd.Series(silhouette_samples(features, labels)).groupby(labels)
    return pd.DataFrame(
        {"size": each.size(), "silhouette": each.mean(), "words": {c: ", ".join(w) for c, w in words.items()}}
    )


def picture_facts(
    features: np.ndarray, pictures: Mapping[Name, np.ndarray], labels: np.ndarray, *, seed: int, k: int = NEIGHBOURS
) -> pd.DataFrame:
    """What of the vectors each picture keeps, a row per picture.

    Args:
        features: (n, d) what the pictures show.
        labels: (n,) clusters found among the vectors.
        seed: of kmeans() on the pictures.

    Returns:
        trustworthiness (Venna & Kaski 2001): 1 where all neighbours in the picture are near among the vectors;
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
    """How far any two pictures of the same rows say the same: first, second, overlap, adjusted_rand (of k-means)."""
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
    """How many of the pairs have both rows in one cluster.

    Args:
        labels: (n,) cluster of each row.
        pairs: (m, 2) row numbers.

    Returns:
        "share" of the pairs (NaN of none), and "chance", that share among all pairs of different rows.
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
