"""Word vectors trained on the corpus itself, where no pretrained ones are at hand: word2vec and fastText (gensim)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from gensim.models import FastText, Word2Vec
from gensim.models.keyedvectors import KeyedVectors

# Titles are short and few: with gensim's defaults (alpha 0.025, 5 epochs) the vectors hardly leave their random start.
COMMON = {"sg": 1, "negative": 5, "sample": 1e-3, "min_alpha": 1e-4, "workers": 1}
SETTINGS = {
    "word2vec": {"alpha": 0.1, "window": 10},
    # 2,000,000 buckets, gensim's default, would take 2.4 GB at 300 dimensions
    "fasttext": {"alpha": 0.2, "window": 5, "min_n": 4, "max_n": 5, "bucket": 100_000},
}
EPOCHS = {"word2vec": 15, "fasttext": 10}


@dataclass(frozen=True)
class TrainedVectors:
    """Vectors of one training: `word in vectors` says whether it was seen there, has() whether it gets a vector."""

    kind: str
    keyed: KeyedVectors

    def __contains__(self, word: str) -> bool:
        return word in self.keyed.key_to_index

    def has(self, word: str) -> bool:
        """Has it a vector? word2vec knows the words it saw; fastText composes others from their n-grams."""
        return word in self or (self.kind == "fasttext" and len(word) + 2 >= SETTINGS["fasttext"]["min_n"])

    def lookup(self, words: Iterable[str]) -> tuple[list[str], np.ndarray]:
        """Those of the words that have a vector, and their (n, dim) float32 matrix: as read_vectors() returns them."""
        known = [word for word in dict.fromkeys(words) if self.has(word)]
        rows = [self.keyed.get_vector(word) for word in known]
        return known, np.stack(rows) if rows else np.empty((0, self.keyed.vector_size), np.float32)

    def neighbours(self, word: str, count: int = 5, *, among: int | None = None) -> list[tuple[str, float]]:
        """The nearest words seen in training, with their cosine.

        Args:
            among: look among the so many most frequent words only.

        Raises:
            KeyError: the word has no vector.
        """
        if not self.has(word):
            raise KeyError(f"{word!r} was not seen in training, and {self.kind} cannot compose it")
        return self.keyed.most_similar(word, topn=count, restrict_vocab=among)


def train_vectors(
    texts: Sequence[Sequence[str]], kind: str, *, dim: int = 300, seed: int, epochs: int | None = None
) -> TrainedVectors:
    """Train skip-gram vectors with negative sampling; the same texts and seed give the same vectors (one thread).

    Args:
        texts: token lists of the training side; every word in them is trained.
        kind: "word2vec" (Mikolov et al. 2013, arXiv:1301.3781, 1310.4546): one vector per word seen; or "fasttext"
            (Bojanowski et al. 2017, arXiv:1607.04606): a word is the mean of itself and its n-grams of 4 and 5 letters.
        epochs: None takes EPOCHS[kind].

    Raises:
        ValueError: unknown kind, or no word to train on.
    """
    if kind not in SETTINGS:
        raise ValueError(f"kind {kind!r} is not one of {', '.join(SETTINGS)}")
    if not any(texts):
        raise ValueError(f"{len(texts)} texts hold no word: nothing to train {kind} on")
    make = FastText if kind == "fasttext" else Word2Vec
    epochs = EPOCHS[kind] if epochs is None else epochs
    model = make(texts, vector_size=dim, min_count=1, seed=seed, epochs=epochs, **COMMON, **SETTINGS[kind])
    return TrainedVectors(kind, model.wv)
