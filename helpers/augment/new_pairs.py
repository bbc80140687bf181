"""What every augmentation shares: the frame of new training pairs, and the check that nothing held out stands in it.

Pairs that follow from rated ones: where A and B say the same, C is to A nearly what it is to B.

How nearly is measured: on the triangles of sentences of which all three pairs were rated.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

from helpers.data.splits import normalize_sentence, pair_keys, repeats, without_repeats

COLUMNS = [
    "pair_id", "sentence_a", "sentence_b", "relatedness", "entailment", "partition", "technique", "source_pair_id",
    "detail",
]  # fmt: skip
_MADE_BY = ("synonyms", "antonyms", "repaired", "neighbours", "deletion", "rated")
FIRST_ID = {name: 1_000_000 * (1 + i) for i, name in enumerate(_MADE_BY)}  # of new pairs: SICK's are below 10,000


class LeakError(ValueError):
    """New training pairs that hold a held-out pair, or an invented sentence that is held out."""


def make_pairs(rows: Iterable[tuple], technique: str) -> pd.DataFrame:
    """A frame of new pairs from (sentence_a, sentence_b, relatedness, entailment, source_pair_id, detail).

    Returns:
        COLUMNS; pair_id counts from the technique's FIRST_ID, partition is "train".
    """
    frame = pd.DataFrame(rows, columns=[*COLUMNS[1:5], *COLUMNS[7:]])
    frame = frame.assign(pair_id=FIRST_ID[technique] + np.arange(len(frame)), partition="train", technique=technique)
    return frame[COLUMNS].astype({"relatedness": float, "source_pair_id": int})


def candidate_pairs(
    train: pd.DataFrame, encode: Callable[[list[str]], np.ndarray], *, seed: int, test: pd.DataFrame, near=2, far=1,
    among=30,
) -> pd.DataFrame:  # fmt: skip
    """Pairs of training sentences that nobody rated: every sentence beside some of those like it, and beside any other.

    Args:
        train: training pairs, with the columns of load_sick().
        encode: sentences -> (n, dim) vectors, by whose cosine sentences are alike.
        test: what must stay unseen: none of its pairs is among the new ones.
        near: partners drawn from the `among` most alike.
        far: partners drawn from all.

    Returns:
        As make_pairs(), technique "rated"; relatedness is NaN and entailment empty: see sick_fit for who fills them.
        source_pair_id is 0.
    """
    texts = sorted({*train["sentence_a"], *train["sentence_b"]})
    vectors = encode(texts)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    alike = np.argsort(-cosine, axis=1, kind="stable")[:, : min(among, len(texts) - 1)]
    rng = np.random.default_rng(seed)
    rows = []
    for text, best in zip(texts, alike, strict=True):
        partners = [*rng.choice(best, min(near, len(best)), replace=False), *rng.integers(len(texts), size=far)]
        rows += [(text, texts[partner], np.nan, "", 0, "") for partner in partners]
    new = drop_known(make_pairs(rows, "rated"), train)
    return new[~leaks(new, test, train)].reset_index(drop=True)


def drop_known(new: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Without pairs that stand in the training pairs or earlier among the new ones, and those of equal sentences."""
    equal = pd.Series([one == other for one, other in pair_keys(new)], index=new.index, dtype=bool)
    return without_repeats(new[~repeats(new, train).pair & ~equal])


def leaks(new: pd.DataFrame, held_out: pd.DataFrame, train: pd.DataFrame) -> pd.Series:
    """Which new pairs leak: the pair is held out, in either order, or one of its sentences is held out and invented.

    Sentences are compared after normalize_sentence(). One that stands in a training pair is not invented: most of
    SICK's training sentences also stand in its test partition, in other pairs.

    Returns:
        A boolean for each row of new.
    """
    trained = {sentence for key in pair_keys(train) for sentence in key}
    tested = {sentence for key in pair_keys(held_out) for sentence in key} - trained
    pair = repeats(new, held_out).pair
    invented = [not tested.isdisjoint(key) for key in pair_keys(new)]
    return pd.Series(pair | pd.Series(invented, dtype=bool).to_numpy(), index=new.index, dtype=bool)


def check_no_leak(new: pd.DataFrame, held_out: pd.DataFrame, train: pd.DataFrame) -> None:
    """Refuse new pairs with which a model would be trained on what it is judged by.

    Args:
        new: pairs made from the training pairs.
        held_out: SICK's test partition, with whatever else must stay unseen: trial, the held-out fold.
        train: the pairs the new ones were made from.

    Raises:
        LeakError: leaks() finds some; names the first.
    """
    found = new[leaks(new, held_out, train)]
    if not found.empty:
        row = found.iloc[0]
        raise LeakError(
            f"{len(found)} of {len(new)} new pairs hold a held-out pair or sentence, the first in row "
            f"{found.index[0]!r}: {normalize_sentence(row['sentence_a'])!r} with "
            f"{normalize_sentence(row['sentence_b'])!r}; drop those rows, or make pairs with augment()"
        )


PARAPHRASE = 4.5  # relatedness from which two sentences are taken to say the same
MIN_TRIANGLES, FOLDS = 20, 5
LOWEST, HIGHEST = 1.0, 5.0


class Edge(NamedTuple):
    """A rated pair: `first` is its sentence_a, normalised."""

    pair_id: int
    relatedness: float
    entailment: str
    first: str


class Path(NamedTuple):
    """From A over B to C: A and B are a paraphrase, B and C a rated pair; sentences are normalised."""

    a: str
    b: str
    c: str
    ab: Edge
    bc: Edge


