"""The synthetic sample: in the real files' formats, learnable, free of real rows."""

import csv
import gzip
import json
import os
import re
import zipfile
from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from scipy.stats import pearsonr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample"
SICK_PARTS = {"train": 180, "trial": 40, "test_annotated": 80}
VECTORS = {
    "glove.840B.300d.sick.txt.gz": {"no_header": True},
    "glove.twitter.27B.25d.12k.txt.gz": {"no_header": True},
    "GoogleNews-vectors-negative300.8k.bin.gz": {"binary": True},
    "SBW-vectors-300-min5.head.txt": {},
}


def table(path: Path, names: list[str] | None = None) -> list[dict]:
    """Rows of a tab-separated file; the first line names the columns unless names are given."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, names, delimiter="\t", quoting=csv.QUOTE_NONE))


def messages(folder: Path = SAMPLE) -> list[dict]:
    return table(folder / "sms" / "SMSSpamCollection", ["label", "text"])


def titles(folder: Path = SAMPLE) -> list[dict]:
    with gzip.open(folder / "meli" / "spanish.test.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sick(folder: Path = SAMPLE) -> list[dict]:
    return [row for part in SICK_PARTS for row in table(folder / "sick" / f"SICK_{part}.txt")]


def sts(folder: Path = SAMPLE) -> list[list[str]]:
    """score, sentence, sentence of the benchmark and of every SemEval set."""
    columns = ["genre", "file", "year", "index", "score", "first", "second"]
    rows = [[row["score"], row["first"], row["second"]] for row in table(folder / "sts" / "sts-train.csv", columns)]
    for path in sorted((folder / "sts" / "semeval").glob("*.tsv")):
        rows += [list(row.values()) for row in table(path, ["score", "first", "second"])]
    return rows


def word_vectors(name: str) -> KeyedVectors:
    return KeyedVectors.load_word2vec_format(str(SAMPLE / "vectors" / name), **VECTORS[name])


def test_sample_is_small():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 1_000_000


def test_compressed_files_hold_no_time():
    for path in SAMPLE.rglob("*.gz"):
        assert path.read_bytes()[4:8] == bytes(4), path.name
    with zipfile.ZipFile(SAMPLE / "nltk_data" / "corpora" / "stopwords.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_messages():
    rows = messages()
    labels = Counter(row["label"] for row in rows)
    assert set(labels) == {"ham", "spam"}
    assert 380 <= len(rows) <= 420
    assert 0.12 <= labels["spam"] / len(rows) <= 0.18
    assert all(set(row) == {"label", "text"} and row["text"] for row in rows)
    assert len(rows) - len({row["text"] for row in rows}) == 12
    folded = Counter(re.sub(r"\d", "0", text) for text in {row["text"] for row in rows if row["label"] == "spam"})
    assert sum(count >= 3 for count in folded.values()) >= 4  # near-copies


def test_telephone_numbers_and_addresses_are_fictional():
    text = "\n".join(row["text"].lower() for row in messages())
    assert set(re.findall(r"\w+\.(?:com|net|org)", text)) <= {"example.com", "example.net", "example.org"}
    for number in re.findall(r"\d[\d ]{6,}\d", text):
        assert re.match(r"55501|08081570|077009000|09098790", number.replace(" ", "")), number


def test_titles():
    rows = titles()
    types = dict.fromkeys(["language", "label_quality", "title", "category", "split"], str)
    types |= dict.fromkeys(["tokenized_title", "data"], list) | dict.fromkeys(["target", "n_labels", "size"], int)
    assert len(rows) == len({row["title"] for row in rows}) == 1000
    for row in rows:
        assert {name: type(value) for name, value in row.items()} == types
        assert len(row["data"]) == len(row["tokenized_title"])
        assert (row["language"], row["split"], row["n_labels"], row["size"]) == ("spanish", "test", 12, 1000)
        assert row["label_quality"] in ("reliable", "unreliable")
    counts = Counter(row["category"] for row in rows)
    assert len(counts) == 12
    assert min(counts.values()) >= 30
    assert len({(row["category"], row["target"]) for row in rows}) == 12
    assert {row["target"] for row in rows} == set(range(12))
    blocks = [category for category, _ in groupby(row["category"] for row in rows)]
    assert len(blocks) == 12
    assert any(not row["data"] for row in rows)


def test_sick_pairs():
    rows = sick()
    assert [len(table(SAMPLE / "sick" / f"SICK_{part}.txt")) for part in SICK_PARTS] == list(SICK_PARTS.values())
    assert len({row["pair_ID"] for row in rows}) == len(rows) == 300
    pairs = [frozenset((row["sentence_A"], row["sentence_B"])) for row in rows]
    assert sum(pair in pairs[:180] for pair in pairs[220:]) == 2  # test pairs that repeat training pairs
    scores = np.array([float(row["relatedness_score"]) for row in rows])
    assert scores.min() >= 1
    assert scores.max() <= 5
    assert scores.std() > 0.8
    judgments = np.array([row["entailment_judgment"] for row in rows])
    means = {name: scores[judgments == name].mean() for name in ("ENTAILMENT", "NEUTRAL", "CONTRADICTION")}
    assert set(judgments) == set(means)
    assert means["ENTAILMENT"] > means["CONTRADICTION"] > means["NEUTRAL"]


def test_later_release_agrees_with_the_parts():
    assert (SAMPLE / "sick" / "SICK.txt").read_bytes().count(b"\r\n") == 301
    release = table(SAMPLE / "sick" / "SICK.txt")
    assert {len(row) for row in release} == {12}
    parts = {"train": "TRAIN", "trial": "TRIAL", "test_annotated": "TEST"}
    expected = {
        (*row.values(), name) for part, name in parts.items() for row in table(SAMPLE / "sick" / f"SICK_{part}.txt")
    }
    names = ("pair_ID", "sentence_A", "sentence_B", "relatedness_score", "entailment_label", "SemEval_set")
    assert {tuple(row[name] for name in names) for row in release} == expected
    for row in release:
        both = {row["entailment_AB"], row["entailment_BA"]} == {"A_contradicts_B", "B_contradicts_A"}
        assert (row["entailment_label"] == "CONTRADICTION") == both
        assert (row["entailment_label"] == "ENTAILMENT") == (row["entailment_AB"] == "A_entails_B")


def test_sts_files():
    with (SAMPLE / "sts" / "sts-train.csv").open(encoding="utf-8", newline="") as lines:
        benchmark = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len(benchmark) == 60
    assert {len(row) for row in benchmark} == {7, 9}
    sets = list((SAMPLE / "sts" / "semeval").glob("*.tsv"))
    assert len(sets) == 20
    rows = sts()
    assert len(rows) == 60 + 6 * len(sets)
    assert any(not score for score, *_ in rows)
    assert all(0 <= float(score) <= 5 for score, *_ in rows if score)


def test_sts_overlaps_that_loaders_must_drop():
    def plain(*sentences):
        return frozenset(" ".join(re.findall("[a-z0-9]+", sentence.lower())) for sentence in sentences)

    tests = [plain(row["sentence_A"], row["sentence_B"]) for row in table(SAMPLE / "sick" / "SICK_test_annotated.txt")]
    rows = [plain(first, second) for _, first, second in sts()]
    benchmark, semeval = rows[:60], rows[60:]
    assert sum(pair in tests for pair in benchmark) == 1
    assert sum(bool(pair & frozenset().union(*tests)) for pair in benchmark) >= 3
    assert len(set(benchmark) & set(semeval)) == 5


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_parse(name):
    vectors = word_vectors(name)
    assert vectors.vector_size == (25 if "twitter" in name else 50)
    assert len(vectors) > 300
    assert np.isfinite(vectors.vectors).all()


def test_vectors_know_most_words_and_their_meaning():
    glove, word2vec = (
        word_vectors("glove.840B.300d.sick.txt.gz"),
        word_vectors("GoogleNews-vectors-negative300.8k.bin.gz"),
    )
    words = {word for row in sick() for word in f"{row['sentence_A']} {row['sentence_B']}".lower().split()}
    assert words <= set(glove.key_to_index)
    assert not {"a", "an", "of", "and", "to"} & set(word2vec.key_to_index)
    assert any(word != word.lower() for word in word2vec.key_to_index)
    for vectors in (glove, word2vec):
        assert vectors.similarity("bicycle", "bike") > vectors.similarity("bicycle", "cart")
        assert vectors.similarity("slicing", "frying") > vectors.similarity("slicing", "bike")
    spanish = word_vectors("SBW-vectors-300-min5.head.txt")
    tokens = [word for row in titles() for word in row["tokenized_title"]]
    assert 0.8 < np.mean([word in spanish for word in tokens]) < 1
    assert (SAMPLE / "vectors" / "SBW-vectors-300-min5.head.txt").read_text("utf-8").splitlines()[
        0
    ] == f"{len(spanish)} 50"


def test_stop_words_open_with_nltk(monkeypatch):
    import nltk
    from nltk.corpus.reader import WordListCorpusReader

    monkeypatch.setattr(nltk.data, "path", [str(SAMPLE / "nltk_data")])
    reader = WordListCorpusReader(nltk.data.find("corpora/stopwords.zip/stopwords/"), ["english", "spanish"])
    assert "the" in reader.words("english")
    assert "más" in reader.words("spanish")


def test_synonyms():
    rows = table(SAMPLE / "nltk_data" / "synonyms.en.tsv")
    assert list(rows[0]) == ["word", "pos", "synonyms", "antonyms"]
    assert {row["pos"] for row in rows} <= set("nvar")
    words = {word for row in sick() for word in f"{row['sentence_A']} {row['sentence_B']}".lower().split()}
    assert sum(row["word"] in words and bool(row["synonyms"]) for row in rows) >= 40
    assert sum(row["word"] in words and bool(row["antonyms"]) for row in rows) >= 20


def test_no_real_row():
    """No message, title or sentence of the sample stands in the real corpora (letters and digits compared)."""
    mirror = ROOT / os.environ.get("DATA_MIRROR", "")
    if not os.environ.get("DATA_MIRROR") or not (mirror / "sms").is_dir():
        pytest.skip("DATA_MIRROR names no folder of real data")

    def texts(folder: Path) -> set[str]:
        pairs = [[row["sentence_A"], row["sentence_B"]] for row in sick(folder)] + [row[1:3] for row in sts(folder)]
        found = [row["text"] for row in messages(folder)] + [row["title"] for row in titles(folder)]
        found += [sentence for pair in pairs for sentence in pair if sentence]
        return {" ".join(re.findall(r"\w+", text.lower())) for text in found}

    assert texts(SAMPLE) & texts(mirror) == set()


def predicted(model, texts: list[str], labels: list[str]) -> np.ndarray:
    """Out-of-fold predictions, stratified."""
    return cross_val_predict(model, texts, labels, cv=StratifiedKFold(5, shuffle=True, random_state=0))


def test_spam_can_be_learned_but_not_entirely():
    rows = list({row["text"]: row for row in messages()}.values())
    texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
    features = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, lowercase=False)
    model = make_pipeline(features, LinearSVC(C=2, class_weight="balanced"))
    assert 0.85 < f1_score(labels, predicted(model, texts, labels), pos_label="spam") < 0.995


def test_categories_can_be_learned_but_not_entirely():
    rows = titles()
    labels = [row["category"] for row in rows]
    model = make_pipeline(TfidfVectorizer(strip_accents="unicode"), LinearSVC())
    assert 0.8 < accuracy_score(labels, predicted(model, [row["title"] for row in rows], labels)) < 0.995


def test_relatedness_shows_in_shared_words():
    def cosine(row: dict) -> float:
        first, second = (set(row[name].lower().split()) for name in ("sentence_A", "sentence_B"))
        return len(first & second) / np.sqrt(len(first) * len(second))

    rows = sick()
    assert 0.3 < pearsonr([cosine(row) for row in rows], [float(row["relatedness_score"]) for row in rows])[0] < 0.9
