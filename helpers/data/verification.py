"""Is this file what the catalogue says? SHA-256 against the known hash, or against the one of the first download."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pooch

from helpers.data.catalogue import Source

BIG = 50_000_000  # bytes from which a hash is remembered on disk
_digests: dict[tuple[str, int, int], str] = {}  # (path, size, mtime): sha256, for the life of this process


class Refused(Exception):
    """A file that came but is not what the catalogue says."""


def file_sha256(path: Path) -> str:
    """SHA-256 in hex; a big file is hashed once and known again by size and time of change."""
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns)
    if key not in _digests:
        digest, stamp = _read_note(path)
        if status.st_size < BIG or stamp != _stamp(path):
            digest = pooch.file_hash(str(path))
        _digests[key] = digest
    return _digests[key]


def write_note(path: Path) -> None:
    """Write a file's hash to `<file>.sha256` beside it, as sha256sum does: from now on the file is held to it."""
    text = f"{file_sha256(path)}  {path.name}\n# {_stamp(path)}\n"
    with part_of(_note(path)) as part:
        part.write_text(text, encoding="utf-8")
        os.replace(part, _note(path))


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """A name of this process alone in target's folder; what stands there is gone afterwards, whatever happens."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def accept(source: Source, part: Path, target: Path) -> None:
    """Verify what was fetched and move it into place, noting its hash where no other is known.

    Raises:
        Refused: it is not the right file; nothing was moved.
    """
    if part.stat().st_size == 0:
        raise Refused("an empty file")
    held = None if source.sha256 else _read_note(target)[0]
    _compare(pooch.file_hash(str(part)), source.sha256 or held, held and _note(target))
    if source.md5 and not held and pooch.file_hash(str(part), alg="md5") != source.md5:
        raise Refused(f"md5 is not {source.md5}: damaged or another file")
    os.replace(part, target)
    if not source.sha256 or target.stat().st_size >= BIG:
        write_note(target)


def verify_cached(source: Source, target: Path) -> None:
    """Return if the cached file is the right one.

    Raises:
        FileNotFoundError: it is not there.
        Refused: it is damaged or another one.
    """
    digest, (held, stamp) = file_sha256(target), _read_note(target)
    if source.excerpt_of and digest == held:  # cut here: its bytes may differ from the mirror's
        return
    if source.sha256 is None and held is None:  # put there by hand
        if source.md5 and pooch.file_hash(str(target), alg="md5") != source.md5:
            raise Refused(f"md5 is not {source.md5}: damaged or another file")
        write_note(target)
        return
    _compare(digest, source.sha256 or held, None if source.sha256 else _note(target))
    if target.stat().st_size >= BIG and stamp != _stamp(target):
        write_note(target)


def _compare(digest: str, expected: str | None, note: Path | None) -> None:
    if expected and digest != expected:
        where = f", the hash of the first download ({note}; delete it to accept another file)" if note else ""
        raise Refused(f"sha256 is {digest[:12]}…, expected {expected[:12]}…{where}: damaged or another file")


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _read_note(path: Path) -> tuple[str | None, str]:
    """The hash that was written down for a file, and the size and time of change it had then."""
    if not _note(path).is_file():
        return None, ""
    first, *others = _note(path).read_text(encoding="utf-8").splitlines() or [""]
    return first.split(" ")[0] or None, others[0].removeprefix("# ") if others else ""
