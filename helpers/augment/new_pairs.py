"""New training pairs: their frame, the leak check, candidates that nobody rated, and pairs by transitivity.

Transitivity: where A and B are paraphrases, C is about as related to A as to B. How nearly is measured on the triangles
of training sentences of which all three pairs were rated.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helpers import settings
from helpers.data.splits import pair_keys, repeats, without_repeats
from helpers.data.text import normalize_sentence

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "pair_id", "sentence_a", "sentence_b", "relatedness", "entailment", "partition", "technique", "source_pair_id",
    "detail",
]  # fmt: skip
_TECHNIQUES = ("synonyms", "antonyms", "repaired", "neighbours", "deletion", "rated")
FIRST_ID = {name: 1_000_000 * (1 + i) for i, name in enumerate(_TECHNIQUES)}  # of new pairs: SICK's are below 10,000
PARAPHRASE = 4.5  # relatedness from which two sentences count as paraphrases
LOWEST, HIGHEST = 1.0, 5.0
MIN_TRIANGLES, FOLDS = 20, 5


class LeakError(settings.UserError, ValueError):
    """New training pairs that contain a held-out pair, or an invented sentence that is held out."""


def make_pairs(rows: Iterable[tuple], technique: str) -> "pd.DataFrame":
    """A frame of new pairs from (sentence_a, sentence_b, relatedness, entailment, source_pair_id, detail).

    Returns:
        COLUMNS; pair_id counts from the technique's FIRST_ID, partition is "train".
    """
    import pandas as pd

    frame = pd.DataFrame(rows, columns=[*COLUMNS[1:5], *COLUMNS[7:]])
    frame = frame.assign(pair_id=FIRST_ID[technique] + np.arange(len(frame)), partition="train", technique=technique)
    return frame[COLUMNS].astype({"relatedness": float, "source_pair_id": int})


def drop_known(new: "pd.DataFrame", train: "pd.DataFrame") -> "pd.DataFrame":
    """Drop pairs of equal sentences, and those already among the training pairs or earlier among the new ones."""
    equal = np.array([one == other for one, other in pair_keys(new)], dtype=bool)
    return without_repeats(new[~repeats(new, train).pair & ~equal])


def leaks(new: "pd.DataFrame", held_out: "pd.DataFrame", train: "pd.DataFrame") -> "pd.Series":
    """Which new pairs leak: the pair is held out, in either order, or one of its sentences is held out and invented.

    Sentences are compared after normalize_sentence(). A sentence of a training pair is not invented: most of SICK's
    training sentences are in its test partition too, in other pairs.

    Returns:
        A boolean for each row of new.
    """
    import pandas as pd

    trained, held = ({sentence for key in pair_keys(frame) for sentence in key} for frame in (train, held_out))
    invented = [not (held - trained).isdisjoint(key) for key in pair_keys(new)]
    return pd.Series(repeats(new, held_out).pair | np.array(invented, dtype=bool), index=new.index, dtype=bool)


def check_no_leak(new: "pd.DataFrame", held_out: "pd.DataFrame", train: "pd.DataFrame") -> None:
    """Refuse new pairs through which a model would be trained on what it is evaluated on.

    Args:
        new: pairs made from the training pairs.
        held_out: SICK's test partition, and whatever else is held out: trial, the fold's own pairs.
        train: the pairs that the new ones were made from.

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


def candidate_pairs(
    train: "pd.DataFrame", encode: Callable[[list[str]], np.ndarray], *, seed: int, test: "pd.DataFrame", near=2, far=1,
    among=30,
) -> "pd.DataFrame":  # fmt: skip
    """Unrated pairs of training sentences: every sentence with some of those most similar to it, and with any other.

    Args:
        train: training pairs, with the columns of load_sick().
        encode: sentences -> (n, dim) vectors, whose cosine is the similarity.
        test: held-out pairs: none of them is among the new ones.
        near: partners drawn from the `among` most similar.
        far: partners drawn from all.

    Returns:
        As make_pairs(), technique "rated"; relatedness is NaN, entailment empty and source_pair_id 0: a trained model
        fills them in (helpers/tasks/sick.py).
    """
    texts = sorted({*train["sentence_a"], *train["sentence_b"]})
    vectors = encode(texts)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    similar = np.argsort(-cosine, axis=1, kind="stable")[:, : min(among, len(texts) - 1)]
    rng = np.random.default_rng(seed)
    rows = []
    for text, best in zip(texts, similar, strict=True):
        partners = [*rng.choice(best, min(near, len(best)), replace=False), *rng.integers(len(texts), size=far)]
        rows += [(text, texts[partner], np.nan, "", 0, "") for partner in partners]
    new = drop_known(make_pairs(rows, "rated"), train)
    return new[~leaks(new, test, train)].reset_index(drop=True)


class Edge(NamedTuple):
    """A rated pair: `first` is its sentence_a, normalised."""

    pair_id: int
    relatedness: float
    entailment: str
    first: str


Graph = dict[str, dict[str, Edge]]


class Chain(NamedTuple):
    """From A over B to C: A and B are paraphrases, B and C a rated pair; sentences are normalised."""

    a: str
    b: str
    c: str
    ab: Edge
    bc: Edge


@dataclass(frozen=True)
class Transitivity:
    """Relatedness of A and C as a linear function of that of A, B and of B, C; their entailment is that of B, C.

    Args:
        intercept, weights: of the relatedness of A, B and of B, C.
        triangles: how many it was fitted on; most count twice, as A, B is also B, A.
        rmse: root mean squared error, in points of relatedness, on triangles of held-out sentences; NaN unmeasured.
        agreement: share of the triangles where A, C has the entailment label of B, C.
    """

    intercept: float
    weights: tuple[float, float]
    triangles: int
    rmse: float
    agreement: float

    def relatedness(self, chain: Chain) -> float:
        """Estimate for A and C, LOWEST to HIGHEST."""
        ab, bc = self.weights
        estimate = self.intercept + ab * chain.ab.relatedness + bc * chain.bc.relatedness
        return float(np.clip(estimate, LOWEST, HIGHEST))


