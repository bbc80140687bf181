"""Word vectors: pretrained files read as streams, vectors trained on the corpus, tables for a network's words."""

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from helpers import settings
from helpers.data.sources import ArchiveError, SourceError, obtain_first, obtain_or_sample, open_stream
from helpers.data.text import PADDING, UNKNOWN, SentenceReader, Vocabulary, spellings, tokenize_sentence

if TYPE_CHECKING:
    from gensim.models.keyedvectors import KeyedVectors

CUT_STREAM = (EOFError, zlib.error, lzma.LZMAError, struct.error, RuntimeError, zipfile.BadZipFile, OSError)
HEADER = re.compile(rb"(\d{1,15}) (\d{1,9})\s*")
# Titles are short and few: with gensim's defaults (alpha 0.025, 5 epochs) the vectors hardly leave their random start.
COMMON = {"sg": 1, "negative": 5, "sample": 1e-3, "min_alpha": 1e-4, "workers": 1}
SETTINGS = {
    "word2vec": {"alpha": 0.1, "window": 10},
    # 2,000,000 buckets, gensim's default, would take 2.4 GB at 300 dimensions
    "fasttext": {"alpha": 0.2, "window": 5, "min_n": 4, "max_n": 5, "bucket": 100_000},
}
EPOCHS = {"word2vec": 15, "fasttext": 10}
KINDS = {  # name -> sources in the catalogue: the whole file, its excerpt
    "glove-840b": ("glove-840b", "glove-840b-sick"),
    "googlenews": ("googlenews", "googlenews-8k"),
}
UNKNOWN_WORDS = ("zero", "random", "mean")
MOST_FREQUENT = 20_000  # words taken from the top of a whole file, which is sorted by frequency


class VectorFileError(settings.UserError, ValueError):
    """A vector file that is cut off, damaged or in no known format: file, row and counts."""


def read_vectors(
    path: str | Path, vocabulary: Collection[str] | None = None, *, limit: int | None = None,
    case_fallback: bool = False, binary: bool | None = None, member: str | None = None,
) -> tuple[list[str], np.ndarray]:  # fmt: skip
    """Words and their vectors, in the order of the file. The whole file is read and checked unless limit stops it.

    Args:
        path: word2vec text or GloVe text (told apart by the header "count dim"), or word2vec binary; plain, .gz, .bz2
            or .zip.
        vocabulary: wanted words; None: all of them.
        limit: read this many words from the top, and do not look for the end of the file.
        case_fallback: a wanted word not in the file takes the vector of its Title, UPPER or lower case, in this order.
        binary: word2vec binary; None: if ".bin" is in the file's name.
        member: file inside a .zip that holds several.

    Returns:
        Words as spelled in the vocabulary, and a (len(words), dim) float32 matrix.

    Raises:
        VectorFileError: cut off, damaged, or not such a file.

    Example:
        >>> words, matrix = read_vectors("glove.6B.100d.txt", ["dog", "cat"])
    """
    path, case = Path(path), "fallback" if case_fallback else "exact"
    wanted = None if vocabulary is None else {form.encode() for word in vocabulary for form in spellings(word, case)}
    found: dict[str, tuple[int, np.ndarray]] = {}
    is_binary = ".bin" in path.suffixes if binary is None else binary
    dim = 0
    for number, (word, size, parse) in enumerate(_rows(path, member, is_binary)):
        dim = size
        if limit is not None and number == limit:
            break
        if wanted is None or word in wanted:
            text = _decode(path, number, word)
            if text not in found:  # a repeated word keeps its first vector
                found[text] = number, _finite(path, number, parse())
    if vocabulary is not None:
        found = _respelled(vocabulary, found, case)
    words = sorted(found, key=lambda word: (found[word][0], word))
    matrix = np.stack([found[word][1] for word in words]) if words else np.empty((0, dim), np.float32)
    return words, matrix


def embedding_matrix(
    vocabulary_words: Sequence[str], words: Sequence[str], vectors: np.ndarray, *, seed: int, zero_rows=(0,)
) -> tuple[np.ndarray, np.ndarray]:
    """Initial weights of an embedding layer.

    Args:
        vocabulary_words: the word of every row.
        words, vectors: as read_vectors() returns them.
        seed: of the normal draw for words without a vector, with the standard deviation of the found ones.
        zero_rows: rows that stay zero (padding).

    Returns:
        (len(vocabulary_words), dim) float32 matrix, and a boolean mask of the rows that took a pretrained vector.
    """
    row_of = {word: row for row, word in enumerate(words)}
    source = np.array([row_of.get(word, -1) for word in vocabulary_words], dtype=np.int64)
    source[list(zero_rows)] = -1
    known = source >= 0
    pretrained = vectors[source[known]]
    std = float(pretrained.std()) if known.any() else 0.1
    matrix = np.random.default_rng(seed).normal(0.0, std, (len(source), vectors.shape[1])).astype(np.float32)
    matrix[known] = pretrained
    matrix[list(zero_rows)] = 0.0
    return matrix, known


def _respelled(vocabulary: Collection[str], found: dict, case: str) -> dict:
    forms = {word: next((form for form in spellings(word, case) if form in found), None) for word in vocabulary}
    return {word: found[form] for word, form in forms.items() if form is not None}


