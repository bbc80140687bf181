"""obtain(name): from a name in the catalogue to a verified file in the cache.

Tried in order: the cache, the mirror (a folder or an address), the official addresses. Whatever comes is verified by
SHA-256 before it lands, by an atomic rename; what cannot be had ends in one SourceError that says what to do.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from helpers import settings
from helpers.data import catalogue
from helpers.data.archives import ArchiveError, extract
from helpers.data.catalogue import Source, find
from helpers.data.downloads import DownloadError, download, forget_unreachable, offline
from helpers.data.verification import Refused, accept, part_of, verify_cached

_sampled: dict[str, None] = {}  # in the order of their first use


class SourceError(RuntimeError):
    """A file that cannot be had: which, what was tried, what to do."""


@dataclass(frozen=True)
class Fetched:
    """What became of one source: `origin` is "cache" or an address, None where `error` says why not."""

    name: str
    required: bool
    origin: str | None
    error: str | None = None


def obtain(name: str, *, allow_big: bool = False) -> Path:
    """A verified file in the cache, fetched if need be.

    Args:
        name: of a source in the catalogue.
        allow_big: more than 50 MB may be downloaded.

    Raises:
        SourceError: it cannot be had.
        ValueError: no such name.
    """
    return _obtain(find(name), settings.cache_dir(), settings.mirror(), allow_big)[0]


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
        for others in {find(name).read_with for name in names if quick}:
            for group in others:
                obtain_first(*group)
        return paths, False
    except SourceError:
        samples = [settings.sample_dir() / find(name).path for name in names]
        if quick and all(path.is_file() for path in samples):
            _say_sampled(names)
            return samples, True
        raise


def sampled() -> list[str]:
    """The sources whose synthetic sample has stood in for them in this process."""
    return list(_sampled)


def _say_sampled(names: Iterable[str]) -> None:
    """Once a source: real data may come beside it, and whoever reads the numbers has to know."""
    if new := [name for name in names if name not in _sampled]:
        _sampled.update(dict.fromkeys(new))
        print(f"{', '.join(new)}: the synthetic sample stands in", file=sys.stderr, flush=True)


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


def cached(name: str) -> Path | None:
    """The verified file if it is in the cache already; nothing is fetched."""
    source = find(name)
    target = settings.cache_dir() / source.path
    try:
        verify_cached(source, target)
    except (Refused, OSError):
        return None
    return target


def fetch_all(*, big: bool = False) -> list[Fetched]:
    """Obtain every source, print a line for each, and say what became of it.

    Args:
        big: those over 50 MB too.
    """
    forget_unreachable()
    rows: list[Fetched] = []
    for source in catalogue.SOURCES.values():
        had = {row.name for row in rows if row.origin}
        if (source.big and not big) or source.instead_of in had:
            continue
        try:
            origin = _obtain(source, settings.cache_dir(), settings.mirror(), big)[1]
            rows.append(Fetched(source.name, source.required, origin))
        except SourceError as error:
            rows.append(Fetched(source.name, source.required, None, str(error)))
        _print_row(rows[-1])
    return rows


def verify_official(names: Iterable[str] | None = None) -> list[Fetched]:
    """Download small sources from their official addresses, past cache and mirror, and verify them; nothing is kept.

    Args:
        names: which ones; None: every small source that has an address.
    """
    chosen = [find(name) for name in names] if names is not None else catalogue.SOURCES.values()
    forget_unreachable()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for source in chosen:
            if source.big or not source.urls:
                continue
            try:
                _obtain(source, Path(folder), None, False)
                rows.append(Fetched(source.name, source.required, "official"))
            except SourceError as error:
                rows.append(Fetched(source.name, source.required, None, str(error)))
            _print_row(rows[-1])
    return rows


def _obtain(source: Source, root: Path, mirror: str | None, allow_big: bool) -> tuple[Path, str]:
    target = root / source.path
    failures = []
    try:
        verify_cached(source, target)
        return target, "cache"
    except FileNotFoundError:
        pass
    except (Refused, OSError) as error:
        failures.append(f"{target}: {error}")
    for address, fill in _ways(source, root, mirror, allow_big):
        try:
            with part_of(target) as part:
                fill(part)
                accept(source, part, target)
            return target, address
        except (DownloadError, ArchiveError, Refused, OSError) as error:
            failures.append(f"{address}: {error}")
    raise SourceError(_message(source, target, failures, mirror, allow_big))


def _ways(source: Source, root: Path, mirror: str | None, allow_big: bool) -> Iterator[tuple[str, Callable]]:
    may_download = allow_big or not source.big
    if mirror and not mirror.startswith(("http://", "https://")):
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
    with ExitStack() as stack:
        archive = stack.enter_context(part_of(part.with_name("archive")))
        download(url, archive)
        others = [s for s in catalogue.SOURCES.values() if s.member and url in s.urls and s.name != source.name]
        others = {s.member: s for s in others if not (root / s.path).exists()}
        parts = {member: stack.enter_context(part_of(root / s.path)) for member, s in others.items()}
        found = extract(archive, {source.member: part, **parts})
        if source.member not in found:
            raise ArchiveError(f"the archive holds no {source.member}")
        for member in found - {source.member}:
            with suppress(Refused):  # told when that source itself is asked for
                accept(others[member], parts[member], root / others[member].path)


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
    return f"{source.path} cannot be had. Tried: {'; '.join(tried)}. To go on: {'; or '.join(todo)}."


def _print_row(row: Fetched) -> None:
    mark = "ok  " if row.origin else "FAIL" if row.required else "none"
    print(f"{mark} {row.name}: {row.origin or row.error}", flush=True)
