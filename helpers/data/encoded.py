"""Encoded texts on disk, memory-mapped, and the streams that write them: a bigger corpus needs no more memory.

From a `.jsonl.gz` to ids every step reads a file and writes one, `CHUNK` titles at a time. Finished folders are sealed:
a folder appears whole, with the size and SHA-256 of each of its files, or not at all.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from helpers import settings
from helpers.data.batching import Ragged, RaggedTexts
from helpers.data.corpora import meli_chunks
from helpers.data.text import MAX_TOKENS, PADDING, Vocabulary, clean_tokens
from helpers.files import replacing, sha256_of

CHUNK = 50_000  # titles at a time
MAX_DISTINCT = 4_000_000  # words counted at a time: some 0.6 GB
SEAL = "sealed.json"
VALUES, OFFSETS, TARGETS = "values.npy", "offsets.npy", "targets.npy"
ADVICE = "delete that folder, it is made again"


class SealError(settings.UserError, ValueError):
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


def open_encoded(folder: str | Path) -> RaggedTexts:
    """The texts that write_encoded() left in a folder, for make_loader(): the same batches as from memory.

    The ids and where they begin stay on disk; lengths and targets take 16 bytes a text.

    Raises:
        SealError: the arrays are damaged or do not fit each other.
    """
    values, offsets, targets = (_mapped(Path(folder) / name) for name in (VALUES, OFFSETS, TARGETS))
    if len(offsets) != len(targets) + 1 or offsets[0] != 0 or offsets[-1] != len(values):
        raise SealError(f"{folder}: values, offsets and targets do not fit each other: {ADVICE}")
    return RaggedTexts(MappedRagged(values, offsets), targets.astype(np.int64))


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except (OSError, ValueError) as error:
        raise SealError(f"{path} is not an array that was written here: delete its folder ({error})") from error


# The steps from a course file to ids


def write_titles(source: str | Path, titles: str | Path, targets: str | Path) -> int:
    """Reading: write the titles of a course file, one a line, and their targets; returns how many.

    Raises:
        SchemaError: a row is not as it should be.
    """
    found = []
    with Path(titles).open("w", encoding="utf-8", newline="\n") as file:
        for chunk in meli_chunks(source, ["title", "target"]):
            file.writelines(f"{title}\n" for title in chunk["title"].str.replace("\n", " ", regex=False))
            found.append(chunk["target"].to_numpy(np.int32))
    np.save(targets, np.concatenate(found))
    return sum(map(len, found))


def write_words(titles: str | Path, words: str | Path, stop_words: Collection[str]) -> None:
    """Cleaning: write the words of every title as WordTitles reads them, one title a line, spaces between words."""
    with Path(words).open("w", encoding="utf-8", newline="\n") as file:
        for lines in chunks(titles):
            kept = ([w for w in clean_tokens(title) if w not in stop_words][:MAX_TOKENS] for title in lines)
            file.writelines(f"{' '.join(title)}\n" for title in kept)


def chunks(path: str | Path, size: int = CHUNK) -> Iterator[list[str]]:
    """The lines of a text file without their ends, `size` at a time."""
    with Path(path).open(encoding="utf-8", newline="\n") as file:
        while lines := [line.removesuffix("\n") for line in islice(file, size)]:
            yield lines


def count_words(chunked: Iterable[list[str]], limit: int = MAX_DISTINCT) -> tuple[Counter, int]:
    """Count the words in lines of words, in bounded memory.

    Exact while no more than `limit` words are distinct. Beyond, words counted less than once, then less than twice,
    and so on are forgotten until they fit, after each list of lines (as gensim does; lossy counting, Manku & Motwani
    2002): no count is short by more than the number returned, and no word counted more often than that is lost.

    Returns:
        The counts, in order of appearance; the most that any of them may lack.
    """
    counts, floor, short = Counter(), 0, 0
    for lines in chunked:
        counts.update(word for line in lines for word in line.split())
        while len(counts) > limit:
            floor += 1
            short += floor
            for word in [word for word, count in counts.items() if count < floor]:
                del counts[word]
    return counts, short


def ranked_words(counts: Counter, *, min_count: int, max_words: int) -> Vocabulary:
    """The words counted at least min_count times, most frequent first (ties by appearance), at most max_words."""
    ranked = [word for word, count in counts.most_common() if count >= min_count]
    return Vocabulary(ranked[:max_words])


def write_encoded(words: str | Path, targets: str | Path, vocabulary: Vocabulary, folder: str | Path) -> int:
    """Encoding: write ids (int32), offsets (int64) and targets (int32) of lines of words; returns the number of ids.

    A title of which nothing is left is one unknown token.
    """
    folder = Path(folder)
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


# Sealed folders


def sealed(folder: str | Path, make: Callable[[Path], dict]) -> tuple[dict, bool]:
    """Return a verified folder's facts, or build the folder in a temporary place and rename it.

    Args:
        make: fills the empty folder it is given and returns its facts, as JSON holds them.

    Returns:
        The facts; whether the folder was there already.

    Raises:
        SealError: the folder is not as it was written.
    """
    folder = Path(folder)
    if folder.exists():
        return _verified(folder), True
    for left in folder.parent.glob(f".{folder.name}.*.part"):  # of a run that was killed
        shutil.rmtree(left)
    with replacing(folder) as part:
        part.mkdir()
        facts = json.loads(json.dumps(make(part)))
        seal = {"facts": facts, "files": {str(path.relative_to(part)): _stamp(path) for path in _files(part)}}
        (part / SEAL).write_text(json.dumps(seal, ensure_ascii=False, indent=1), encoding="utf-8")
    return facts, False


def disk_bytes(*paths: str | Path) -> int:
    """Size of files, and of all files in folders."""
    return sum(
        file.stat().st_size for path in map(Path, paths) for file in ([path] if path.is_file() else _files(path))
    )


def _verified(folder: Path) -> dict:
    try:
        seal = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        facts, files = seal["facts"], seal["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SealError(f"{folder}: {SEAL} is missing or damaged: {ADVICE} ({error})") from error
    for name, stamp in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != stamp["bytes"] or _stamp(path) != stamp:
            raise SealError(f"{path} is missing or damaged: {ADVICE}")
    return facts


def _stamp(path: Path) -> dict:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
