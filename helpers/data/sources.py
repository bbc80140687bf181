"""obtain(name): from a name in catalogue.toml to a verified file in the cache.

Tried in order: the cache, the mirror (a folder or an address), the official addresses. Whatever comes is verified by
SHA-256 before an atomic rename puts it into the cache; what cannot be had ends in one SourceError that says what to do.
pooch downloads; here is what it cannot do: give up a server that crawls, take single members out of an archive that
nobody vouches for, ask the next address, hold a file without a public hash to that of its first download.
"""

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import stat
import struct
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
import zlib
from collections import UserDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, urlsplit

from helpers import files, settings

if TYPE_CHECKING:
    import requests

CATALOGUE = Path(__file__).with_name("catalogue.toml")
BIG = 50_000_000  # bytes from which a file's hash is remembered on disk
TIMEOUT = (3, 10)  # seconds to connect, seconds between two pieces of the answer
ATTEMPTS = 2
PAUSE = 1  # seconds between attempts
SLOWEST, WINDOW = 1_000, 20  # bytes per second that have to come, over so many seconds
PIECE = 1 << 14  # bytes written at once
NO_ANSWER = f"no answer within {TIMEOUT[1]} s"
TOO_SLOW = f"slower than {SLOWEST / 1000:g} kB/s"
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError),
    *(ValueError, TypeError, LookupError),  # out of zipfile and tarfile, which trust what the headers say
)

_unreachable: dict[str, str] = {}  # host: why, for the life of this process
_sampled: dict[str, None] = {}  # names, in the order of their first use


class SourceError(settings.UserError, RuntimeError):
    """A file that cannot be had: which, what was tried, what to do."""


class ArchiveError(settings.UserError):
    """An archive that is damaged, unsafe or lacks a member."""


class DownloadError(Exception):
    """Why an address did not give its file, or gave a wrong one."""


class _TooSlow(Exception):
    """It comes, but would take for ever."""


@dataclass(frozen=True)
class Source:
    """One external file.

    Args:
        name: what obtain() is asked for.
        path: where it lies in the cache and in a mirror.
        size: bytes, approximately where no copy is known.
        licence: as its publisher states it.
        urls: official addresses, tried in this order.
        member: file inside the archive that the addresses serve, whatever folder it stands in; None: no archive.
        sha256: None where none is public: the first download's is then written down and held.
        md5: known for a first download where no sha256 is.
        rows: data rows, header not counted; vectors: words.
        required: a notebook cannot run on real data without it.
        big: more than 50 MB to download; only fetched when asked for.
        excerpt_of: names of the whole archives this file is cut from.
        instead_of: name of the source that holds the same in another format; fetched where that one cannot be had.
        read_with: where of one of these groups nothing can be had, profile quick takes the sample of this one too.
        note: what else a user should know.
    """

    name: str
    path: str
    size: int
    licence: str
    urls: tuple[str, ...] = ()
    member: str | None = None
    sha256: str | None = None
    md5: str | None = None
    rows: int | None = None
    required: bool = False
    big: bool = False
    excerpt_of: tuple[str, ...] = ()
    instead_of: str | None = None
    read_with: tuple[tuple[str, ...], ...] = ()
    note: str = ""


class _Catalogue(UserDict):
    """catalogue.toml by name, read once, when it is first asked."""

    def __init__(self):
        """Nothing is read yet."""

    @cached_property
    def data(self) -> dict[str, Source]:
        groups = tomllib.loads(CATALOGUE.read_text(encoding="utf-8")).values()
        rows = ((name, group | fields) for group in groups for name, fields in group.pop("files").items())
        return {name: Source(name, **{field: _tuples(value) for field, value in row.items()}) for name, row in rows}


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


SOURCES: Mapping[str, Source] = _Catalogue()


@dataclass(frozen=True)
class Fetched:
    """What became of one source: `origin` is "cache" or an address, None where `error` says why not."""

    name: str
    required: bool
    origin: str | None
    error: str | None = None


