"""Excerpts of big public files, cut from the whole archives: `python -m helpers data cut NAME`.

The same archive gives the same bytes every time (gzip without time or name). They need not be those of a mirror's copy;
the hash of what was cut here is written down beside it, and obtain() holds it to that.
"""

import gzip
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from helpers import files, settings
from helpers.data import sources
from helpers.data.corpora import load_sick, load_sms
from helpers.data.sources import ArchiveError, Source, SourceError, extract, obtain, open_stream
from helpers.data.text import tokenize
from helpers.data.vectors import read_vectors

GOOGLENEWS_WORDS = 8_000
SBW_LINES = 1 + 446  # header and vectors
TWITTER_MEMBER = "glove.twitter.27B.25d.txt"


def cut(name: str) -> list[Path]:
    """Make an excerpt of the catalogue, or all whose names begin so ("semeval", "wordnet"), in the cache.

    Raises:
        SourceError: the whole archive, or the corpus whose words are wanted, cannot be had.
        ValueError: no excerpt has such a name; or the archive is not what it should be.
    """
    excerpts = [source for source in sources.SOURCES.values() if source.excerpt_of]
    chosen = [s for s in excerpts if s.name == name] or [s for s in excerpts if s.name.startswith(f"{name}-")]
    if not chosen:
        raise settings.WrongValue(f"{name!r} is no excerpt; there are: {', '.join(source.name for source in excerpts)}")
    return [_cut_one(source) for source in chosen]


def _cut_one(source: Source) -> Path:
    archive = obtain(source.excerpt_of[0])
    target, write = settings.cache_dir() / source.path, _writer(source)
    try:
        write(archive, target)
    except (EOFError, zlib.error, zipfile.BadZipFile, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the system's: gzip and bz2 set no number
            raise
        raise ArchiveError(f"{archive}: damaged archive ({error})") from error
    sources.write_note(target)
    return target


def _writer(source: Source) -> Callable[[Path, Path], None]:
    group, _, rest = source.name.partition("-")
    if group == "semeval":
        return partial(paste_semeval, name=rest.split(".")[1])
    if group == "wordnet":
        return partial(_take_member, member=rest)
    if source.name == "googlenews-8k":
        return partial(cut_first_words, words=GOOGLENEWS_WORDS)
    if source.name == "sbw-head":
        return partial(cut_first_lines, lines=SBW_LINES)
    if source.name == "glove-840b-sick":
        return partial(cut_words, vocabulary=_words_of(load_sick(), "sentence_a", "sentence_b"))
    assert source.name == "glove-twitter-12k", f"nothing cuts {source.name}"
    return partial(cut_words, vocabulary=_words_of(load_sms(), "text"), member=TWITTER_MEMBER)


def cut_first_words(archive: Path, target: Path, words: int) -> None:
    """The first vectors of a word2vec binary file, as word2vec binary in gzip."""
    names, matrix = read_vectors(archive, limit=words, binary=True)
    with _written(target) as file:
        file.write(f"{len(names)} {matrix.shape[1]}\n".encode())
        for word, vector in zip(names, matrix.astype("<f4"), strict=True):
            file.write(word.encode() + b" " + vector.tobytes())


def cut_words(archive: Path, target: Path, vocabulary: Collection[str], member: str | None = None) -> None:
    """The rows of a GloVe text file whose word is in the vocabulary, byte by byte as they stand there, in gzip."""
    wanted = {word.encode() for word in vocabulary}
    with open_stream(archive, member) as stream, _written(target) as file:
        for line in stream:
            word, _, rest = line.partition(b" ")
            # in a row whose word holds a space, its second part stands where the first number should
            if word in wanted and _is_number(rest.partition(b" ")[0]):
                file.write(line)


def cut_first_lines(archive: Path, target: Path, lines: int) -> None:
    """The first lines of a text file, as they are."""
    with open_stream(archive) as stream, _written(target) as file:
        file.writelines(islice(stream, lines))


def paste_semeval(archive: Path, target: Path, name: str) -> None:
    """Score and sentence pair of a SemEval STS set ("MSRpar") side by side: score, sentence 1, sentence 2 by tabs.

    Raises:
        ArchiveError: the archive lacks the set, or its two files differ in length.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            pairs, scores = (_member_lines(opened, f"STS.{kind}", name) for kind in ("input", "gs"))
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"{archive.name}: damaged archive ({error})") from error
    if len(pairs) != len(scores):
        raise ArchiveError(f"{archive.name}: set {name} has {len(pairs)} pairs and {len(scores)} scores")
    with _written(target) as file:
        for score, pair in zip(scores, pairs, strict=True):
            file.write(b"\t".join([score.strip(), *pair.split(b"\t")[:2]]) + b"\n")


def _take_member(archive: Path, target: Path, member: str) -> None:
    with files.replacing(target) as part:
        if not extract(archive, {member: part}):
            raise ArchiveError(f"{archive.name} holds no {member}")


def _words_of(frame, *columns: str) -> set[str]:
    """Every token of a real corpus under every tokenizer of ours, as written and in lower case."""
    if frame.attrs["sample"]:
        raise SourceError(f"the real {frame.attrs['corpus']} corpus is needed for its words: run `make data` first")
    texts = [text for column in columns for text in frame[column]]
    tokens = {
        token
        for text in texts
        for token in (*text.split(), *tokenize(text, "words"), *re.findall(r"\w+|[^\w\s]", text))
    }
    return tokens | {token.lower() for token in tokens}


def _member_lines(archive: zipfile.ZipFile, kind: str, name: str) -> list[bytes]:
    endings = (f"{kind}.{name}.txt", f"{kind}.surprise.{name}.txt")
    for member in archive.namelist():
        if PurePosixPath(member).name in endings:
            return [line.rstrip(b"\r") for line in archive.read(member).removesuffix(b"\n").split(b"\n")]
    raise ArchiveError(f"{archive.filename}: no file {endings[0]} inside")


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@contextmanager
def _written(target: Path) -> Iterator[BinaryIO]:
    """A file to write, in gzip where its name says so, that lands whole or not at all."""
    with files.replacing(target) as part, part.open("wb") as raw, ExitStack() as stack:
        packed = target.suffix == ".gz"
        # no name and no time in the gzip header: the same bytes every time
        yield stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0)) if packed else raw