def repaired_pairs(
    train: "pd.DataFrame", *, seed: int, paraphrase: float = PARAPHRASE, max_pairs: int | None = None
) -> "pd.DataFrame":
    """Pairs of training sentences A, C that were not rated together, where A, B is a paraphrase and B, C was rated.

    No sentence is invented. The label is fit_transitivity()'s estimate, the mean where several chains link A and C.

    Args:
        paraphrase: least relatedness of A and B.
        max_pairs: keep so many, drawn at random; None: all.
    """
    graph = pair_graph(train)
    model = fit_transitivity(train, paraphrase=paraphrase)
    texts = {}
    for sentence in [*train["sentence_a"], *train["sentence_b"]]:
        texts.setdefault(normalize_sentence(sentence), sentence)
    found: dict[tuple[str, str], list[Chain]] = defaultdict(list)
    for chain in chains(graph, paraphrase):
        if chain.c not in graph[chain.a]:
            found[min(chain.a, chain.c), max(chain.a, chain.c)].append(chain)
    keys = sorted(found)
    if max_pairs is not None and max_pairs < len(keys):
        keys = [keys[i] for i in sorted(np.random.default_rng(seed).choice(len(keys), max_pairs, replace=False))]
    return make_pairs((_row(found[key], model, texts) for key in keys), "repaired")


def fit_transitivity(train: "pd.DataFrame", *, paraphrase: float = PARAPHRASE) -> Transitivity:
    """Fit the rule to the training pairs; with fewer than MIN_TRIANGLES triangles A, C gets the rating of B, C."""
    from sklearn.linear_model import LinearRegression

    graph = pair_graph(train)
    closed = [chain for chain in chains(graph, paraphrase) if chain.c in graph[chain.a]]
    triangles = len({frozenset((chain.a, chain.b, chain.c)) for chain in closed})
    if triangles < MIN_TRIANGLES:
        return Transitivity(0.0, (0.0, 1.0), triangles, math.nan, math.nan)
    inputs = np.array([(chain.ab.relatedness, chain.bc.relatedness) for chain in closed])
    rated = np.array([graph[chain.a][chain.c].relatedness for chain in closed])
    rmse = _held_out_rmse(inputs, rated, _components(graph, [chain.a for chain in closed]))
    model = LinearRegression().fit(inputs, rated)
    agreement = np.mean([chain.bc.entailment == graph[chain.a][chain.c].entailment for chain in closed])
    weights = (float(model.coef_[0]), float(model.coef_[1]))
    return Transitivity(float(model.intercept_), weights, triangles, rmse, float(agreement))


def pair_graph(train: "pd.DataFrame") -> Graph:
    """Sentence -> sentences that it was rated with; the first row of a repeated pair counts."""
    graph: Graph = defaultdict(dict)
    for (one, other), row in zip(pair_keys(train), train.itertuples(), strict=True):
        if one != other:
            edge = Edge(row.pair_id, row.relatedness, row.entailment, normalize_sentence(row.sentence_a))
            graph[one].setdefault(other, edge)
            graph[other].setdefault(one, edge)
    return dict(graph)


def chains(graph: Graph, paraphrase: float) -> Iterator[Chain]:
    """Every A, B, C of different sentences where A, B is rated `paraphrase` or more and B, C is rated."""
    for b in sorted(graph):
        for a, c in permutations(sorted(graph[b]), 2):
            if graph[b][a].relatedness >= paraphrase:
                yield Chain(a, b, c, graph[b][a], graph[b][c])


def _row(found: Sequence[Chain], model: Transitivity, texts: dict[str, str]) -> tuple:
    """Source and order come from the first chain: A takes the place of B, so that entailment keeps its direction."""
    chain = found[0]
    first, second = (chain.c, chain.a) if chain.bc.first == chain.c else (chain.a, chain.c)
    relatedness = round(float(np.mean([model.relatedness(each) for each in found])), 2)
    entailment = Counter(each.bc.entailment for each in found).most_common(1)[0][0]
    detail = f"{chain.ab.pair_id} + {chain.bc.pair_id}: {chain.ab.relatedness:g}, {chain.bc.relatedness:g}"
    return texts[first], texts[second], relatedness, entailment, chain.ab.pair_id, detail


def _held_out_rmse(inputs: np.ndarray, rated: np.ndarray, groups: list[int]) -> float:
    """Cross-validated over groups of sentences; NaN where there is only one group."""
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict

    if len(set(groups)) < 2:
        return math.nan
    folds = GroupKFold(min(FOLDS, len(set(groups))))
    estimates = cross_val_predict(LinearRegression(), inputs, rated, groups=groups, cv=folds)
    return float(np.sqrt(np.mean((estimates - rated) ** 2)))


def _components(graph: Graph, sentences: Iterable[str]) -> list[int]:
    """For each sentence the number of its connected component: no chain links one component to another."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    row = {sentence: i for i, sentence in enumerate(graph)}
    edges = [(row[one], row[other]) for one, others in graph.items() for other in others]
    matrix = coo_array((np.ones(len(edges)), tuple(zip(*edges, strict=True))), shape=(len(row), len(row)))
    labels = connected_components(matrix, directed=False)[1]
    return [int(labels[row[sentence]]) for sentence in sentences]