# From a name to a file


def find(name: str) -> Source:
    """The source of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in SOURCES:
        raise settings.WrongValue(f"{name!r} is not in the catalogue; it holds: {', '.join(SOURCES)}")
    return SOURCES[name]


def obtain(name: str, *, allow_big: bool = False) -> Path:
    """A verified file in the cache, fetched if need be.

    Args:
        name: of a source in the catalogue.
        allow_big: more than 50 MB may be downloaded.

    Raises:
        SourceError: it cannot be had.
        ValueError: no such name.

    Example:
        >>> obtain("sms").name
        'SMSSpamCollection'
    """
    return _obtain(find(name), settings.cache_dir(), settings.mirror(), allow_big)[0]


def obtain_first(*names: str) -> tuple[Path, str]:
    """The first of several sources that is at hand (whole archives before their excerpts), and its name.

    Raises:
        SourceError: none of them is.
    """
    errors = []
    for name in names:
        try:
            return obtain(name), name
        except SourceError as error:
            errors.append(str(error))
    raise SourceError(" | ".join(errors))


def obtain_or_sample(name: str) -> tuple[Path, bool]:
    """obtain(name), or in profile quick the committed synthetic file in its place; and whether it is that.

    Raises:
        SourceError: it cannot be had, and the profile is full or there is no sample of it.
    """
    paths, is_sample = obtain_all_or_sample([name])
    return paths[0], is_sample


def obtain_all_or_sample(names: Sequence[str]) -> tuple[list[Path], bool]:
    """As obtain_or_sample() for files that belong together: all real or all sample, never mixed."""
    quick = settings.profile() == "quick"
    try:
        paths = [obtain(name) for name in names]
        for groups in {find(name).read_with for name in names if quick}:
            for group in groups:
                obtain_first(*group)
        return paths, False
    except SourceError:
        samples = [settings.sample_dir() / find(name).path for name in names]
        if quick and all(path.is_file() for path in samples):
            _say_sampled(names)
            return samples, True
        raise


def _say_sampled(names: Iterable[str]) -> None:
    """Once a source: real data may come beside it, and whoever reads the numbers has to know."""
    if new := [name for name in names if name not in _sampled]:
        _sampled.update(dict.fromkeys(new))
        print(f"{', '.join(new)}: the synthetic sample stands in", file=sys.stderr, flush=True)


def sampled() -> list[str]:
    """The sources whose synthetic sample has stood in for them in this process."""
    return list(_sampled)


def cached(name: str) -> Path | None:
    """The verified file if it is in the cache already; nothing is fetched."""
    with suppress(DownloadError, OSError):
        return _verified(find(name), settings.cache_dir())
    return None


def fetch_all(*, big: bool = False) -> list[Fetched]:
    """Obtain every source, print a line for each, and say what became of it.

    Args:
        big: those over 50 MB too.
    """
    forget_unreachable()
    rows: list[Fetched] = []
    for source in SOURCES.values():
        had = {row.name for row in rows if row.origin}
        if (big or not source.big) and source.instead_of not in had:
            rows.append(_fetched(source, settings.cache_dir(), settings.mirror(), big))
    return rows


def verify_official(names: Iterable[str] | None = None) -> list[Fetched]:
    """Download small sources from their official addresses, past cache and mirror, and verify them; nothing is kept.

    Args:
        names: which ones; None: every small source that has an address.
    """
    chosen = SOURCES.values() if names is None else [find(name) for name in names]
    forget_unreachable()
    with tempfile.TemporaryDirectory() as folder:
        return [_fetched(s, Path(folder), None, False, "official") for s in chosen if s.urls and not s.big]


def _fetched(source: Source, root: Path, mirror: str | None, allow_big: bool, origin: str | None = None) -> Fetched:
    try:
        address = _obtain(source, root, mirror, allow_big)[1]
        row = Fetched(source.name, source.required, origin or address)
    except SourceError as error:
        row = Fetched(source.name, source.required, None, str(error))
    mark = "ok  " if row.origin else "FAIL" if row.required else "none"
    print(_printable(f"{mark} {row.name}: {row.origin or row.error}"), flush=True)
    return row


def _obtain(source: Source, root: Path, mirror: str | None, allow_big: bool) -> tuple[Path, str]:
    target = root / source.path
    failures = []
    try:
        return _verified(source, root), "cache"
    except FileNotFoundError:
        pass
    except (DownloadError, OSError) as error:
        failures.append(f"{target}: {error}")
    for address, fill in _ways(source, root, mirror, allow_big):
        try:
            _land(source, target, fill)
            return target, address
        except (DownloadError, ArchiveError, OSError) as error:
            failures.append(f"{address}: {error}")
    raise SourceError(_message(source, target, failures, mirror, allow_big))


def _ways(source: Source, root: Path, mirror: str | None, allow_big: bool) -> Iterator[tuple[str, Callable]]:
    """The addresses to ask, in their order; each with a function that writes what it gives to a path."""
    may_download = allow_big or not source.big
    if mirror and not mirror.lower().startswith(("http://", "https://")):
        file = Path(mirror) / source.path
        yield str(file), partial(_copy, file)
    elif mirror and may_download:
        url = f"{mirror}/{quote(source.path)}"
        yield url, partial(download, url)
    if may_download and not offline():
        for url in source.urls:
            yield url, partial(_unpack, url, source, root) if source.member else partial(download, url)


def _copy(file: Path, part: Path) -> None:
    if not file.is_file():
        raise DownloadError("not there")
    shutil.copyfile(file, part)


def _unpack(url: str, source: Source, root: Path, part: Path) -> None:
    """Download an archive, take the member out, and on the way the other sources that stand in the same archive."""
    with tempfile.TemporaryDirectory(prefix=".", dir=part.parent) as folder:
        archive = Path(folder, "archive")
        download(url, archive)
        wanted = [s for s in SOURCES.values() if s.member and url in s.urls and not (root / s.path).exists()]
        members = {s.member: Path(folder, f"{i}") for i, s in enumerate(wanted)} | {source.member: part}
        found = extract(archive, members)
        if source.member not in found:
            raise ArchiveError(f"the archive holds no {source.member}")
        for other in wanted:
            if other.member in found - {source.member}:
                with suppress(DownloadError, OSError):  # told when that source itself is asked for
                    _land(other, root / other.path, partial(shutil.move, members[other.member]))


def _land(source: Source, target: Path, fill: Callable[[Path], None]) -> None:
    """Put a file into the cache, whole and verified or not at all."""
    with files.replacing(target) as part:
        fill(part)
        digest = _check(source, part, target)
    _hold(source, target, digest)


def _message(source: Source, target: Path, failures: list[str], mirror: str | None, allow_big: bool) -> str:
    tried = failures or ["not in the cache"]
    if mirror is None:
        tried.append("no mirror (DATA_MIRROR is not set)")
    if source.urls and offline():
        tried.append("official addresses not asked (DATA_OFFLINE)")
    todo = [f"put the file at {target}", f"set DATA_MIRROR to a folder or address that holds {source.path}"]
    if source.excerpt_of:
        todo.append(f"cut it from {', '.join(source.excerpt_of)} with `python -m helpers data cut {source.name}`")
    elif source.big and not allow_big:
        todo.append(f"run `make data-full`, which downloads it ({source.size / 1e6:,.0f} MB) from {source.urls[0]}")
    elif source.urls:
        member = f" ({source.member} inside it)" if source.member else ""
        todo.append(f"download it from {source.urls[0]}{member}")
    return _printable(f"{source.path} cannot be had. Tried: {'; '.join(tried)}. To go on: {'; or '.join(todo)}.")


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()  # a folder's name need not be text


# Is this file what the catalogue says?


def file_sha256(path: str | Path) -> str:
    """SHA-256 in hex; a big file is hashed once and known again by size and time of change."""
    return _sha256(str(path), _stamp(path))


@cache
def _sha256(path: str, stamp: str) -> str:
    held, held_stamp = _read_note(path)
    return held if held and stamp == held_stamp and os.path.getsize(path) >= BIG else files.sha256_of(path)


def write_note(path: str | Path, digest: str | None = None) -> None:
    """Write a file's hash to `<file>.sha256` beside it, as sha256sum does: from now on the file is held to it."""
    files.write_text(_note(path), f"{digest or file_sha256(path)}  {Path(path).name}\n# {_stamp(path)}\n")


