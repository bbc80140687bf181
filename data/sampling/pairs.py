"""Synthetic sentence pairs in the formats of SICK, the STS Benchmark and the SemEval STS sets."""

from typing import NamedTuple

from numpy.random import Generator

from sampling import scenes
from sampling.common import pick
from sampling.scenes import Scene, random_scene, sentence

PARTS = {"TRAIN": 180, "TRIAL": 40, "TEST": 80}
REPEATED_IN_TEST = 2  # test rows that repeat a training pair with its sentences exchanged, as some real ones do
HEADER = ["pair_ID", "sentence_A", "sentence_B", "relatedness_score", "entailment_judgment"]
RELEASE_HEADER = [
    "pair_ID",
    "sentence_A",
    "sentence_B",
    "entailment_label",
    "relatedness_score",
    "entailment_AB",
    "entailment_BA",
    "sentence_A_original",
    "sentence_B_original",
    "sentence_A_dataset",
    "sentence_B_dataset",
    "SemEval_set",
]
SEMEVAL_SETS = [
    "2012.MSRpar.test",
    "2012.MSRpar.train",
    "2012.OnWN.test",
    "2012.SMTeuroparl.test",
    "2012.SMTeuroparl.train",
    "2012.SMTnews.test",
    "2013.FNWN.test",
    "2013.OnWN.test",
    "2013.headlines.test",
    "2014.OnWN.test",
    "2014.deft-forum.test",
    "2014.deft-news.test",
    "2014.headlines.test",
    "2014.images.test",
    "2014.tweet-news.test",
    "2015.answers-forums.test",
    "2015.answers-students.test",
    "2015.belief.test",
    "2015.headlines.test",
    "2015.images.test",
]
BENCHMARK_ROWS, ROWS_PER_SET, SHARED_ROWS = 60, 6, 5

# change of the scene -> (share of the pairs, mean relatedness, A against B, B against A)
CHANGES = {
    scenes.synonym: (0.09, 4.75, "entails", "entails"),
    scenes.two_synonyms: (0.06, 4.6, "entails", "entails"),
    scenes.passive: (0.07, 4.85, "entails", "entails"),
    scenes.definite: (0.03, 4.9, "entails", "entails"),
    scenes.broader: (0.12, 4.4, "entails", "neutral"),
    scenes.negated: (0.11, 3.6, "contradicts", "contradicts"),
    scenes.opposite: (0.05, 3.5, "contradicts", "contradicts"),
    scenes.opposite_agent: (0.04, 3.8, "neutral", "neutral"),
    scenes.swapped: (0.03, 3.7, "neutral", "neutral"),
    scenes.other_object: (0.09, 3.4, "neutral", "neutral"),
    scenes.other_agent: (0.09, 3.5, "neutral", "neutral"),
    scenes.other_action: (0.08, 2.6, "neutral", "neutral"),
    scenes.same_topic: (0.06, 2.0, "neutral", "neutral"),
    scenes.unrelated: (0.08, 1.2, "neutral", "neutral"),
}


class Pair(NamedTuple):
    """Two sentences, their relatedness (1 to 5), what each says of the other, and the scene they came from."""

    first: str
    second: str
    score: float
    forward: str
    backward: str
    base: str


def make_pair(scene: Scene, change, rng: Generator) -> Pair | None:
    """The scene and its change, in either order; None where this change does not apply to it."""
    changed = change(scene, rng)
    if changed is None:
        return None
    _, mean, forward, backward = CHANGES[change]
    score = round(min(max(mean + 0.18 * rng.standard_normal(), 1.0), 5.0), 1)
    first, second = sentence(scene), sentence(changed)
    if rng.random() < 0.5:
        first, second, forward, backward = second, first, backward, forward
    return Pair(first, second, score, forward, backward, sentence(scene))


