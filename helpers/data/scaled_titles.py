"""A MeLi set of any size, made from the real titles: same columns, and a vocabulary that grows as it would.

Titles are drawn again and again, but their rare words are replaced by draws from the tail of a Zipf-Mandelbrot law with
the exponent that belongs to Heaps' law on the real titles. Numbers beyond the last real word are words invented here.
The set is made to measure time and memory: what a model scores on it says nothing about MeLi.
"""

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from helpers.data.cleaning import clean_tokens
from helpers.data.corpora import MELI_SUBSETS

FULL = {"train": 4_895_280, "validation": 1_223_820, "test": 63_680}  # rows of the course's files
LARGEST, SMALLEST, SHAPE = 19_010, 275, 1.509  # its category sizes run from one to the other; SHAPE gives their sum
RELIABLE_SHARE = 0.06  # of train and validation, most of whose rows are unreliable; all of test is reliable
RARE = 10  # words counted at most this often in the real titles make up the tail
OCTAVES = 3  # Heaps' law is fitted where the text has from 1/8 of its words to all of them
FIRST_ID = 2  # of a word, in the column data
CHUNK = 20_000  # rows drawn from one random stream
_LETTERS = re.compile(r"[^\W\d_]+")
_SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnpqrstvwxz" for vowel in "aeiou"]


@dataclass(frozen=True)
class HeapsLaw:
    """Distinct words among n tokens: factor * n ** exponent (Heaps 1978).

    tokens and words: how many the law was fitted on; deviation: the largest relative one within the range of the fit.
    """

    factor: float
    exponent: float
    tokens: int
    words: int
    deviation: float

    def expected(self, tokens: float) -> float:
        """Distinct words among so many tokens."""
        return self.factor * tokens**self.exponent


def fit_heaps(texts: Sequence[Sequence[str]], *, seed: int) -> HeapsLaw:
    """Least squares between the logarithms, over the last OCTAVES of the growth of the texts in a shuffled order.

    Raises:
        ValueError: the vocabulary does not grow.
    """
    order = np.random.default_rng(seed).permutation(len(texts))
    numbers = pd.factorize(np.array([word for i in order for word in texts[i]], dtype=object))[0]
    distinct = np.maximum.accumulate(numbers) + 1  # words are numbered by order of appearance
    start = len(distinct) // 2**OCTAVES
    if start < 1 or distinct[start - 1] == distinct[-1]:
        raise ValueError(f"{len(texts)} titles with {len(distinct)} words: too few to see a vocabulary grow")
    points = np.unique(np.geomspace(start, len(distinct), 25).astype(int))
    seen = distinct[points - 1]
    exponent, logarithm = np.polyfit(np.log(points), np.log(seen), 1)
    fitted = np.exp(logarithm) * points**exponent
    deviation = float(np.abs(fitted / seen - 1).max())
    return HeapsLaw(float(np.exp(logarithm)), float(exponent), len(distinct), int(distinct[-1]), deviation)


@dataclass(frozen=True)
class Template:
    """A real title; where a rare word stands it is cut, `slots` says which of its words stand there."""

    pieces: list[str]
    words: list[str]
    numbers: list[int]
    slots: list[int]

    def filled(self, drawn: list[int], word_of: Callable[[int], str]) -> tuple[str, list[str], list[int]]:
        """Title, words and their numbers, with the words of these numbers in the slots."""
        words, numbers, title = list(self.words), list(self.numbers), self.pieces[:1]
        for place, number, piece in zip(self.slots, drawn, self.pieces[1:], strict=True):
            words[place], numbers[place] = word_of(number), number
            title += [words[place].capitalize(), piece]
        return "".join(title), words, numbers