def _verified(source: Source, root: Path) -> Path:
    target = root / source.path
    _hold(source, target, _check(source, target, target))
    return target


def _check(source: Source, file: Path, target: Path) -> str:
    """The hash of a file that is or shall be at target.

    Raises:
        FileNotFoundError: it is not there.
        DownloadError: it is damaged or another one.
    """
    digest, (held, _) = file_sha256(file), _read_note(target)
    if file.stat().st_size == 0:
        raise DownloadError("an empty file")
    if source.excerpt_of and digest == held:  # cut here: its bytes may differ from the mirror's
        return digest
    expected = source.sha256 or held
    if expected and digest != expected:
        first = f", the hash of the first download ({_note(target)}; delete it to accept another file)"
        where = "" if source.sha256 else first
        raise DownloadError(f"sha256 is {digest[:12]}…, expected {expected[:12]}…{where}: damaged or another file")
    if source.md5 and not expected:
        with file.open("rb") as opened:
            if hashlib.file_digest(opened, "md5").hexdigest() != source.md5:
                raise DownloadError(f"md5 is not {source.md5}: damaged or another file")
    return digest


def _hold(source: Source, target: Path, digest: str) -> None:
    """Write down the hash of a verified file where no other is known, and of a big one; not in a read-only cache."""
    held, stamp = _read_note(target)
    first = source.sha256 is None and held is None
    if first or (target.stat().st_size >= BIG and stamp != _stamp(target)):
        with suppress(OSError):
            write_note(target, digest)


