"""What every corpus loader checks: lines, fields, values; a SchemaError names file, row and field."""

import gzip
import math
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path


class SchemaError(ValueError):
    """A file that is not as its corpus should be: file, row (line number from 1), field, what was expected."""

    def __init__(self, path: Path, row: int, field: str, expected: str, found: object = None):
        self.path, self.row, self.field = path, row, field
        shown = "" if found is None else f", found {found!r:.80}"
        super().__init__(f"{path.name}, row {row}, field {field!r}: expected {expected}{shown}")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line number from 1 and text, cut at line feeds only: the fields themselves may hold other separators."""
    row = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for row, raw in enumerate(file, start=1):
                yield row, raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise SchemaError(path, row, "(line)", f"UTF-8 ({error.reason} at byte {error.start})") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SchemaError(
            path, row + 1, "(gzip)", f"a whole gzip file, but it is cut off or damaged: {error}"
        ) from error
    if row == 0:
        raise SchemaError(path, 1, "(file)", "rows, but the file is empty")


def split_fields(path: Path, row: int, line: str, counts: tuple[int, ...]) -> list[str]:
    """Tab-separated fields; quotes mean nothing (csv.QUOTE_NONE)."""
    fields = line.split("\t")
    if len(fields) not in counts:
        wanted = " or ".join(str(count) for count in counts)
        raise SchemaError(path, row, "(line)", f"{wanted} tab-separated fields", f"{len(fields)}: {line}")
    return fields


def check_filled(path: Path, row: int, field: str, value: object) -> None:
    """Refuse what is no text, blank, or holds half of a character (a lone surrogate, which JSON can write)."""
    if not isinstance(value, str) or not value.strip() or any("\ud800" <= sign <= "\udfff" for sign in value):
        raise SchemaError(path, row, field, "a text that is not empty", value if value is not None else "null")


def check_one_of(path: Path, row: int, field: str, value: object, allowed: Collection[str]) -> None:
    """Refuse a value that is not among the allowed ones."""
    if value not in allowed:
        raise SchemaError(path, row, field, f"one of {', '.join(allowed)}", value if value is not None else "null")


def parse_number(path: Path, row: int, field: str, text: str, low: float, high: float) -> float:
    """The number a text stands for, if it lies between low and high, both included."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (low <= value <= high and math.isfinite(value)):
        raise SchemaError(path, row, field, f"a number from {low} to {high}", text)
    return value


def parse_whole(path: Path, row: int, field: str, text: str, low: int) -> int:
    """The whole number from low on that a text of digits stands for."""
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) >= low):
        raise SchemaError(path, row, field, f"a whole number from {low} on", text)
    return int(text)
