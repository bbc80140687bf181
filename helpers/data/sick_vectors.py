"""Pretrained vectors for the words of SICK and STS: which files, which case, what a word without a vector gets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from helpers.data.pairs import tokenize_sentence
from helpers.data.sentence_batches import SentenceReader, spellings
from helpers.data.sources import SourceError, obtain_first, obtain_or_sample
from helpers.data.text import PADDING, UNKNOWN, Vocabulary
from helpers.data.vectors import embedding_matrix, read_vectors

KINDS = {  # name -> sources in the catalogue: the whole file, its excerpt
    "glove-840b": ("glove-840b", "glove-840b-sick"),
    "googlenews": ("googlenews", "googlenews-8k"),
}
UNKNOWN_WORDS = ("zero", "random", "mean")
MOST_FREQUENT = 20_000  # words taken from the top of a whole file, which is sorted by frequency


@dataclass(frozen=True)
class VectorTable:
    """Word vectors and the reader that finds their rows.

    matrix (len(vocabulary), dim), row 0 zero (padding); known (len(vocabulary),) rows with a pretrained vector;
    sources: catalogue names of the files read; sample: they are the synthetic ones.
    """

    reader: SentenceReader
    matrix: np.ndarray
    known: np.ndarray
    sources: tuple[str, ...]
    sample: bool

    def known_words(self, sentence: str) -> list[bool]:
        """Of every word of a sentence, whether it has a vector (a hyphenated one: whether all its parts have)."""
        return [bool(self.known[self.reader.word_ids(word)].all()) for word in tokenize_sentence(sentence)]

    def mean_vectors(self, sentences: Iterable[str]) -> np.ndarray:
        """(n, dim) mean of the vectors of each sentence's words: the assignment's encoding of a sentence."""
        return np.stack([self.matrix[self.reader.ids(sentence)].mean(0) for sentence in sentences])


def vector_table(
    vectors: str, sentences: Iterable[str], *, case: str = "fallback", unknown: str = "zero", seed: int = 0,
    lookup: Iterable[str] = (),
) -> VectorTable:  # fmt: skip
    """The embedding matrix of a siamese network.

    Its vocabulary holds the words of the vector files: of an excerpt all, of a whole file the most frequent ones and
    those of the sentences, so that a trained model reads other sentences too. In profile quick the synthetic sample
    stands in for a file that cannot be had.

    Args:
        vectors: a name of KINDS, or several joined by "+" (a word then has their vectors one after another, zeros for
            the one it lacks).
        sentences: training sentences; with unknown="random" those of their words that no file knows get own rows.
        case: as in spellings().
        unknown: what a word without a vector gets: "zero", "random" (own normal draws with the standard deviation of
            the known ones; all words outside the vocabulary share one) or "mean" (the mean vector).
        seed: of the draws.
        lookup: further sentences whose words are to be looked for in a whole file.

    Raises:
        ValueError: unknown name of vectors, case or treatment.
        SourceError: a file cannot be had.
    """
    kinds = vectors.split("+")
    for name, value, allowed in (("vectors", set(kinds), KINDS), ("unknown", {unknown}, UNKNOWN_WORDS)):
        if not value <= set(allowed):
            raise ValueError(f"{name} {(value - set(allowed)).pop()!r} is not one of {', '.join(allowed)}")
    words = _words(sentences)
    wanted = frozenset([*words, *_words(lookup)])
    files = [_find(kind) for kind in kinds]
    read = [_read(path, wanted if name in KINDS else None) for path, name, _ in files]  # an excerpt is read whole
    vocabulary = _vocabulary([known for known, _ in read], words if unknown == "random" else (), case)
    matrix, known = _matrix(vocabulary, read, case, unknown, seed)
    names, samples = tuple(name for _, name, _ in files), [sample for _, _, sample in files]
    return VectorTable(SentenceReader(vocabulary, case), matrix, known, names, any(samples))


def coverage(table: VectorTable, sentences: Iterable[str]) -> dict[str, float]:
    """How many words have a vector.

    Returns:
        "types" and "tokens", how many there are (types as spelled in the sentences); "types_known" and "tokens_known",
        the share of them with a vector.
    """
    pairs = [pair for s in sentences for pair in zip(tokenize_sentence(s), table.known_words(s), strict=True)]
    types = dict(pairs)
    known = sum(is_known for _, is_known in pairs)
    return {
        "types": len(types),
        "tokens": len(pairs),
        "types_known": sum(types.values()) / max(1, len(types)),
        "tokens_known": known / max(1, len(pairs)),
    }


def _words(sentences: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(word for sentence in sentences for word in tokenize_sentence(sentence)))


def _find(kind: str) -> tuple[Path, str, bool]:
    """Path and catalogue name of the file, and whether it is the synthetic one."""
    try:
        return *obtain_first(*KINDS[kind]), False
    except SourceError:
        excerpt = KINDS[kind][-1]
        path, sample = obtain_or_sample(excerpt)
        return path, excerpt, sample


@lru_cache(maxsize=4)
def _read(path: Path, wanted: frozenset[str] | None) -> tuple[list[str], np.ndarray]:
    if wanted is None:
        return read_vectors(path)
    forms = {form for word in wanted for form in spellings(word, "fallback")}
    top, top_vectors = read_vectors(path, limit=MOST_FREQUENT)
    words, vectors = read_vectors(path, forms - set(top))
    return [*top, *words], np.concatenate([top_vectors, vectors])


def _vocabulary(known: list[list[str]], own: Sequence[str], case: str) -> Vocabulary:
    """The words of the files, then those of `own` that no spelling and no hyphen leads to."""
    tokens = dict.fromkeys(word for words in known for word in words if word not in ("<pad>", "<unk>"))
    reader = SentenceReader(Vocabulary(list(tokens)), case)
    lacking = [word for word in own if UNKNOWN in reader.word_ids(word)]
    return Vocabulary(list(dict.fromkeys([*tokens, *(w if case == "exact" else w.lower() for w in lacking)])))


def _matrix(
    vocabulary: Vocabulary, files: list[tuple[list[str], np.ndarray]], case: str, unknown: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    parts, masks = [], []
    for number, (words, vectors) in enumerate(files):
        at_hand = set(words)
        forms = [(token, *spellings(token, case)) for token in vocabulary.tokens]
        names = [next((form for form in spelled if form in at_hand), spelled[0]) for spelled in forms]
        part, mask = embedding_matrix(names, words, vectors, seed=seed + number, zero_rows=(PADDING,))
        parts.append(part)
        masks.append(mask)
    known = np.any(masks, axis=0)
    for part, mask in zip(parts, masks, strict=True):
        part[known & ~mask] = 0  # another file knows the word
    matrix = np.concatenate(parts, axis=1)
    lacking = ~known
    lacking[PADDING] = False
    if unknown != "random":
        matrix[lacking] = matrix[known].mean(0) if unknown == "mean" else 0
    return matrix, known