def _stamp(path: str | Path) -> str:
    status = Path(path).stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _note(path: str | Path) -> Path:
    return Path(f"{path}.sha256")


def _read_note(path: str | Path) -> tuple[str | None, str]:
    """The hash that was written down for a file, and the size and time of change it had then."""
    if not _note(path).is_file():
        return None, ""
    first, *others = _note(path).read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    return first.split(" ")[0] or None, others[0].removeprefix("# ") if others else ""


# One address to one file


def offline() -> bool:
    """DATA_OFFLINE=1: official addresses are not asked."""
    return os.environ.get("DATA_OFFLINE", "0") not in ("", "0")


def forget_unreachable() -> None:
    """Ask every host again."""
    _unreachable.clear()


def download(url: str, target: str | Path) -> None:
    """Write what the address serves to target; what is left there after an error is the caller's to remove.

    Raises:
        DownloadError: with the reason in a few words.
    """
    import requests

    try:
        host = urlsplit(url).netloc
    except ValueError as error:
        raise DownloadError(f"not an address ({error})") from error
    if host in _unreachable:
        raise DownloadError(f"{_unreachable[host]} (host not asked again)")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch(url, target)
            return
        except (_TooSlow, requests.exceptions.RequestException) as error:
            reason, again, give_up = _explain(error)
        if again and attempt < ATTEMPTS:
            time.sleep(PAUSE)
            continue
        if give_up:
            _unreachable[host] = reason
        raise DownloadError(reason)


def _fetch(url: str, target: str | Path) -> None:
    import pooch

    fetch = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=PIECE,
        timeout=TIMEOUT,
        headers={"Accept-Encoding": "identity"},  # a server must not repack what is verified by hash
        hooks={"response": _read_as_it_comes},
    )
    fetch(url, str(target), None)


def _read_as_it_comes(response: "requests.Response", **_) -> None:
    response.iter_content = partial(_pieces, response)