class Language:
    """The real titles as templates, and the law that their rare words are drawn from.

    Numbers below `head` are frequent words and stay as they are. A rare word becomes number head + j, where the share
    of draws from j on is (1 + j / scale) ** -decay: Zipf-Mandelbrot with the exponent 1 / law.exponent that belongs to
    Heaps' law (decay is one less), and the scale that gives as many distinct words as the real titles have.

    Args:
        frame: title, category, target, n_labels of real titles.
        stop_words: no words of the dictionary.
        seed: of the order in which the growth is measured, and of which category gets which size.

    Raises:
        ValueError: the titles have no rare words, or nothing but.
    """

    def __init__(self, frame: pd.DataFrame, stop_words: Collection[str], *, seed: int):
        texts = [[word for word in clean_tokens(title) if word not in stop_words] for title in frame["title"]]
        self.law = fit_heaps(texts, seed=seed)
        counts = Counter(word for text in texts for word in text)
        ranked = counts.most_common()
        self.words = [word for word, _ in ranked]
        self.head = sum(count > RARE for _, count in ranked)
        self._known = {*self.words, *stop_words}
        numbers = {word: number for number, word in enumerate(self.words)}
        self.templates = [
            self._template(title, text, numbers) for title, text in zip(frame["title"], texts, strict=True)
        ]
        self.categories, self.targets = frame["category"].tolist(), frame["target"].tolist()
        self.num_labels = int(frame["n_labels"].iloc[0])
        self.shares = _shares(frame["target"].to_numpy(), seed)
        self.decay = 1 / self.law.exponent - 1
        slots = self.shares @ [len(template.slots) for template in self.templates]
        drawn = self.law.tokens * slots / (self.shares @ [len(text) for text in texts])
        self.scale = _scale(self.decay, drawn, len(self.words) - self.head)

    def _template(self, title: str, words: list[str], numbers: dict[str, int]) -> Template:
        runs = [(found.start(), found.end(), found[0].lower()) for found in _LETTERS.finditer(title)]
        pieces, slots, end = [], [], 0
        for place, word in enumerate(words):
            if numbers[word] < self.head:
                continue
            run = next((run for run in runs if run[0] >= end and run[2] == word), None)
            if run is not None:
                pieces.append(title[end : run[0]])
                slots.append(place)
                end = run[1]
        return Template([*pieces, title[end:]], words, [numbers[word] for word in words], slots)

    def word(self, number: int) -> str:
        """The word of a number; numbers from len(self.words) on have invented ones, all different."""
        if number < len(self.words):
            return self.words[number]
        rest, syllables = number - len(self.words) + len(_SYLLABLES) ** 2, []  # at least three syllables
        while rest:
            rest, syllable = divmod(rest, len(_SYLLABLES))
            syllables.append(_SYLLABLES[syllable])
        word = "".join(reversed(syllables))
        while word in self._known:
            word += "x"  # no syllable ends like that: no other number has this word
        return word

    def draw(self, subset: str, rows: int, *, seed: int) -> Iterator[dict]:
        """Rows of a subset, with the columns of the course's files.

        But for the column size, a longer set begins with the rows of a shorter one of the same seed.

        In train and validation categories have the sizes of the course's; test draws from all titles alike.
        """
        shares = np.full(len(self.templates), 1 / len(self.templates)) if subset == "test" else self.shares
        for chunk in range(-(-rows // CHUNK)):
            rng = np.random.default_rng([seed, MELI_SUBSETS.index(subset), chunk])
            drawn = rng.choice(len(self.templates), size=CHUNK, p=shares).tolist()
            reliable = rng.random(CHUNK) < (1 if subset == "test" else RELIABLE_SHARE)
            needed = np.cumsum([0, *(len(self.templates[i].slots) for i in drawn)]).tolist()
            tail = (self.head + np.floor(self.scale * rng.pareto(self.decay, needed[-1]))).astype(np.int64).tolist()
            for k in range(min(CHUNK, rows - chunk * CHUNK)):
                title, words, numbers = self.templates[drawn[k]].filled(tail[needed[k] : needed[k + 1]], self.word)
                yield {
                    "language": "spanish", "label_quality": "reliable" if reliable[k] else "unreliable",
                    "title": title, "category": self.categories[drawn[k]], "split": subset, "tokenized_title": words,
                    "data": [number + FIRST_ID for number in numbers], "target": self.targets[drawn[k]],
                    "n_labels": self.num_labels, "size": rows,
                }  # fmt: skip


def part_rows(rows: int) -> dict[str, int]:
    """Rows of each subset of a set of so many rows, in the proportions of the course's files.

    Raises:
        ValueError: fewer than 100 rows.
    """
    if rows < 100:
        raise ValueError(f"rows={rows}: a set needs at least 100 rows to have all three subsets")
    small = {name: round(rows * FULL[name] / sum(FULL.values())) for name in ("validation", "test")}
    return {"train": rows - sum(small.values()), **small}


def write_subset(path: Path, language: Language, subset: str, rows: int, *, seed: int) -> None:
    """Write a subset as `.jsonl.gz`, a row at a time; the same bytes for the same seed. Fast compression: level 1."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as file:
        for row in language.draw(subset, rows, seed=seed):
            file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")


def _shares(targets: np.ndarray, seed: int) -> np.ndarray:
    """(titles,) how often each is drawn: categories of all sizes from SMALLEST to LARGEST, within one all alike."""
    names, category, counts = np.unique(targets, return_inverse=True, return_counts=True)
    sizes = SMALLEST + (LARGEST - SMALLEST) * np.linspace(1, 0, len(names)) ** SHAPE
    sizes = np.random.default_rng(seed).permutation(sizes)
    shares = (sizes / counts)[category]
    return shares / shares.sum()


def distinct_draws(draws: float, scale: float, decay: float) -> float:
    """Expected number of distinct words among so many draws from the tail."""
    edges = np.unique(np.concatenate([np.arange(1000.0), np.geomspace(1e3, 1e15, 20_000).round()]))
    beyond = (1 + edges / scale) ** -decay  # share of the draws from there on
    width, share = np.diff(edges), -np.diff(beyond)
    return float(-(width * np.expm1(-draws * share / width)).sum() + draws * beyond[-1])


def _scale(decay: float, draws: float, words: int) -> float:
    """The scale at which so many draws hold so many distinct words."""
    if not (decay > 0 and 1 < words < 0.999 * draws):
        raise ValueError(
            f"{words} rare words among {draws:.0f} places for them, exponent {1 / (decay + 1):.2f} of Heaps' law:"
            " no Zipf law has such a tail; more titles, and more varied ones, are needed"
        )
    return float(np.exp(brentq(lambda log: distinct_draws(draws, np.exp(log), decay) - words, -30, 30)))
