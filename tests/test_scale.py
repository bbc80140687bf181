import gzip
import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import settings
from helpers.__main__ import main
from helpers.apps import cli
from helpers.data.corpora import MELI_COLUMNS, load_meli
from helpers.data.encoded import SealError
from helpers.data.text import clean_tokens
from helpers.tasks import scale
from helpers.tasks.scale import FIRST_ID, FULL, Language, distinct_draws, fit_heaps, subset_rows, write_subset

pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")  # a test side of 3 rows
SAMPLE = settings.sample_dir() / "meli" / "spanish.test.jsonl.gz"
STOP_WORDS = frozenset({"para", "con"})
BUILT = ("generation", "reading", "cleaning", "dictionary", "encoding")


@pytest.fixture(scope="module")
def frame():
    return load_meli(SAMPLE)


@pytest.fixture(scope="module")
def language(frame):
    return Language(frame, STOP_WORDS, seed=0)


@pytest.fixture(autouse=True)
def sample_only(monkeypatch, tmp_path):
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("THREADS", "1")


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("scale"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROFILE", "quick")
        patch.setenv("DATA_OFFLINE", "1")
        patch.setenv("THREADS", "1")
        patch.delenv("DATA_MIRROR", raising=False)
        patch.setenv("DATA_CACHE", str(folder / "cache"))
        return scale.run(300, seed=3, folder=folder / "out", say=said.append), folder / "out", said


def test_the_same_seed_writes_the_same_bytes(language, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_subset(tmp_path / name, language, "train", 200, seed=seed)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


def test_files_have_the_columns_of_the_courses_and_pass_its_schema(language, frame, tmp_path):
    with gzip.open(SAMPLE, "rt", encoding="utf-8") as file:
        columns = list(json.loads(file.readline()))
    for subset in FULL:
        path = tmp_path / f"spanish.{subset}.jsonl.gz"
        write_subset(path, language, subset, 150, seed=1)
        with gzip.open(path, "rt", encoding="utf-8") as file:
            assert all(list(json.loads(line)) == columns == list(MELI_COLUMNS) for line in file)
        made = load_meli(path)
        assert (len(made), set(made["split"]), set(made["size"])) == (150, {subset}, {150})
        target_of = frame.drop_duplicates("category").set_index("category")["target"]
        assert (made["category"].map(target_of) == made["target"]).all()
        assert ("unreliable" in set(made["label_quality"])) == (subset != "test")


def test_a_longer_set_begins_with_the_shorter_one(language, monkeypatch):
    monkeypatch.setattr(scale, "CHUNK", 200)
    short = [row | {"size": 0} for row in language.draw("train", 100, seed=1)]
    long = [row | {"size": 0} for row in language.draw("train", 300, seed=1)]
    assert long[:100] == short
    assert long[200:] != short


def test_titles_hold_the_words_that_are_told_and_a_word_has_one_number(language):
    numbers = {}
    rows = list(language.draw("train", 1000, seed=1))
    for row in rows:
        assert [word for word in clean_tokens(row["title"]) if word not in STOP_WORDS] == row["tokenized_title"]
        for word, number in zip(row["tokenized_title"], row["data"], strict=True):
            assert numbers.setdefault(word, number) == number >= FIRST_ID
    assert len(set(numbers.values())) == len(numbers)
    assert max(numbers.values()) >= FIRST_ID + len(language.words)  # invented ones among them


def test_categories_of_train_are_uneven_and_those_of_test_as_in_the_real_file(language, frame):
    real = frame["category"].value_counts(normalize=True)
    train, test = (Counter(row["category"] for row in language.draw(s, 4000, seed=1)) for s in ("train", "test"))
    assert max(train.values()) > 10 * min(train.values())
    assert all(abs(test[name] / 4000 - share) < 0.03 for name, share in real.items())


def test_vocabulary_grows_as_the_fitted_law_says(language):
    rows = list(language.draw("train", 8000, seed=1))
    distinct = []
    for count in (2000, 4000, 8000):
        words = [word for row in rows[:count] for word in row["tokenized_title"]]
        distinct.append(len(set(words)))
        assert distinct[-1] == pytest.approx(language.law.expected(len(words)), rel=0.06)
    assert distinct[1] / distinct[0] == pytest.approx(2**language.law.exponent, rel=0.05)
    assert distinct[2] / distinct[1] == pytest.approx(2**language.law.exponent, rel=0.05)


def test_heaps_law_is_found_where_it_holds():
    draws = np.random.default_rng(0).pareto(1.0, 60_000) * 500  # tail exponent 2: vocabulary grows with the root
    law = fit_heaps([[str(int(word))] for word in draws], seed=0)
    assert law.exponent == pytest.approx(0.5, abs=0.08)
    assert (law.tokens, law.words) == (60_000, len(set(draws.astype(int))))
    assert law.expected(law.tokens) == pytest.approx(law.words, rel=law.deviation)
    assert law.deviation < 0.03


@pytest.mark.parametrize("texts", [[], [["a"]], [["a", "b"]] * 50])
def test_a_vocabulary_that_does_not_grow_has_no_law(texts):
    with pytest.raises(ValueError, match="too few to see a vocabulary grow"):
        fit_heaps(texts, seed=0)


def test_titles_without_a_tail_are_refused(frame):
    few = frame.groupby("category").head(2)
    with pytest.raises(ValueError, match="more titles, and more varied ones"):
        Language(few.assign(title=[f"mesa {'abcdefghijklmnopqrstuvwxyz'[i] * 3}" for i in range(len(few))]), (), seed=0)


def test_expected_number_of_distinct_draws_is_what_draws_hold():
    rng = np.random.default_rng(0)
    seen = [len(set(np.floor(40 * rng.pareto(0.8, 3000)))) for _ in range(20)]
    assert distinct_draws(3000, 40, 0.8) == pytest.approx(np.mean(seen), rel=0.02)


@given(st.sets(st.integers(0, 10**12), min_size=2, max_size=30))
def test_invented_words_differ_and_survive_cleaning(language, offsets):
    words = [language.word(len(language.words) + offset) for offset in offsets]
    assert len(set(words)) == len(words)
    assert clean_tokens(" ".join(word.capitalize() for word in words)) == words
    assert not set(words) & {*language.words, *STOP_WORDS}


def test_an_invented_word_gives_way_to_a_real_one(frame, language):
    first = language.word(len(language.words))
    other = Language(frame, {*STOP_WORDS, first}, seed=0)
    assert other.word(len(other.words)) == f"{first}x"


def test_subsets_have_the_courses_proportions():
    assert subset_rows(sum(FULL.values())) == FULL
    assert subset_rows(63_680) == {"train": 50_419, "validation": 12_605, "test": 656}
    with pytest.raises(ValueError, match="rows=99"):
        subset_rows(99)


def test_a_small_run_measures_every_stage_and_scores(first_run):
    entry, folder, said = first_run
    assert list(entry["stages"]) == [*BUILT, "training", "evaluation"]
    assert [line.split(":")[0] for line in said] == list(entry["stages"])
    for name, measures in entry["stages"].items():
        assert (measures["reused"], measures["titles"]) == (
            False,
            238 if name in ("dictionary", "training") else 300 if name in BUILT else 62,
        )
        assert measures["seconds"] > 0 < measures["titles_per_second"]
        assert measures["peak_mib"] > 10
        assert (measures["bytes"] > 0) == (name in BUILT)
    assert entry["rows"] == {"train": 238, "validation": 59, "test": 3}
    assert entry["source"]["sample"]
    assert len(entry["metrics"]) == 7
    assert all(math.isfinite(value) for value in entry["metrics"].values())
    assert entry["words"]["dictionary"] - 2 < entry["words"]["distinct"] < entry["words"]["tokens"]
    assert sorted(path.name.split("-")[0] for path in folder.iterdir()) == ["encoded", "titles"]


def test_a_second_run_says_that_it_reuses_and_scores_the_same(first_run):
    entry, folder, _ = first_run
    said = []
    again = scale.run(300, seed=3, folder=folder, say=said.append)
    assert said[0].startswith("encoded data reused: ")
    assert [line.split(":")[0] for line in said[1:]] == ["training", "evaluation"]
    assert again["metrics"] == entry["metrics"]
    assert {name for name, measures in again["stages"].items() if measures["reused"]} == set(BUILT)


def test_a_damaged_cache_is_refused(first_run, tmp_path):
    folder = first_run[1]
    values = next(folder.glob("encoded-*/train/values.npy"))
    whole = values.read_bytes()
    values.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(SealError, match=r"train.values\.npy is missing or damaged: delete that folder"):
            scale.run(300, seed=3, folder=folder, say=lambda line: None)
    finally:
        values.write_bytes(whole)


def test_entries_of_other_sizes_stay(tmp_path):
    path = tmp_path / "scale.json"
    for rows, peak in ((600, 1.0), (90, 2.0), (600, 3.0)):
        scale.merge_entry({"rows": {"train": rows - 10, "test": 10}, "peak_mib": peak}, path)
    content = json.loads(path.read_text())
    assert {rows: entry["peak_mib"] for rows, entry in content["sizes"].items()} == {"90": 2.0, "600": 3.0}
    assert list(content["sizes"]) == ["90", "600"]


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 2, "sizes": {}}', '{"schema": 1, "sizes": []}'])
def test_a_results_file_of_others_is_not_overwritten(tmp_path, text):
    path = tmp_path / "scale.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"scale\.json: no results of this command"):
        scale.merge_entry({"rows": {"train": 1}}, path)
    assert path.read_text() == text


def test_peak_memory_is_that_since_the_last_reset():
    if not scale.reset_peak():
        pytest.skip("this system does not reset the peak")
    before = scale.peak_mib()
    np.ones(2**26, dtype=np.uint8).sum()
    assert scale.peak_mib() > before + 48
    scale.reset_peak()
    assert scale.peak_mib() < before + 48


def test_the_command_prints_the_stages_and_keeps_them(first_run, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path))
    assert main(["scale", "--rows", "300", "--seed", "3", "--out", str(first_run[1])]) == 0
    out = capsys.readouterr().out
    assert "SYNTHETIC SAMPLE" in out
    assert "encoded data reused" in out
    assert all(any(line.startswith(name) for line in out.splitlines()) for name in (*BUILT, "training", "evaluation"))
    assert list(json.loads((tmp_path / "scale.json").read_text())["sizes"]) == ["300"]


def test_sizes_may_be_written_as_one_likes():
    assert [cli.number_of_rows(text) for text in ("600_000", "63680", "full")] == [600_000, 63_680, 6_182_780]
    for text in ("0", "-5", "many", "1e6", "50"):
        assert main(["scale", "--rows", text]) > 0
