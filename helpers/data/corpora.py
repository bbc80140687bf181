"""The four corpora, one tidy DataFrame each; every row is checked, and a SchemaError names file, row and field.

The real files and the synthetic sample are read alike. `frame.attrs` says what was read: corpus, sample (True:
synthetic), sha256 (of several files: that of their sorted "name hash" lines) and, for STS in profile quick, the files
that were missing. A file is read once while it stays as it is: every training asks for its corpus.
"""

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import settings
from helpers.data import sources
from helpers.data.sources import SourceError, cached, file_sha256, obtain, obtain_all_or_sample, obtain_or_sample

if TYPE_CHECKING:
    import pandas as pd

SMS_LABELS = ("ham", "spam")
ENTAILMENTS = ("NEUTRAL", "ENTAILMENT", "CONTRADICTION")  # their order numbers the classes of a model
SICK_PARTITIONS = ("train", "trial", "test")
SICK_RELEASE = {
    "pair_ID": "pair_id", "sentence_A": "sentence_a", "sentence_B": "sentence_b", "relatedness_score": "relatedness",
    "entailment_label": "entailment", "SemEval_set": "partition", "entailment_AB": "entailment_ab",
    "entailment_BA": "entailment_ba", "sentence_A_original": "sentence_a_original",
    "sentence_B_original": "sentence_b_original", "sentence_A_dataset": "sentence_a_dataset",
    "sentence_B_dataset": "sentence_b_dataset",
}  # fmt: skip
SICK_COLUMNS = {
    "pair_ID": "pair_id", "sentence_A": "sentence_a", "sentence_B": "sentence_b", "relatedness_score": "relatedness",
    "entailment_judgment": "entailment",
}  # fmt: skip
STS_COLUMNS = ("score", "sentence_a", "sentence_b", "source")
STS_PARTS = ("train", "dev", "test")
MELI_SUBSETS = ("train", "validation", "test")
MELI_COLUMNS = (
    "language", "label_quality", "title", "category", "split", "tokenized_title", "data", "target", "n_labels", "size",
)  # fmt: skip
MELI_VALUES = {
    "language": ("spanish", "portuguese"), "label_quality": ("reliable", "unreliable"), "split": MELI_SUBSETS,
}  # fmt: skip
MELI_CHUNK = 50_000  # rows turned into columns at a time


def load_sms(path: str | Path | None = None) -> "pd.DataFrame":
    """SMS Spam Collection (Almeida et al. 2011): label ("ham" or "spam"), text.

    Args:
        path: a file in the collection's format; None: the real one, in profile quick else the sample.

    Raises:
        SchemaError: a row is not as it should be.
        SourceError: the file cannot be had.

    Example:
        >>> load_sms()["label"].unique().tolist()
        ['ham', 'spam']
    """
    path, sample = obtain_or_sample("sms") if path is None else (Path(path), False)
    return _frame("sms", [path], sample, _sms_rows, ("label", "text"))


def load_sick(path: str | Path | None = None) -> "pd.DataFrame":
    """SICK as used in SemEval-2014 Task 1 (Marelli et al. 2014).

    Args:
        path: a folder with the three files, or one of them; None: the real ones, in profile quick else the sample.

    Returns:
        pair_id, sentence_a, sentence_b, relatedness (1 to 5), entailment, partition ("train", "trial", "test").

    Raises:
        SchemaError: a row is not as it should be.
        SourceError: a file cannot be had, or a folder does not hold each partition once.
    """
    if path is None:
        files, sample = obtain_all_or_sample([f"sick-{partition}" for partition in SICK_PARTITIONS])
    else:
        path, sample = Path(path), False
        files = _sick_files(path) if path.is_dir() else [path]
    return _frame("sick", files, sample, _sick_rows, (*SICK_COLUMNS.values(), "partition"))


def load_sick_release(path: str | Path | None = None) -> "pd.DataFrame":
    """The later 12-column release of SICK: the columns of load_sick() and those that say how a pair was made."""
    path = obtain("sick-release") if path is None else Path(path)
    return _frame("sick-release", [path], False, _release_rows, tuple(SICK_RELEASE.values()))


def load_sts(path: str | Path | None = None, *, semeval: bool = True, include_unscored: bool = False) -> "pd.DataFrame":
    """Sentence pairs scored 0 to 5: STS Benchmark, train part (Cer et al. 2017), and SemEval STS 2012 to 2015.

    The files overlap, and some rows hold SICK test sentences: de-duplicate and filter before any use with SICK.

    Args:
        path: one file, .csv in the benchmark's format or .tsv in that of the pasted SemEval sets.
        semeval: with the SemEval sets; a missing one stops profile full, quick names it in attrs["missing"].
        include_unscored: with the SemEval pairs without a score (score is NaN).

    Returns:
        score, sentence_a, sentence_b, source ("stsb-train/MSRpar", "2012.MSRpar.train").

    Raises:
        SchemaError: a row is not as it should be.
        SourceError: a file cannot be had.
    """
    missing: list[str] = []
    if path is not None:
        files, sample = [Path(path)], False
    else:
        file, sample = obtain_or_sample("sts-train")
        sets, missing = _semeval_files(sample) if semeval else ([], [])
        files = [file, *sets]
    frame = _frame("sts", files, sample, _sts_rows, STS_COLUMNS)
    attrs = frame.attrs | ({"missing": missing} if missing else {})
    if not include_unscored:
        frame = frame[frame["score"].notna()].reset_index(drop=True)
    frame.attrs = attrs
    return frame