def make_pairs(count: int, rng: Generator, taken: set[frozenset[str]]) -> list[Pair]:
    """Distinct pairs, every change with its share; each scene serves for about three, so sentences repeat.

    Args:
        taken: pairs of sentences not to be made again; grows.
    """
    changes = [change for change, (share, *_) in CHANGES.items() for _ in range(round(share * count))]
    changes = (changes + [scenes.broader] * count)[:count]
    pool, pairs = [random_scene(rng) for _ in range(max(count // 3, 1))], []
    for change in changes:
        pair, attempts = None, 0
        while pair is None or frozenset(pair[:2]) in taken:
            attempts += 1
            pair = make_pair(pick(rng, pool) if attempts < 50 else random_scene(rng), change, rng)
        taken.add(frozenset(pair[:2]))
        pairs.append(pair)
    return [pairs[int(index)] for index in rng.permutation(len(pairs))]


def judgment(pair: Pair) -> str:
    """The three-way label of the pair: what A says of B, contradiction only where it is mutual."""
    if pair.forward == "contradicts" and pair.backward == "contradicts":
        return "CONTRADICTION"
    return "ENTAILMENT" if pair.forward == "entails" else "NEUTRAL"


def make_sick(rng: Generator, taken: set[frozenset[str]]) -> dict[str, list[tuple[int, Pair]]]:
    """Numbered pairs of each part; numbers rise inside a part and are unique over all three."""
    pairs = make_pairs(sum(PARTS.values()) - REPEATED_IN_TEST, rng, taken)
    exchanged = [
        pair._replace(first=pair.second, second=pair.first, forward=pair.backward, backward=pair.forward)
        for pair in pairs[:REPEATED_IN_TEST]
    ]
    numbers = rng.permutation(sum(PARTS.values())) + 1
    rows, start = {}, 0
    for part, size in PARTS.items():
        own = sorted(int(number) for number in numbers[start : start + size])
        rows[part] = list(zip(own, (pairs + exchanged)[start : start + size], strict=True))
        start += size
    return rows


def sick_lines(rows: list[tuple[int, Pair]]) -> list[str]:
    """One part in the layout of SemEval-2014 task 1."""
    table = [[str(number), pair.first, pair.second, f"{pair.score:g}", judgment(pair)] for number, pair in rows]
    return ["\t".join(row) for row in [HEADER, *table]]


def release_lines(parts: dict[str, list[tuple[int, Pair]]]) -> list[str]:
    """All parts in the layout of the later release, by pair number."""
    table = sorted((number, pair, part) for part, rows in parts.items() for number, pair in rows)
    return [
        "\t".join(row)
        for row in [
            RELEASE_HEADER,
            *(
                [
                    str(number),
                    pair.first,
                    pair.second,
                    judgment(pair),
                    f"{pair.score:g}",
                    f"A_{pair.forward}_B",
                    f"B_{pair.backward}_A",
                    pair.base + ".",
                    pair.base + ".",
                    "SYNTHETIC",
                    "SYNTHETIC",
                    part,
                ]
                for number, pair, part in table
            ),
        ]
    ]


def sts_score(pair: Pair) -> float:
    """Relatedness 1 to 5 as similarity 0 to 5, in steps of 0.2."""
    return round((pair.score - 1) / 4 * 25) / 5


def benchmark_lines(pairs: list[Pair], scored_elsewhere: list[Pair], sick_test: list[Pair]) -> list[str]:
    """The STS Benchmark: no header; most rows with seven columns, some with nine.

    Like the real one it holds pairs of the SemEval sets, one SICK test pair and two rows with a SICK test sentence.
    """
    overlap = [sick_test[0], pairs[0]._replace(first=sick_test[1].first), pairs[1]._replace(second=sick_test[2].second)]
    rows = pairs[2 : BENCHMARK_ROWS - len(overlap) - len(scored_elsewhere) + 2] + overlap + scored_elsewhere
    lines = []
    for number, pair in enumerate(rows, 1):
        genre, name = ("main-captions", "images") if number % 3 else ("main-news", "headlines")
        columns = [genre, name, "2014", f"{number:04d}", f"{sts_score(pair):.3f}", pair.first + ".", pair.second + "."]
        lines.append("\t".join(columns + (["synthetic", "synthetic"] if number % 20 == 0 else [])))
    return lines


def semeval_lines(name: str, pairs: list[Pair]) -> list[str]:
    """One SemEval set: score, sentence, sentence; sets of 2015 leave a third of the scores empty."""
    form = {"2012": ".3f", "2015": ".2f"}.get(name[:4], "g")
    return [
        "\t".join(
            [
                "" if name.startswith("2015") and index % 3 == 0 else format(sts_score(pair), form),
                pair.first + ".",
                pair.second + ".",
            ]
        )
        for index, pair in enumerate(pairs)
    ]
