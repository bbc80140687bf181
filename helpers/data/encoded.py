"""Encoded texts on disk, memory-mapped, and the way there in streams: no size of corpus needs more memory.

From a `.jsonl.gz` to ids every step reads a file and writes one, `CHUNK` titles at a time. What is finished is sealed:
a folder appears whole, with the size and SHA-256 of each of its files, or not at all.
"""

import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pooch
from gensim.utils import prune_vocab

from helpers.data.batching import MAX_TOKENS, Ragged, RaggedTexts
from helpers.data.corpora import meli_chunks
from helpers.data.text import PADDING, Vocabulary, clean_tokens

CHUNK = 50_000  # titles at a time
MAX_DISTINCT = 4_000_000  # words counted at a time: some 0.6 GB
SEAL = "sealed.json"
VALUES, OFFSETS, TARGETS = "values.npy", "offsets.npy", "targets.npy"


class SealError(ValueError):
    """A sealed folder that is not what was written: which file, and what to do."""


class MappedRagged(Ragged):
    """A Ragged over arrays that stay on disk; a row costs 8 bytes of memory, its length.

    Args:
        values: (tokens,) ids one text after another, of any integer type.
        offsets: (texts + 1,) where each text begins, and where the last one ends.
    """

    def __init__(self, values: np.ndarray, offsets: np.ndarray):
        self.values, self.offsets = values, offsets
        self.lengths = np.diff(offsets)

    def pad(self, rows: np.ndarray, value: int = PADDING) -> np.ndarray:
        """As Ragged.pad(); int64, whatever the type on disk."""
        return super().pad(rows, value).astype(np.int64)


def open_encoded(folder: Path) -> RaggedTexts:
    """The texts that write_encoded() left in a folder, for make_loader(): the same batches as from memory.

    The ids and where they begin stay on disk; lengths and targets take 16 bytes a text.

    Raises:
        SealError: the arrays do not belong together.
    """
    values, offsets, targets = (_mapped(folder / name) for name in (VALUES, OFFSETS, TARGETS))
    if len(offsets) != len(targets) + 1 or offsets[0] != 0 or offsets[-1] != len(values):
        raise SealError(f"{folder}: values, offsets and targets do not belong together: delete that folder")
    return RaggedTexts(MappedRagged(values, offsets), targets.astype(np.int64))


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except (OSError, ValueError) as error:
        raise SealError(f"{path} is no array that was written here: delete its folder ({error})") from error


def write_titles(source: Path, titles: Path, targets: Path) -> int:
    """Reading: the titles of a course file, one a line, and their targets; returns how many.

    Raises:
        SchemaError: a row is not as it should be.
    """
    found = []
    with titles.open("w", encoding="utf-8", newline="\n") as file:
        for chunk in meli_chunks(source, ["title", "target"]):
            file.writelines(f"{title}\n" for title in chunk["title"].str.replace("\n", " ", regex=False))
            found.append(chunk["target"].to_numpy(np.int32))
    np.save(targets, np.concatenate(found))
    return sum(map(len, found))


def write_words(titles: Path, words: Path, stop_words: Collection[str]) -> None:
    """Cleaning: the words of every title as WordTitles reads them, one title a line with spaces between the words."""
    with words.open("w", encoding="utf-8", newline="\n") as file:
        for lines in chunks(titles):
            kept = ([w for w in clean_tokens(title) if w not in stop_words][:MAX_TOKENS] for title in lines)
            file.writelines(f"{' '.join(title)}\n" for title in kept)


def chunks(path: Path, size: int = CHUNK) -> Iterator[list[str]]:
    """The lines of a text file without their ends, `size` at a time."""
    with path.open(encoding="utf-8", newline="\n") as file:
        while lines := [line.removesuffix("\n") for line in islice(file, size)]:
            yield lines


def count_words(chunked: Iterable[list[str]], limit: int = MAX_DISTINCT) -> tuple[Counter, int]:
    """How often each word stands in lines of words, in bounded memory.

    Exact while no more than `limit` words are distinct. Beyond, after a list of lines, words counted at most once are
    forgotten, the next time at most twice, and so on (gensim's prune_vocab; lossy counting, Manku & Motwani 2002):
    no count is short by more than the number that is returned, and no word counted more often than that is lost.

    Returns:
        The counts, in order of appearance; the most that any of them may lack.
    """
    counts, floor, short = Counter(), 0, 0
    for lines in chunked:
        counts.update(word for line in lines for word in line.split())
        while len(counts) > limit:
            floor += 1
            short += floor
            prune_vocab(counts, floor)
    return counts, short


def ranked_words(counts: Counter, *, min_count: int, max_words: int) -> Vocabulary:
    """The words counted at least min_count times, most frequent first (ties by appearance), at most max_words."""
    ranked = [word for word, count in counts.most_common() if count >= min_count]
    return Vocabulary(ranked[:max_words])


def write_encoded(words: Path, targets: Path, vocabulary: Vocabulary, folder: Path) -> int:
    """Encoding: ids (int32), offsets (int64) and targets (int32) of lines of words; returns the number of ids.

    A title of which nothing is left is one unknown token.
    """
    folder.mkdir(parents=True)
    lengths = [np.array([max(1, len(line.split())) for line in lines], dtype=np.int32) for lines in chunks(words)]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])
    np.save(folder / OFFSETS, offsets)
    values = np.lib.format.open_memmap(folder / VALUES, mode="w+", dtype=np.int32, shape=(int(offsets[-1]),))
    end = 0
    for lines in chunks(words):
        ids = vocabulary.encode(word for line in lines for word in line.split() or ["<unk>"])
        values[end : end + len(ids)] = ids
        end += len(ids)
    values.flush()
    shutil.copyfile(targets, folder / TARGETS)
    return end


def sealed(folder: Path, make: Callable[[Path], dict]) -> tuple[dict, bool]:
    """What is told of a folder that is there, verified; or make it, in a place of its own that is then renamed.

    Args:
        make: fills the (empty) folder it is given, and returns what JSON holds to be told of it.

    Returns:
        What make() told, and whether the folder was there already.

    Raises:
        SealError: the folder is not as it was written.
    """
    if folder.exists():
        return _verified(folder), True
    for left in folder.parent.glob(f".{folder.name}.*.part"):  # of a run that was killed
        shutil.rmtree(left)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    part.mkdir(parents=True)
    try:
        facts = json.loads(json.dumps(make(part)))
        seal = {"facts": facts, "files": {str(path.relative_to(part)): _stamp(path) for path in _files(part)}}
        (part / SEAL).write_text(json.dumps(seal, ensure_ascii=False, indent=1), encoding="utf-8")
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return facts, False


def disk_bytes(*paths: Path) -> int:
    """Size of files and of all that lies in folders."""
    return sum(file.stat().st_size for path in paths for file in ([path] if path.is_file() else _files(path)))


def _verified(folder: Path) -> dict:
    advice = "delete that folder, it is made again"
    try:
        seal = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        facts, files = seal["facts"], seal["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SealError(f"{folder}: {SEAL} is missing or damaged: {advice} ({error})") from error
    for name, stamp in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != stamp["bytes"] or _stamp(path) != stamp:
            raise SealError(f"{path} is missing or damaged: {advice}")
    return facts


def _stamp(path: Path) -> dict:
    return {"bytes": path.stat().st_size, "sha256": pooch.file_hash(str(path))}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