def _pieces(response: "requests.Response", chunk_size: int, **_) -> Iterator[bytes]:
    """What requests' iter_content gives; but that waits until a piece is full, on a crawling server for hours."""
    from requests.exceptions import ConnectionError
    from urllib3.exceptions import HTTPError

    piece, arrived, due = bytearray(), 0, time.monotonic() + WINDOW
    with response:
        try:
            while some := response.raw.read1(chunk_size - len(piece)):
                piece += some
                arrived += len(some)
                if len(piece) == chunk_size:
                    yield bytes(piece)
                    piece.clear()
                if time.monotonic() >= due:
                    if arrived < SLOWEST * WINDOW:
                        raise _TooSlow
                    arrived, due = 0, time.monotonic() + WINDOW
        except HTTPError as error:
            raise ConnectionError(error) from error
    yield bytes(piece)


def _explain(error: "_TooSlow | requests.exceptions.RequestException") -> tuple[str, bool, bool]:
    """Why nothing came; whether to try once more; whether the host shall not be asked for other files either."""
    from requests import exceptions as kinds
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

    inner = error.args[0] if error.args else None
    cause = getattr(inner, "reason", None) or inner
    if isinstance(error, _TooSlow):
        return TOO_SLOW, False, True
    if isinstance(error, kinds.HTTPError):
        return f"HTTP {error.response.status_code}", error.response.status_code >= 500, False
    if isinstance(error, kinds.SSLError):
        return "no trusted secure connection", False, True
    if isinstance(cause, NameResolutionError):
        return "host name not found (no network?)", False, True
    if isinstance(error, kinds.ConnectTimeout):
        return f"no connection within {TIMEOUT[0]} s", False, True
    if isinstance(error, kinds.ProxyError) or isinstance(cause, NewConnectionError | ConnectTimeoutError):
        return "connection refused", False, True
    if isinstance(error, kinds.ReadTimeout) or "timed out" in str(error):
        return NO_ANSWER, True, True
    if isinstance(error, kinds.ChunkedEncodingError | kinds.ConnectionError):
        return "connection broke off before the end of the file", True, False
    return f"not an address ({error})" if isinstance(error, ValueError) else type(error).__name__, False, False


# Single members out of archives, never by a path that the archive chooses


def extract(archive: str | Path, members: Mapping[str, Path]) -> set[str]:
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
                    with Path(members[name]).open("wb") as file:
                        shutil.copyfileobj(stream, file, files.CHUNK)
                    found.add(name)
                    break
    except (*DAMAGED, OSError) as error:
        raise ArchiveError(f"damaged archive ({error or type(error).__name__})") from error
    return found


def _zip_files(archive: str | Path) -> Iterator[tuple[str, BinaryIO]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            _refuse_unsafe(info.filename, link=stat.S_ISLNK(info.external_attr >> 16))
        for info in opened.infolist():
            if not info.is_dir():
                with opened.open(info) as stream:
                    yield info.filename, stream


def _tar_files(archive: str | Path) -> Iterator[tuple[str, BinaryIO]]:
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


def open_stream(path: str | Path, member: str | None = None) -> BinaryIO:
    """Bytes of a file, unpacked as its suffix says: .gz, .bz2, .zip or none of them.

    Args:
        member: file inside a .zip; None where it holds one file only.

    Raises:
        ArchiveError: the zip is damaged, encrypted or does not hold that one file.
    """
    path = Path(path)
    if path.suffix != ".zip":
        return {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)(path, "rb")
    try:
        opened = zipfile.ZipFile(path)
        names = [name for name in opened.namelist() if member is None or PurePosixPath(name).name == member]
        if len(names) != 1:
            raise ArchiveError(f"{path.name}: {member or 'a single file'} wanted, it holds {opened.namelist()}")
        return opened.open(names[0])  # keeps the archive open until it is closed itself
    except DAMAGED as error:
        raise ArchiveError(f"{path.name}: damaged archive ({error})") from error