def load_meli(
    path: str | Path | None = None, *, subsets: Sequence[str] = MELI_SUBSETS, columns: Sequence[str] = MELI_COLUMNS
) -> "pd.DataFrame":
    """MeLi Challenge 2019 as FaMAF's course ships it; the whole set where it is in the cache, else the test file alone.

    Args:
        path: a .jsonl.gz file.
        subsets: wanted ones; only those present are read, column `split` tells which.
        columns: wanted ones; leave out the token lists to read all six million rows in little memory.

    Raises:
        ValueError: a subset or column that does not exist.
        SchemaError: a row is not as it should be, or the files hold no row of the subsets.
        SourceError: a file cannot be had.
    """
    for name, wanted, known in (("subset", subsets, MELI_SUBSETS), ("column", columns, MELI_COLUMNS)):
        if unknown := [item for item in wanted if item not in known]:
            raise settings.WrongValue(f"{name} {unknown[0]!r} is not one of {', '.join(known)}")
    files, sample = ([Path(path)], False) if path is not None else _meli_files(subsets)
    frame = _read_meli(_stamps(files), tuple(columns), tuple(subsets)).copy(deep=False)
    frame.attrs = _attrs("meli", files, sample)
    return frame


def meli_chunks(
    path: str | Path, columns: Sequence[str], subsets: Sequence[str] = MELI_SUBSETS
) -> Iterator["pd.DataFrame"]:
    """Some columns of a course file, MELI_CHUNK rows at a time.

    Raises:
        SchemaError: a row is not as it should be (names file, row and field).
    """
    import pandas as pd

    path, rows = Path(path), []
    for row, line in read_lines(path):
        record = _meli_record(path, row, line)
        if record["split"] in subsets:
            rows.append(tuple(record[column] for column in columns))
        if len(rows) == MELI_CHUNK:
            yield pd.DataFrame(rows, columns=list(columns))
            rows = []
    if rows:
        yield pd.DataFrame(rows, columns=list(columns))


# Reading: which files, and their rows


def _sms_rows(path: Path) -> Iterator[tuple]:
    for row, line in read_lines(path):
        label, text = split_fields(path, row, line, (2,))
        check_one_of(path, row, "label", label, SMS_LABELS)
        check_filled(path, row, "text", text)
        yield label, text


def _sick_files(folder: Path) -> list[Path]:
    """The three partitions in a folder, each once."""
    files = sorted(folder.glob("SICK_t*.txt"))
    for part in SICK_PARTITIONS:
        found = [file.name for file in files if part in file.stem]
        if not found:
            raise SourceError(f"{folder}: no file SICK_{part}*.txt there; all three partitions are needed")
        if len(found) > 1:
            raise SourceError(f"{folder}: {' and '.join(found)} are the same partition: leave one of them there")
    return files


def _sick_rows(path: Path) -> Iterator[tuple]:
    partition = next((name for name in SICK_PARTITIONS if name in path.stem), None)
    if partition is None:
        raise SchemaError(path, 1, "partition", f"one of {', '.join(SICK_PARTITIONS)} in the file's name")
    for fields in _sick_fields(path, SICK_COLUMNS):
        yield *fields, partition


def _release_rows(path: Path) -> Iterator[tuple]:
    return _sick_fields(path, SICK_RELEASE)


def _sick_fields(path: Path, columns: dict[str, str]) -> Iterator[tuple]:
    lines = read_lines(path)
    _, header = next(lines)
    header = header.split("\t")
    for name in columns:
        if name not in header:
            raise SchemaError(path, 1, name, "a column of that name in the header", header)
    if len(set(header)) < len(header):
        raise SchemaError(path, 1, "(header)", "every column once", header)
    for row, line in lines:
        values = dict(zip(header, split_fields(path, row, line, (len(header),)), strict=True))
        fields = {column: values[name] for name, column in columns.items()}
        for column, value in fields.items():
            check_filled(path, row, column, value)
        fields["relatedness"] = parse_number(path, row, "relatedness", fields["relatedness"], 1, 5)
        check_one_of(path, row, "entailment", fields["entailment"], ENTAILMENTS)
        if "partition" in fields:
            fields["partition"] = fields["partition"].lower()
            check_one_of(path, row, "partition", fields["partition"], SICK_PARTITIONS)
        fields["pair_id"] = parse_whole(path, row, "pair_id", fields["pair_id"], 1)
        yield tuple(fields.values())


def _semeval_files(sample: bool) -> tuple[list[Path], list[str]]:
    if sample:
        return sorted((settings.sample_dir() / "sts/semeval").glob("*.tsv")), []
    files, missing = [], []
    for name, source in sources.SOURCES.items():
        if source.path.startswith("sts/semeval/"):
            try:
                files.append(obtain(name))
            except SourceError:
                if settings.profile() == "full":
                    raise
                missing.append(name)
    return files, missing


