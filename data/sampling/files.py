"""Writing of files whose bytes depend on their content alone."""

import gzip
import io
import os
import zipfile
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time stamp a zip can hold


def write_bytes(path: Path, payload: bytes) -> None:
    """Write a file at once: under a temporary name in the same folder, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(payload)
    os.replace(temporary, path)


def write_lines(path: Path, lines: list[str], end: str = "\n") -> None:
    """Write UTF-8 text; a name that ends in .gz is compressed, without time stamp or name inside."""
    payload = "".join(line + end for line in lines).encode()
    write_bytes(path, compress(payload) if path.suffix == ".gz" else payload)


def compress(payload: bytes) -> bytes:
    """gzip with time stamp 0."""
    return gzip.compress(payload, compresslevel=9, mtime=0)


def write_zip(path: Path, members: dict[str, str | None]) -> None:
    """Write an uncompressed zip with fixed time stamps.

    Args:
        members: name inside the archive -> text; None makes a folder entry.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, text in members.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # else the bytes would tell the operating system
            entry.external_attr = (0o40755 << 16) | 0x10 if text is None else 0o100644 << 16
            archive.writestr(entry, text or "")
    write_bytes(path, buffer.getvalue())
