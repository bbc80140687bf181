"""Pretrained word vectors: word2vec text and binary, GloVe text; read as a stream, keeping only the wanted words."""

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np

from helpers.data.archives import ArchiveError, open_stream

CUT_STREAM = (EOFError, zlib.error, lzma.LZMAError, struct.error, RuntimeError, zipfile.BadZipFile, OSError)
HEADER = re.compile(rb"(\d{1,15}) (\d{1,9})\s*")


class VectorFileError(ValueError):
    """A vector file that is cut off, damaged or in no known format: file, row and counts."""


def read_vectors(
    path: Path, vocabulary: Collection[str] | None = None, *, limit: int | None = None, case_fallback: bool = False,
    binary: bool | None = None, member: str | None = None,
) -> tuple[list[str], np.ndarray]:  # fmt: skip
    """Words and their vectors, in the order of the file. The whole file is read and checked unless limit stops it.

    Args:
        path: word2vec text or GloVe text (told apart by the header "count dim"), or word2vec binary; plain, .gz, .bz2
            or .zip.
        vocabulary: wanted words; None: all of them.
        limit: read the first so many words only, and do not look for the end of the file.
        case_fallback: a wanted word not in the file takes the vector of its Title, UPPER or lower case, in this order.
        binary: word2vec binary; None: if ".bin" is in the file's name.
        member: file inside a .zip that holds several.

    Returns:
        Words as spelled in the vocabulary, and a (len(words), dim) float32 matrix.

    Raises:
        VectorFileError: cut off, damaged, or not such a file.
    """
    wanted = None if vocabulary is None else _spellings(vocabulary, case_fallback)
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
        found = _respell(vocabulary, found, case_fallback)
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


def _spellings(vocabulary: Collection[str], case_fallback: bool) -> set[bytes]:
    return {form.encode() for word in vocabulary for form in _forms(word, case_fallback)}


def _forms(word: str, case_fallback: bool) -> tuple[str, ...]:
    return (word, word.capitalize(), word.upper(), word.lower()) if case_fallback else (word,)


def _respell(vocabulary: Collection[str], found: dict, case_fallback: bool) -> dict:
    forms = {word: next((f for f in _forms(word, case_fallback) if f in found), None) for word in vocabulary}
    return {word: found[form] for word, form in forms.items() if form is not None}


def _rows(path: Path, member: str | None, binary: bool) -> Iterator[tuple[bytes, int, Callable[[], np.ndarray]]]:
    """Word, dimension and parser of each row; counts what it yields, so that an early end is told with its counts."""
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