def _rows(path: Path, member: str | None, binary: bool) -> Iterator[tuple[bytes, int, Callable[[], np.ndarray]]]:
    """Word, dimension and parser of each row; counts them, so that the message about an early end can say how many."""
    complete, promised = 0, None
    try:
        with open_stream(path, member) as stream:
            first = stream.readline()
            header = HEADER.fullmatch(first)
            if header is None and binary:
                raise VectorFileError(f"{path.name}: no header 'count dim', so no word2vec binary file")
            if header is None:
                rows = _text_rows(path, stream, first, len(first.split()) - 1)
            else:
                promised, dim = int(header[1]), int(header[2])
                rows = _binary_rows(stream, promised, dim) if binary else _text_rows(path, stream, b"", dim)
            for row in rows:
                complete += 1
                yield row
    except ArchiveError as error:
        raise VectorFileError(str(error)) from error
    except CUT_STREAM as error:
        if getattr(error, "errno", None) is not None:  # not the content: no such file, no permission
            raise
        raise VectorFileError(_cut_off(path, complete, promised, str(error))) from error
    if promised is not None and complete != promised:
        raise VectorFileError(_cut_off(path, complete, promised, "its size does not agree with its header"))


def _cut_off(path: Path, complete: int, promised: int | None, why: str) -> str:
    of = "" if promised is None else f" of the {promised:,} in its header"
    return f"{path.name} is cut off or damaged: {complete:,} complete rows{of} ({why}); download it again"


def _text_rows(path: Path, stream: BinaryIO, first: bytes, dim: int) -> Iterator:
    if dim < 1:
        raise VectorFileError(f"{path.name}: row 1 is no word with numbers: {first[:60]!r}")
    lines = chain([first] if first else [], stream)
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            raise EOFError(f"row {number} stops in the middle")
        row = line.rstrip(b" \r\n")
        if row.count(b" ") < dim:
            raise EOFError(f"row {number} has {row.count(b' ')} numbers, not {dim}")
        word = row.split(b" ", 1)[0] if row.count(b" ") == dim else row.rsplit(b" ", dim)[0]  # some words hold spaces
        yield word, dim, partial(_parse_text, path, number, row, dim)


def _parse_text(path: Path, number: int, row: bytes, dim: int) -> np.ndarray:
    try:
        return np.array(row.rsplit(b" ", dim)[1:], dtype=np.float32)
    except ValueError as error:
        raise VectorFileError(f"{path.name}: vector {number} holds something that is no number ({error})") from error


def _binary_rows(stream: BinaryIO, count: int, dim: int) -> Iterator:
    width, buffer, start = 4 * dim, b"", 0
    for number in range(1, count + 1):
        while (space := buffer.find(b" ", start)) < 0 or len(buffer) < space + 1 + width:
            piece = stream.read(1 << 20)
            if not piece:
                raise EOFError(f"row {number} stops in the middle or is not there")
            buffer, start = buffer[start:] + piece, 0
        start_of_vector, word = space + 1, buffer[start:space].lstrip(b"\n")
        start = start_of_vector + width
        yield word, dim, partial(np.frombuffer, buffer[start_of_vector:start], dtype="<f4")
    if (buffer[start:] + stream.read(2)).strip(b"\n"):
        raise EOFError("there is more behind the last row")


def _decode(path: Path, number: int, word: bytes) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError as error:
        raise VectorFileError(f"{path.name}: word {number + 1} is not UTF-8: {word[:40]!r}") from error


def _finite(path: Path, number: int, vector: np.ndarray) -> np.ndarray:
    if not np.isfinite(vector).all():
        raise VectorFileError(f"{path.name}: vector {number + 1} holds values that are not finite")
    return vector.astype(np.float32, copy=False)


# Vectors trained on the corpus


@dataclass(frozen=True)
class TrainedVectors:
    """Vectors of one training: `word in vectors` says whether the training saw it, has() whether it gets a vector."""

    kind: str
    keyed: "KeyedVectors"

    def __contains__(self, word: str) -> bool:
        return word in self.keyed.key_to_index

    def has(self, word: str) -> bool:
        """Whether it has a vector: word2vec knows the words it saw, fastText composes others from their n-grams."""
        return word in self or (self.kind == "fasttext" and len(word) + 2 >= SETTINGS["fasttext"]["min_n"])

    def lookup(self, words: Iterable[str]) -> tuple[list[str], np.ndarray]:
        """The words that have a vector, and their (n, dim) float32 matrix: as read_vectors() returns them."""
        known = [word for word in dict.fromkeys(words) if self.has(word)]
        rows = [self.keyed.get_vector(word) for word in known]
        return known, np.stack(rows) if rows else np.empty((0, self.keyed.vector_size), np.float32)

    def neighbours(self, word: str, count: int = 5, *, among: int | None = None) -> list[tuple[str, float]]:
        """The nearest words seen in training, with their cosine.

        Args:
            among: look among this many of the most frequent words only.

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
    from gensim.models import FastText, Word2Vec

    if kind not in SETTINGS:
        raise settings.WrongValue(f"kind {kind!r} is not one of {', '.join(SETTINGS)}")
    if not any(texts):
        raise settings.WrongValue(f"{len(texts)} texts hold no word: nothing to train {kind} on")
    make = FastText if kind == "fasttext" else Word2Vec
    epochs = EPOCHS[kind] if epochs is None else epochs
    model = make(texts, vector_size=dim, min_count=1, seed=seed, epochs=epochs, **COMMON, **SETTINGS[kind])
    return TrainedVectors(kind, model.wv)


# Tables for the words of sentences


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

    Its vocabulary holds the words of the vector files: all of an excerpt; of a whole file the most frequent ones and
    those of the sentences, so that a trained model reads other sentences too. In profile quick the synthetic sample
    replaces a file that cannot be had.

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
            raise settings.WrongValue(f"{name} {(value - set(allowed)).pop()!r} is not one of {', '.join(allowed)}")
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
        "types" and "tokens": their number (types as spelled in the sentences); "types_known" and "tokens_known": the
        share of them with a vector.
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
        available = set(words)
        forms = [(token, *spellings(token, case)) for token in vocabulary.tokens]
        names = [next((form for form in spelled if form in available), spelled[0]) for spelled in forms]
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
