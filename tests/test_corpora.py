"""The loaders: tidy frames from the true formats, and a SchemaError that names file, row and field for the rest."""

import gzip
import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import settings
from helpers.data import corpora, sources
from helpers.data.corpora import SchemaError, load_meli, load_sick, load_sick_release, load_sms, load_sts
from helpers.data.sources import SOURCES, SourceError

SICK_HEADER = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment"
RELEASE_HEADER = (
    "pair_ID\tsentence_A\tsentence_B\tentailment_label\trelatedness_score\tentailment_AB\tentailment_BA\t"
    "sentence_A_original\tsentence_B_original\tsentence_A_dataset\tsentence_B_dataset\tSemEval_set"
)
STSB = "main-news\tMSRpar\t2012test\t0001\t{}\tA cat sleeps.\tA cat is asleep."


def written(path: Path, *lines: str, end="\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def meli_row(**changes) -> dict:
    row = {
        "language": "spanish", "label_quality": "reliable", "title": "Silla De Madera", "category": "CHAIRS",
        "split": "test", "tokenized_title": ["silla", "madera"], "data": [3, 9], "target": 1, "n_labels": 2, "size": 1,
    }  # fmt: skip
    return {name: value for name, value in (row | changes).items() if value is not KeyError}


def meli_file(path: Path, *rows: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


@pytest.fixture
def nothing_real(tmp_path, monkeypatch):
    """No mirror, no network, an empty cache and an empty sample folder."""
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DATA_OFFLINE", "1")
    monkeypatch.setenv("PROFILE", "quick")
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setattr(settings, "sample_dir", lambda: tmp_path / "sample")
    return tmp_path


def into_mirror(folder: Path, monkeypatch, *paths: str) -> None:
    """Let the folder pass as a mirror: the catalogue takes over the hashes of the handmade files."""
    monkeypatch.setenv("DATA_MIRROR", str(folder))
    names = {source.path: name for name, source in SOURCES.items()}
    for path in paths:
        changed = SOURCES[names[path]].__class__(
            **{**vars(SOURCES[names[path]]), "sha256": hashlib.sha256((folder / path).read_bytes()).hexdigest()}
        )
        monkeypatch.setitem(SOURCES, names[path], changed)


SICK_LINE = "1\tA dog runs\tA dog walks\t3.5\tNEUTRAL"
RELEASE_LINE = "1\tA dog\tA cat\tNEUTRAL\t4.5\tx\ty\tThe dog\tThe cat\tFLICKR\tFLICKR\tTRIAL"
LOADERS = {  # a loader, its file, the file's lines
    "sms": (load_sms, "sms", ["ham\thello"]),
    "sick": (load_sick, "SICK_trial.txt", [SICK_HEADER, SICK_LINE]),
    "release": (load_sick_release, "SICK.txt", [RELEASE_HEADER, RELEASE_LINE]),
    "stsb": (load_sts, "sts-train.csv", [STSB.format("2")]),
    "semeval": (load_sts, "2012.x.test.tsv", ["2\tone\ttwo"]),
    "meli": (load_meli, "x.jsonl", [json.dumps(meli_row())]),
}


@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_takes_a_path_or_a_string(tmp_path, monkeypatch, name):
    load, file, lines = LOADERS[name]
    path = written(tmp_path / file, *lines)
    frame = load(path)
    assert len(frame) == 1
    monkeypatch.chdir(tmp_path)
    for string in (str(path), file):
        assert load(string).equals(frame)
        assert load(string).attrs == frame.attrs


def test_a_sick_folder_may_be_a_string(tmp_path):
    for stem in ("train", "trial", "test_annotated"):
        written(tmp_path / f"SICK_{stem}.txt", SICK_HEADER, SICK_LINE)
    assert load_sick(str(tmp_path)).equals(load_sick(tmp_path))


@pytest.mark.parametrize("name", LOADERS)
def test_a_file_is_read_once_and_again_when_it_changes(tmp_path, monkeypatch, name):
    load, file, lines = LOADERS[name]
    path, reads = written(tmp_path / file, *lines), []
    read_lines = corpora.read_lines
    monkeypatch.setattr(corpora, "read_lines", lambda path: reads.append(path) or read_lines(path))
    first = load(path)
    first[first.columns[0]] = "changed by its user"
    first.attrs["sample"] = "changed"
    second = load(path)
    assert len(reads) == 1
    assert "changed by its user" not in second.to_numpy()
    assert second.attrs["sample"] is False
    written(path, *lines, lines[-1])
    assert len(load(path)) == 2


def test_sms_reads_quotes_and_odd_separators_as_text(tmp_path):
    path = written(tmp_path / "sms", 'ham\t"Hi, she said', "spam\tWin £1000\u2028now\x0b!")
    frame = load_sms(path)
    assert frame.values.tolist() == [["ham", '"Hi, she said'], ["spam", "Win £1000\u2028now\x0b!"]]
    assert list(frame.columns) == ["label", "text"]
    assert frame.attrs == {"corpus": "sms", "sample": False, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


@given(st.lists(st.tuples(st.sampled_from(["ham", "spam"]), st.text(st.characters(codec="utf-8"))), min_size=1))
def test_sms_gives_back_every_text_it_can_hold(tmp_path_factory, rows):
    kept = [(label, text) for label, text in rows if text.strip() and not set(text) & set("\t\n\r")]
    if kept:
        path = written(tmp_path_factory.mktemp("sms") / "sms", *("\t".join(row) for row in kept))
        assert load_sms(path).values.tolist() == [list(row) for row in kept]


@pytest.mark.parametrize(
    ("lines", "row", "field"),
    [
        (["ham\tok", "eggs\tno"], 2, "label"),
        (["ham\tok", "\tno"], 2, "label"),
        (["ham\tok", "spam\t "], 2, "text"),
        (["ham\tok", "spam"], 2, "(line)"),
        (["ham\ta\tb"], 1, "(line)"),
        (["ham\tok", ""], 2, "(line)"),
        ([], 1, "(file)"),
    ],
)
def test_sms_schema_errors(tmp_path, lines, row, field):
    with pytest.raises(SchemaError, match=f"broken.txt, row {row}") as error:
        load_sms(written(tmp_path / "broken.txt", *lines))
    assert (error.value.row, error.value.field) == (row, field)


def test_bytes_that_are_not_utf8_name_their_row(tmp_path):
    (tmp_path / "sms").write_bytes(b"ham\tok\nham\tcaf\xe9\n")
    with pytest.raises(SchemaError, match=r"row 2.*UTF-8"):
        load_sms(tmp_path / "sms")


def test_sick_folder_gives_three_partitions(tmp_path):
    for number, stem in enumerate(("train", "trial", "test_annotated"), start=1):
        written(tmp_path / f"SICK_{stem}.txt", SICK_HEADER, f"{number}\tA dog runs\tA dog walks\t3.{number}\tNEUTRAL")
    frame = load_sick(tmp_path).sort_values("pair_id")
    assert list(frame.columns) == ["pair_id", "sentence_a", "sentence_b", "relatedness", "entailment", "partition"]
    assert frame["partition"].tolist() == ["train", "trial", "test"]
    assert frame["relatedness"].tolist() == [3.1, 3.2, 3.3]
    lines = sorted(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in tmp_path.iterdir())
    assert frame.attrs["sha256"] == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert load_sick(tmp_path / "SICK_trial.txt")["pair_id"].tolist() == [2]


def test_a_sick_folder_without_one_of_its_partitions_is_refused(tmp_path):
    for stem in ("train", "test_annotated"):
        written(tmp_path / f"SICK_{stem}.txt", SICK_HEADER, "1\tA dog runs\tA dog walks\t3.5\tNEUTRAL")
    with pytest.raises(SourceError, match="no file SICK_trial"):
        load_sick(tmp_path)


def test_a_sick_partition_that_lies_there_twice_is_refused_by_name(tmp_path):
    for stem in ("train", "trial", "test_annotated", "test_annotated (1)"):
        written(tmp_path / f"SICK_{stem}.txt", SICK_HEADER, SICK_LINE)
    with pytest.raises(SourceError, match=r"SICK_test_annotated \(1\).txt and SICK_test_annotated.txt"):
        load_sick(tmp_path)


@pytest.mark.parametrize(
    ("header", "line", "row", "field"),
    [
        (SICK_HEADER.replace("entailment_judgment", "judgment"), "", 1, "entailment_judgment"),
        (SICK_HEADER, "1\tA\tB\t5.1\tNEUTRAL", 2, "relatedness"),
        (SICK_HEADER, "1\tA\tB\t0.9\tNEUTRAL", 2, "relatedness"),
        (SICK_HEADER, "0\tA\tB\t3\tNEUTRAL", 2, "pair_id"),
        (f"{SICK_HEADER}\tpair_ID", "1\tA\tB\t3\tNEUTRAL\t1", 1, "(header)"),
        (SICK_HEADER, "1\tA\tB\tnan\tNEUTRAL", 2, "relatedness"),
        (SICK_HEADER, "1\tA\tB\thigh\tNEUTRAL", 2, "relatedness"),
        (SICK_HEADER, "1\tA\tB\t3\tMAYBE", 2, "entailment"),
        (SICK_HEADER, "1\tA\t\t3\tNEUTRAL", 2, "sentence_b"),
        (SICK_HEADER, "x\tA\tB\t3\tNEUTRAL", 2, "pair_id"),
        (SICK_HEADER, "1\tA\tB\t3", 2, "(line)"),
    ],
)
def test_sick_schema_errors(tmp_path, header, line, row, field):
    with pytest.raises(SchemaError) as error:
        load_sick(written(tmp_path / "SICK_train.txt", header, line))
    assert (error.value.row, error.value.field) == (row, field)


def test_sick_header_alone_is_no_corpus(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SchemaError, match="at least one row"):
        load_sick(written(tmp_path / "SICK_train.txt", SICK_HEADER))
    with pytest.raises(SourceError, match="no file SICK_train"):
        load_sick(tmp_path / "empty")


def test_sick_release_with_crlf(tmp_path):
    line = "1\tA dog\tA cat\tNEUTRAL\t4.5\tA_neutral_B\tB_neutral_A\tThe dog\tThe cat\tFLICKR\tFLICKR\tTRIAL"
    frame = load_sick_release(written(tmp_path / "SICK.txt", RELEASE_HEADER, line, end="\r\n"))
    assert frame.loc[0, ["pair_id", "relatedness", "partition", "sentence_b_dataset"]].tolist() == [
        1, 4.5, "trial", "FLICKR",
    ]  # fmt: skip


def test_stsb_rows_may_carry_two_more_fields(tmp_path):
    path = written(tmp_path / "sts-train.csv", STSB.format("2.5"), STSB.format("0") + "\twhere from\twhere from")
    frame = load_sts(path)
    assert frame["score"].tolist() == [2.5, 0.0]
    assert frame.loc[1].tolist()[1:] == ["A cat sleeps.", "A cat is asleep.", "stsb-train/MSRpar"]


def test_the_source_of_a_benchmark_row_names_its_files_part(tmp_path):
    for part in ("train", "dev", "test"):
        assert load_sts(written(tmp_path / f"sts-{part}.csv", STSB.format("1")))["source"].tolist() == [
            f"stsb-{part}/MSRpar"
        ]


def test_scores_from_0_to_5_are_taken(tmp_path):
    path = written(tmp_path / "2012.x.test.tsv", "0\tone\ttwo", "5\tone\ttwo")
    assert load_sts(path)["score"].tolist() == [0, 5]
    path = written(tmp_path / "SICK_trial.txt", SICK_HEADER, *(SICK_LINE.replace("3.5", end) for end in ("1", "5")))
    assert load_sick(path)["relatedness"].tolist() == [1, 5]


def test_semeval_rows_without_score_come_when_asked_for(tmp_path):
    path = written(tmp_path / "2015.belief.test.tsv", '\t"open\tclosed', "3.2\tone\ttwo")
    assert load_sts(path)["score"].tolist() == [3.2]
    both = load_sts(path, include_unscored=True)
    assert both["score"].isna().tolist() == [True, False]
    assert both["sentence_a"].tolist() == ['"open', "one"]
    assert both["source"].unique().tolist() == ["2015.belief.test"]
    assert load_sts(path).attrs == both.attrs


@pytest.mark.parametrize(
    ("name", "line", "field"),
    [
        ("sts-train.csv", STSB.format("5.5"), "score"),
        ("sts-train.csv", STSB.format(""), "score"),
        ("sts-train.csv", "a\tb\tc", "(line)"),
        ("2012.x.test.tsv", "-1\tone\ttwo", "score"),
        ("2012.x.test.tsv", "1\tone\t", "sentence_b"),
    ],
)
def test_sts_schema_errors(tmp_path, name, line, field):
    with pytest.raises(SchemaError) as error:
        load_sts(written(tmp_path / name, line))
    assert (error.value.row, error.value.field) == (1, field)


def test_sts_names_semeval_sets_it_lacks_in_quick_and_stops_in_full(nothing_real, monkeypatch):
    mirror = nothing_real / "mirror"
    written(mirror / "sts/sts-train.csv", STSB.format("2"))
    written(mirror / "sts/semeval/2013.FNWN.test.tsv", "1\tone\ttwo")
    beside = ["vectors/glove.840B.300d.sick.txt.gz", "sick/SICK_train.txt"]  # without them quick takes the sample
    for path in beside:
        written(mirror / path, "x")
    into_mirror(mirror, monkeypatch, "sts/sts-train.csv", "sts/semeval/2013.FNWN.test.tsv", *beside)
    frame = load_sts()
    assert frame["source"].tolist() == ["stsb-train/MSRpar", "2013.FNWN.test"]
    assert "semeval-2012.MSRpar.test" in frame.attrs["missing"]
    assert "semeval-2013.FNWN.test" not in frame.attrs["missing"]
    monkeypatch.setenv("PROFILE", "full")
    with pytest.raises(SourceError, match="data cut semeval"):
        load_sts()
    assert len(load_sts(semeval=False)) == 1


def test_meli_keeps_the_columns_as_shipped_across_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "MELI_CHUNK", 2)
    path = meli_file(tmp_path / "x.jsonl.gz", *(meli_row(title=f"Title {i}", data=[]) for i in range(5)))
    frame = load_meli(path)
    assert list(frame.columns) == list(corpora.MELI_COLUMNS)
    assert frame["title"].tolist() == [f"Title {i}" for i in range(5)]
    assert frame.index.tolist() == list(range(5))
    assert frame.loc[4, "tokenized_title"] == ["silla", "madera"]
    assert list(load_meli(path, columns=["title", "target"]).columns) == ["title", "target"]


def test_meli_subsets_hold_for_a_file_that_is_given(tmp_path):
    rows = [meli_row(split=part, title=f"of {part}") for part in ("train", "test", "train", "validation")]
    path = meli_file(tmp_path / "x.jsonl.gz", *rows)
    assert load_meli(path)["split"].tolist() == ["train", "test", "train", "validation"]
    assert load_meli(path, subsets=["train"], columns=["title"])["title"].tolist() == ["of train"] * 2
    with pytest.raises(SchemaError, match="field 'split': expected rows of validation"):
        load_meli(meli_file(tmp_path / "y.jsonl.gz", *rows[:2]), subsets=["validation"])
    with pytest.raises(ValueError, match="subset 'dev' is not one of train, validation, test"):
        load_meli(path, subsets=["dev"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": None}, "title"),
        ({"title": " "}, "title"),
        ({"category": KeyError}, "category"),
        ({"language": "latin"}, "language"),
        ({"label_quality": None}, "label_quality"),
        ({"split": "dev"}, "split"),
        ({"tokenized_title": "silla madera"}, "tokenized_title"),
        ({"data": [1, None]}, "data"),
        ({"target": 2}, "target"),
        ({"target": True}, "target"),
        ({"size": -1}, "size"),
    ],
)
def test_meli_schema_errors(tmp_path, changes, field):
    with pytest.raises(SchemaError, match=r"x\.jsonl\.gz, row 2") as error:
        load_meli(meli_file(tmp_path / "x.jsonl.gz", meli_row(), meli_row(**changes)))
    assert error.value.field == field


@pytest.mark.parametrize("line", ["{not json", "[1, 2]", ""])
def test_meli_line_that_is_no_object(tmp_path, line):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(f"{line}\n".encode()))
    with pytest.raises(SchemaError, match=r"row 1.*one JSON object"):
        load_meli(path)


def test_cut_gzip_is_told_with_its_row(tmp_path):
    path = meli_file(tmp_path / "x.jsonl.gz", *(meli_row(title=os.urandom(200).hex()) for _ in range(100)))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(SchemaError, match="cut off") as error:
        load_meli(path)
    assert 1 < error.value.row <= 100
    path.write_bytes(b"no gzip at all")
    with pytest.raises(SchemaError, match=r"row 1, field '\(gzip\)'"):
        load_meli(path)


def test_meli_takes_the_whole_set_where_it_is_in_the_cache(nothing_real, monkeypatch):
    mirror = nothing_real / "mirror"
    meli_file(mirror / "meli/spanish.test.jsonl.gz", meli_row())
    into_mirror(mirror, monkeypatch, "meli/spanish.test.jsonl.gz")
    assert load_meli()["split"].tolist() == ["test"]
    for part in ("train", "validation"):
        meli_file(nothing_real / f"cache/meli/spanish.{part}.jsonl.gz", meli_row(split=part))
    assert load_meli()["split"].tolist() == ["train", "validation", "test"]
    assert load_meli(subsets=["validation"])["split"].tolist() == ["validation"]


def test_meli_subset_that_is_not_there(nothing_real):
    with pytest.raises(SourceError, match="make data-full"):
        load_meli(subsets=["train"])


def test_every_loader_reads_the_committed_sample_where_real_files_lack(nothing_real, monkeypatch):
    monkeypatch.setattr(settings, "sample_dir", lambda: settings.ROOT / "data/sample")
    for load in (load_sms, load_sick, load_sts, load_meli):
        frame = load()
        assert frame.attrs["sample"] is True
        assert len(frame) >= 50
    assert load_sts()["source"].str.startswith("20").any()
    assert set(load_sms()["label"]) == {"ham", "spam"}
    assert set(load_sick()["partition"]) == {"train", "trial", "test"}
    monkeypatch.setenv("PROFILE", "full")
    for load in (load_sms, load_sick, load_sts, load_meli):
        with pytest.raises(SourceError, match="cannot be had"):
            load()


@pytest.fixture
def real(monkeypatch, tmp_path):
    mirror = settings.mirror()
    if not mirror or not Path(mirror).is_dir():
        pytest.skip("no folder in DATA_MIRROR")
    monkeypatch.setenv("DATA_CACHE", str(tmp_path))
    monkeypatch.setenv("DATA_OFFLINE", "1")
    monkeypatch.setenv("PROFILE", "full")


def test_real_sms(real):
    frame = load_sms()
    assert frame["label"].value_counts().to_dict() == {"ham": 4_827, "spam": 747}
    assert frame["text"].nunique() == 5_171
    assert frame.attrs["sha256"] == SOURCES["sms"].sha256


def test_real_sick(real):
    assert load_sick()["partition"].value_counts().to_dict() == {"test": 4_927, "train": 4_500, "trial": 500}
    release = load_sick_release()["partition"].value_counts().to_dict()
    assert release == {"test": 4_906, "train": 4_439, "trial": 495}


def test_real_sts(real):
    frame = load_sts(include_unscored=True)
    assert len(frame) == 5_749 + 17_592
    assert frame["score"].isna().sum() == 5_500
    assert frame["source"].str.startswith("stsb-train/").sum() == 5_749


def test_real_meli(real):
    frame = load_meli()
    assert len(frame) == frame["title"].nunique() == SOURCES["meli-test"].rows
    assert frame["category"].nunique() == 632
    assert (frame["data"].str.len() == 0).sum() == 4


def test_sentence_pairs_whose_vectors_cannot_be_had_are_the_sample_and_it_is_said(tmp_path, monkeypatch, capsys):
    names = [f"sick-{part}" for part in corpora.SICK_PARTITIONS]
    parts, vectors = [SOURCES[name].path for name in names], "vectors/glove.840B.300d.sick.txt.gz"
    beside = [written(tmp_path / "mirror" / path, "x") for path in ("sts/sts-train.csv", vectors)]
    for path in parts:
        lines = (settings.sample_dir() / path).read_text(encoding="utf8").splitlines()
        written(tmp_path / "mirror" / path, *lines[:3])
    into_mirror(tmp_path / "mirror", monkeypatch, *parts, "sts/sts-train.csv", vectors)
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))
    assert not load_sick().attrs["sample"]
    beside[-1].unlink()
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "empty"))
    assert load_sick().attrs["sample"]
    assert "sick-train, sick-trial, sick-test: the synthetic sample stands in" in capsys.readouterr().err
    assert sources.sampled() == names
