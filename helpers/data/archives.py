"""Single members out of zip and tar archives, never by a path that the archive chooses."""

import bz2
import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError),
    *(ValueError, TypeError, LookupError),  # out of zipfile and tarfile, which trust what the headers say
)


class ArchiveError(Exception):
    """An archive that is damaged, unsafe or lacks a member."""


def extract(archive: Path, members: Mapping[str, Path]) -> set[str]:
    """Write each member to its file and return the names that were found.

    Args:
        archive: zip or tar, compressed or not.
        members: name to file; a name is found in whatever folder of the archive it stands.

    Raises:
        ArchiveError: no such archive, damaged, or any of its members is a link or would land outside the folder.
    """
    found: set[str] = set()
    try:
        for path, stream in _zip_files(archive) if zipfile.is_zipfile(archive) else _tar_files(archive):
            for name in members:
                if path == name or path.endswith(f"/{name}"):
                    with members[name].open("wb") as file:
                        shutil.copyfileobj(stream, file, 1 << 20)
                    found.add(name)
                    break
    except (*DAMAGED, OSError) as error:
        raise ArchiveError(f"damaged archive ({error or type(error).__name__})") from error
    return found


def _zip_files(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            _refuse_unsafe(info.filename, link=stat.S_ISLNK(info.external_attr >> 16))
        for info in opened.infolist():
            if not info.is_dir():
                with opened.open(info) as stream:
                    yield info.filename, stream


def _tar_files(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    with tarfile.open(archive, "r|*") as opened:  # a stream: a big archive is unpacked once
        for member in opened:
            _refuse_unsafe(member.name, link=not (member.isfile() or member.isdir()))
            if member.isfile():
                yield member.name, opened.extractfile(member)


def _refuse_unsafe(name: str, *, link: bool) -> None:
    paths = PurePosixPath(name), PureWindowsPath(name)
    if any(path.is_absolute() or path.drive or ".." in path.parts for path in paths):
        raise ArchiveError(f"unsafe archive: member {name!r} would land outside its folder")
    if link:
        raise ArchiveError(f"unsafe archive: member {name!r} is a link or a device")


def open_stream(path: Path, member: str | None = None) -> BinaryIO:
    """Bytes of a file, unpacked as its suffix says: .gz, .bz2, .zip or none of them.

    Args:
        member: file inside a .zip; None where it holds one file only.

    Raises:
        ArchiveError: the zip is damaged, encrypted or does not hold that one file.
    """
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".bz2":
        return bz2.open(path, "rb")
    if path.suffix != ".zip":
        return path.open("rb")
    try:
        opened = zipfile.ZipFile(path)
        names = [name for name in opened.namelist() if member is None or PurePosixPath(name).name == member]
        if len(names) != 1:
            raise ArchiveError(f"{path.name}: {member or 'a single file'} wanted, it holds {opened.namelist()}")
        return opened.open(names[0])  # keeps the archive open until it is closed itself
    except DAMAGED as error:
        raise ArchiveError(f"{path.name}: damaged archive ({error})") from error
