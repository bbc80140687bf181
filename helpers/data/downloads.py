"""One address to one file: time-outs, few retries, and hosts that did not answer are not asked again."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

TIMEOUT = (3, 10)  # seconds to connect, seconds between two pieces of the answer
ATTEMPTS = 2
PAUSE = 1  # seconds between attempts
SLOWEST, WINDOW = 1_000, 20  # bytes per second that have to come, over so many seconds
PIECE = 1 << 20  # bytes read at once, at most
NO_ANSWER = f"no answer within {TIMEOUT[1]} s"
TOO_SLOW = f"slower than {SLOWEST / 1000:g} kB/s"
_unreachable: dict[str, str] = {}  # host: why, for the life of this process


class DownloadError(Exception):
    """Why an address did not give its file."""


def offline() -> bool:
    """DATA_OFFLINE=1: official addresses are not asked."""
    return os.environ.get("DATA_OFFLINE", "0") not in ("", "0")


def forget_unreachable() -> None:
    """Ask every host again."""
    _unreachable.clear()


def download(url: str, target: Path) -> None:
    """Write what the address serves to target; what is left there after an error is the caller's to remove.

    Raises:
        DownloadError: with the reason in a few words.
    """
    host = urlsplit(url).netloc
    if host in _unreachable:
        raise DownloadError(f"{_unreachable[host]} (host not asked again)")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch(url, target)
            return
        except requests.exceptions.HTTPError as error:
            reason, again = f"HTTP {error.response.status_code}", error.response.status_code >= 500
        except requests.exceptions.RequestException as error:
            reason = _reason(error)
            again = reason != TOO_SLOW and not _never_connected(error)
            if not again:
                _unreachable[host] = reason
        if not again or attempt == ATTEMPTS:
            if reason == NO_ANSWER:
                _unreachable[host] = reason
            raise DownloadError(reason)
        time.sleep(PAUSE)


class _TooSlow(requests.exceptions.Timeout):
    """It comes, but would take for ever."""


def _fetch(url: str, target: Path) -> None:
    # "identity": a server must not unpack or repack what is verified by hash
    answer = requests.get(url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
    with answer, target.open("wb") as file:
        answer.raise_for_status()
        size, hidden = answer.raw.length_remaining, not _show_progress()
        start, due = 0, time.monotonic() + WINDOW
        with tqdm(total=size, unit="B", unit_scale=True, ncols=79, disable=hidden) as bar:
            for piece in _pieces(answer):
                bar.update(file.write(piece))
                if time.monotonic() >= due:
                    if file.tell() - start < SLOWEST * WINDOW:
                        raise _TooSlow
                    start, due = file.tell(), time.monotonic() + WINDOW


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    """Whatever has come, as it comes; requests' own reader waits until a piece is full, on a slow server for hours."""
    try:
        while piece := answer.raw.read1(PIECE):
            yield piece
    except HTTPError as error:
        raise requests.exceptions.ConnectionError(error) from error


def _show_progress() -> bool:
    return sys.stderr.isatty() and os.environ.get("TQDM_DISABLE", "0") in ("", "0")


def _cause(error: requests.exceptions.RequestException):
    inner = error.args[0] if error.args else None
    return getattr(inner, "reason", None) or inner


def _never_connected(error: requests.exceptions.RequestException) -> bool:
    refused = isinstance(_cause(error), NewConnectionError | ConnectTimeoutError)
    return refused or isinstance(error, requests.exceptions.ProxyError | requests.exceptions.SSLError)


def _reason(error: requests.exceptions.RequestException) -> str:
    if isinstance(error, _TooSlow):
        return TOO_SLOW
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted secure connection"
    if isinstance(_cause(error), NameResolutionError):
        return "host name not found (no network?)"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {TIMEOUT[0]} s"
    if _never_connected(error):
        return "connection refused"
    if isinstance(error, requests.exceptions.ReadTimeout) or "timed out" in str(error):
        return NO_ANSWER
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ConnectionError):
        return "connection broke off before the end of the file"
    return type(error).__name__
