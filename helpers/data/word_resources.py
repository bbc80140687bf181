"""What augmentation knows about words: WordNet, word vectors, how often a word stands in the training sentences."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from helpers.data.sentence_edits import parts_of_speech, words_of
from helpers.data.sources import obtain_or_sample
from helpers.data.vectors import read_vectors
from helpers.data.wordnet import Lexicon, load_lexicon

MAIN_USE = 0.7  # share of its part of speech that a neighbour must have at least


@dataclass(frozen=True)
class WordVectors:
    """Cosines between words; a word without a vector agrees with none.

    Args:
        unit: (words, dim) vectors of length 1.
        row: of each word.
    """

    unit: np.ndarray
    row: dict[str, int]

    @classmethod
    def of(cls, words: list[str], vectors: np.ndarray) -> "WordVectors":
        """From what read_vectors() returns."""
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(vectors / np.maximum(lengths, 1e-12), {word: i for i, word in enumerate(words)})

    def cosine(self, first: str, second: str) -> float:
        """-1 to 1; -1 where one has no vector."""
        if first not in self.row or second not in self.row:
            return -1.0
        return float(self.unit[self.row[first]] @ self.unit[self.row[second]])

    def nearest(self, word: str, count: int) -> list[str]:
        """The words with the highest cosine, best first; none where the word has no vector."""
        if word not in self.row:
            return []
        cosines = self.unit @ self.unit[self.row[word]]
        words = list(self.row)
        return [words[i] for i in np.argsort(-cosines, kind="stable") if words[i] != word][:count]


@dataclass(frozen=True)
class Resources:
    """Lexicon, vectors and counts, all of them of the words of the training sentences and of no others.

    Args:
        frequency: word -> number of distinct training sentences it stands in.
        sample: lexicon or vectors are the synthetic sample's.
    """

    lexicon: Lexicon
    vectors: WordVectors
    frequency: Counter
    sample: bool = False

    @classmethod
    def load(cls, train: pd.DataFrame) -> "Resources":
        """WordNet and GloVe 840B, cut to the words of the training sentences; in profile quick else the sample's.

        Raises:
            SourceError: one of them cannot be had.
        """
        sentences = dict.fromkeys(map(str.lower, [*train["sentence_a"], *train["sentence_b"]]))
        frequency = Counter(word for sentence in sentences for word in set(words_of(sentence)))
        path, sample = obtain_or_sample("glove-840b-sick")
        lexicon, vectors = load_lexicon(frequency), WordVectors.of(*read_vectors(path, frequency))
        return cls(lexicon, vectors, frequency, sample or lexicon.sample)

    def tagger(self) -> Callable[[str], dict[str, str]]:
        """parts_of_speech() that remembers: a SICK sentence stands in several pairs."""
        return cache(lambda text: parts_of_speech(text, self.lexicon))

    def synonyms(self, word: str, part: str, min_cosine: float) -> list[str]:
        """The lexicon's synonyms whose vectors agree; of an adverb only those that are used alike.

        "inside" is a preposition, too, and "indoors" is none: what a word can be else tells them apart.
        """
        lexicon = self.lexicon
        known = lexicon.parts(word)[part].synonyms
        if part == "r":
            known = [other for other in known if set(lexicon.parts(other)) == set(lexicon.parts(word))]
        return [other for other in known if self.vectors.cosine(word, other) >= min_cosine]

    def neighbours(self, word: str, part: str, count: int, min_cosine: float) -> list[str]:
        """Of the nearest words those with the same part of speech, inflection and field (animals, clothes)."""
        own = self.lexicon.parts(word)[part]
        alike = []
        for other in self.vectors.nearest(word, count):
            entry = self.lexicon.parts(other).get(part)
            if entry and entry.share >= MAIN_USE and (entry.form, entry.field) == (own.form, own.field):
                alike.append(other)
        return [other for other in alike if self.vectors.cosine(word, other) >= min_cosine]