def _sts_rows(path: Path) -> Iterator[tuple]:
    return _stsb_rows(path) if path.suffix == ".csv" else _semeval_rows(path)


def _stsb_rows(path: Path) -> Iterator[tuple]:
    part = next((part for part in STS_PARTS if part in path.stem), path.stem)
    for row, line in read_lines(path):
        # genre, file, year, index, score, two sentences; in some rows two more fields on where they come from
        _, file, _, _, score, first, second, *_ = split_fields(path, row, line, (7, 8, 9))
        check_filled(path, row, "sentence_a", first)
        check_filled(path, row, "sentence_b", second)
        yield parse_number(path, row, "score", score, 0, 5), first, second, f"stsb-{part}/{file}"


def _semeval_rows(path: Path) -> Iterator[tuple]:
    for row, line in read_lines(path):
        score, first, second = split_fields(path, row, line, (3,))
        check_filled(path, row, "sentence_a", first)
        check_filled(path, row, "sentence_b", second)
        yield parse_number(path, row, "score", score, 0, 5) if score else math.nan, first, second, path.stem


def _meli_files(subsets: Sequence[str]) -> tuple[list[Path], bool]:
    """The files of the subsets that are in the cache, else one that has to be had; whether they are the sample."""
    files = [file for part in ("train", "validation") if part in subsets and (file := cached(f"meli-{part}"))]
    if "test" in subsets:
        test, sample = obtain_or_sample("meli-test")
        return ([test] if sample else [*files, test]), sample
    return files or [obtain(f"meli-{subsets[0]}")], False


@lru_cache(maxsize=1)
def _read_meli(
    stamps: tuple[tuple[Path, int, int], ...], columns: tuple[str, ...], subsets: tuple[str, ...]
) -> "pd.DataFrame":
    import pandas as pd

    chunks = [chunk for file, *_ in stamps for chunk in meli_chunks(file, columns, subsets)]
    if not chunks:
        raise SchemaError(stamps[0][0], 1, "split", f"rows of {', '.join(subsets)}")
    return pd.concat(chunks, ignore_index=True)


def _meli_record(path: Path, row: int, line: str) -> dict:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:  # also numbers and nesting beyond what Python reads
        raise SchemaError(path, row, "(line)", "one JSON object", line) from error
    if not isinstance(record, dict):
        raise SchemaError(path, row, "(line)", "one JSON object", line)
    for column in MELI_COLUMNS:
        if column not in record:
            raise SchemaError(path, row, column, "a field of that name", sorted(record))
    for column in ("title", "category"):
        check_filled(path, row, column, record[column])
    for column, allowed in MELI_VALUES.items():
        check_one_of(path, row, column, record[column], allowed)
    for column, kind in (("tokenized_title", str), ("data", int)):
        if not isinstance(record[column], list) or not all(type(item) is kind for item in record[column]):
            raise SchemaError(path, row, column, f"a list of {kind.__name__}", record[column])
    for column in ("target", "n_labels", "size"):
        if type(record[column]) is not int or record[column] < 0:
            raise SchemaError(path, row, column, "a whole number from 0 on", record[column])
    if record["target"] >= record["n_labels"]:
        raise SchemaError(path, row, "target", f"less than n_labels = {record['n_labels']}", record["target"])
    return record


def _frame(
    corpus: str, files: Sequence[Path], sample: bool, rows: Callable[[Path], Iterator[tuple]], columns: tuple[str, ...]
) -> "pd.DataFrame":
    frame = _read(rows, columns, _stamps(files)).copy(deep=False)
    if frame.empty:
        raise SchemaError(files[0], 1, "(file)", "at least one row of data")
    frame.attrs = _attrs(corpus, files, sample)
    return frame


@lru_cache(maxsize=4)
def _read(rows: Callable, columns: tuple[str, ...], stamps: tuple[tuple[Path, int, int], ...]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame([row for file, *_ in stamps for row in rows(file)], columns=list(columns))


def _stamps(files: Sequence[Path]) -> tuple[tuple[Path, int, int], ...]:
    return tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files)


def _attrs(corpus: str, files: Sequence[Path], sample: bool) -> dict:
    digests = sorted(f"{file.name} {file_sha256(file)}" for file in files)
    whole = digests[0].split(" ")[-1] if len(files) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return {"corpus": corpus, "sample": sample, "sha256": whole}


# Checks, also for the project's own tables


class SchemaError(settings.UserError, ValueError):
    """A file that is not as its corpus should be: file, row (line number from 1), field, what was expected."""

    def __init__(self, path: Path, row: int, field: str, expected: str, found: object = None):
        self.path, self.row, self.field = path, row, field
        shown = "" if found is None else f", found {found!r:.80}"
        super().__init__(f"{path.name}, row {row}, field {field!r}: expected {expected}{shown}")


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Line number from 1 and text, cut at line feeds only: the fields themselves may hold other separators."""
    path, row = Path(path), 0
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