@dataclass(frozen=True)
class Transitivity:
    """Relatedness of A and C as a linear function of those of A, B and of B, C; entailment that of B, C.

    Args:
        intercept, weights: of the relatedness of A, B and of B, C.
        triangles: of sentences, all three pairs rated, which it is fitted on; most serve twice, as A, B is B, A too.
        rmse: root mean squared error, in points, on triangles of sentences that the fit had not seen; NaN unmeasured.
        agreement: share of the triangles where A, C has the entailment label of B, C.
    """

    intercept: float
    weights: tuple[float, float]
    triangles: int
    rmse: float
    agreement: float

    def relatedness(self, path: Path) -> float:
        """Estimate for A and C, 1 to 5."""
        ab, bc = self.weights
        estimate = self.intercept + ab * path.ab.relatedness + bc * path.bc.relatedness
        return float(np.clip(estimate, LOWEST, HIGHEST))


def repaired_pairs(
    train: pd.DataFrame, *, seed: int, paraphrase: float = PARAPHRASE, max_pairs: int | None = None
) -> pd.DataFrame:
    """Pairs of training sentences never rated together, but each with a third one: A and C, where A, B is a paraphrase.

    No sentence is invented. The label is fit_transitivity()'s estimate, the mean where several paths lead from A to C.

    Args:
        paraphrase: least relatedness of A and B.
        max_pairs: keep so many, drawn at random; None: all.
    """
    graph = pair_graph(train)
    model = fit_transitivity(train, paraphrase=paraphrase)
    texts = {}
    for sentence in [*train["sentence_a"], *train["sentence_b"]]:
        texts.setdefault(normalize_sentence(sentence), sentence)
    found: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in paths(graph, paraphrase):
        if path.c not in graph[path.a]:
            found[min(path.a, path.c), max(path.a, path.c)].append(path)
    keys = sorted(found)
    if max_pairs is not None and max_pairs < len(keys):
        keys = [keys[i] for i in sorted(np.random.default_rng(seed).choice(len(keys), max_pairs, replace=False))]
    return make_pairs((_row(found[key], model, texts) for key in keys), "repaired")


def fit_transitivity(train: pd.DataFrame, *, paraphrase: float = PARAPHRASE) -> Transitivity:
    """Measure it on the training pairs; with fewer than MIN_TRIANGLES triangles A, C is taken to be rated as B, C."""
    graph = pair_graph(train)
    closed = [path for path in paths(graph, paraphrase) if path.c in graph[path.a]]
    triangles = len({frozenset((path.a, path.b, path.c)) for path in closed})
    if triangles < MIN_TRIANGLES:
        return Transitivity(0.0, (0.0, 1.0), triangles, math.nan, math.nan)
    inputs = np.array([(path.ab.relatedness, path.bc.relatedness) for path in closed])
    rated = np.array([graph[path.a][path.c].relatedness for path in closed])
    rmse = _held_out_rmse(inputs, rated, _components(graph, [path.a for path in closed]))
    model = LinearRegression().fit(inputs, rated)
    agreement = np.mean([path.bc.entailment == graph[path.a][path.c].entailment for path in closed])
    weights = (float(model.coef_[0]), float(model.coef_[1]))
    return Transitivity(float(model.intercept_), weights, triangles, rmse, float(agreement))


Graph = dict[str, dict[str, Edge]]


def pair_graph(train: pd.DataFrame) -> Graph:
    """Sentence -> sentences it was rated with; of a pair that stands twice the first row counts."""
    graph: Graph = defaultdict(dict)
    for (one, other), row in zip(pair_keys(train), train.itertuples(), strict=True):
        if one != other:
            edge = Edge(row.pair_id, row.relatedness, row.entailment, normalize_sentence(row.sentence_a))
            graph[one].setdefault(other, edge)
            graph[other].setdefault(one, edge)
    return dict(graph)


def paths(graph: Graph, paraphrase: float) -> Iterator[Path]:
    """Every A, B, C of different sentences where A, B is rated `paraphrase` or more and B, C is rated."""
    for b in sorted(graph):
        for a, c in permutations(sorted(graph[b]), 2):
            if graph[b][a].relatedness >= paraphrase:
                yield Path(a, b, c, graph[b][a], graph[b][c])


def _row(found: Sequence[Path], model: Transitivity, texts: dict[str, str]) -> tuple:
    """The first path tells source and order: A stands where B stood, so that entailment keeps its direction."""
    path = found[0]
    first, second = (path.c, path.a) if path.bc.first == path.c else (path.a, path.c)
    relatedness = round(float(np.mean([model.relatedness(each) for each in found])), 2)
    entailment = Counter(each.bc.entailment for each in found).most_common(1)[0][0]
    detail = f"{path.ab.pair_id} + {path.bc.pair_id}: {path.ab.relatedness:g}, {path.bc.relatedness:g}"
    return texts[first], texts[second], relatedness, entailment, path.ab.pair_id, detail


def _held_out_rmse(inputs: np.ndarray, rated: np.ndarray, groups: list[int]) -> float:
    """Of the regression, cross-validated over groups of sentences; NaN where there is but one."""
    if len(set(groups)) < 2:
        return math.nan
    folds = GroupKFold(min(FOLDS, len(set(groups))))
    estimates = cross_val_predict(LinearRegression(), inputs, rated, groups=groups, cv=folds)
    return float(np.sqrt(np.mean((estimates - rated) ** 2)))


def _components(graph: Graph, sentences: Iterable[str]) -> list[int]:
    """For each sentence the number of the part of the graph it hangs in: no path leads from one part to another."""
    row = {sentence: i for i, sentence in enumerate(graph)}
    edges = [(row[one], row[other]) for one, others in graph.items() for other in others]
    matrix = coo_array((np.ones(len(edges)), tuple(zip(*edges, strict=True))), shape=(len(row), len(row)))
    labels = connected_components(matrix, directed=False)[1]
    return [int(labels[row[sentence]]) for sentence in sentences]
