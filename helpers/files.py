"""Files written whole or not at all, their hashes, and locks between processes: once, for every room."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = 1 << 20  # bytes read at a time


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what lies there on leaving (a file or a folder) takes its place.

    A reader sees the old content or the new one, never half of it; after an exception the old one stays.

    Raises:
        OSError: it cannot be written (the disk is full, the folder is read-only); names `path`.

    Example:
        >>> with replacing("table.csv") as part:
        ...     part.write_text("a,b\\n")
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _rename(part, path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(part)):  # a full disk names no file
            error.filename = str(path)
        raise
    finally:
        remove(part)


def _rename(part: Path, path: Path) -> None:
    if not part.is_dir() or not path.exists():
        os.replace(part, path)
        return
    discarded = part.with_name(f"{part.name}.old")  # a folder replaces no folder that holds something
    os.replace(path, discarded)
    os.replace(part, path)
    remove(discarded)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file (UTF-8, Unix line ends) in one piece."""
    path = Path(path)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
    return path


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex digits; the file is read in pieces."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def hash_of(content) -> str:
    """SHA-256 of what JSON holds, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def digest(*arrays) -> str:
    """First 16 hex digits of the SHA-256 over arrays (None counts), or lists of texts."""
    import numpy as np

    total = hashlib.sha256()
    for array in arrays:
        if array is not None and len(array) and isinstance(array[0], str):
            array = np.frombuffer("\0".join(array).encode(), dtype=np.uint8)
        content = b"" if array is None else np.ascontiguousarray(array).tobytes()
        total.update(f"{array is None}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:16]


@contextmanager
def locked(path: str | Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock that other processes respect; yields whether it is held.

    Args:
        path: of the lock file, which stays there.
        wait: for the process that holds it; else yield False at once.
    """
    from filelock import FileLock, Timeout

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
