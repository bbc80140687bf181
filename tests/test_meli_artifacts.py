"""Prepared titles: what they hold, that they are kept, verified and never mixed up."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import settings
from helpers.data.sources import SourceError
from helpers.data.text import PADDING, UNKNOWN, Vocabulary, clean_tokens, stopwords_es
from helpers.data.vectors import SETTINGS
from helpers.model.checkpoints import DESCRIPTION, TENSORS
from helpers.tasks import meli_titles
from helpers.tasks.meli_titles import ArtifactError, default_kind, encode_titles, prepared

ROWS = 240


@pytest.fixture(autouse=True)
def _sample(monkeypatch, tmp_path, tmp_path_factory):
    monkeypatch.setenv("DATA_CACHE", str(tmp_path_factory.getbasetemp() / "no_data"))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setenv("ARTIFACTS_DIR", str(tmp_path))
    monkeypatch.setitem(SETTINGS, "fasttext", SETTINGS["fasttext"] | {"bucket": 500})
    monkeypatch.setattr(meli_titles, "DIM", 10)


def no_build(*_):
    raise AssertionError("built again")


def test_titles_become_ids_of_the_training_words():
    made, frame, stop_words = prepared(1, ROWS), meli_titles.load(ROWS), stopwords_es()
    parts = meli_titles.split(frame, 1)
    np.testing.assert_array_equal(made.split.train, parts.train)
    train_words = {w for title in frame["title"].iloc[parts.train] for w in clean_tokens(title)} - stop_words
    assert set(made.vocabulary.tokens[2:]) == train_words
    assert made.vocabulary.tokens[:2] == ["<pad>", "<unk>"]
    assert len(made.tokens) == len(made.targets) == len(frame)
    assert made.tokens[0].dtype == made.targets.dtype == np.int64
    for row in (0, parts.test[0], len(frame) - 1):
        words = [w for w in clean_tokens(frame["title"][row]) if w not in stop_words]
        assert made.tokens[row].tolist() == ([made.vocabulary.index.get(w, UNKNOWN) for w in words] or [UNKNOWN])
        assert made.categories[made.targets[row]] == frame["category"][row]


def test_every_title_has_a_token_and_padding_is_never_one():
    made = prepared(1)
    assert made.tokens.lengths.min() >= 1
    assert made.tokens.take(np.arange(len(made.tokens)))[0].min() > PADDING
    assert all(UNKNOWN not in made.tokens[row] for row in made.split.train if len(made.tokens[row]) > 1)


def test_categories_are_numbered_by_appearance():
    made, frame = prepared(1), meli_titles.load()
    assert made.categories == frame["category"].drop_duplicates().tolist()


def test_rare_words_and_stop_words_as_configured():
    frequent = prepared(1, ROWS, min_count=3)
    counts = np.bincount(frequent.tokens.take(frequent.split.train)[0])
    assert 0 < len(frequent.vocabulary) < len(prepared(1, ROWS).vocabulary)
    assert counts[2 : len(frequent.vocabulary)].min() >= 3
    assert counts[UNKNOWN] > 0
    literal, skipped = prepared(1, ROWS, stop_words="unknown"), prepared(1, ROWS)
    assert literal.vocabulary.tokens == skipped.vocabulary.tokens
    assert literal.tokens.lengths.sum() > skipped.tokens.lengths.sum()
    with pytest.raises(ValueError, match="stop_words='keep' is not one of skip, unknown"):
        prepared(1, ROWS, stop_words="keep")


@given(st.lists(st.lists(st.sampled_from(["mesa", "para", "sofá", "nuevo"]), max_size=4), min_size=1, max_size=5))
def test_stop_words_are_left_out_or_unknown(titles):
    vocabulary, stop_words = Vocabulary(["mesa", "sofá"]), frozenset({"para"})
    skipped, literal = (encode_titles(titles, vocabulary, stop_words, mode) for mode in ("skip", "unknown"))
    for row, title in enumerate(titles):
        kept = [word for word in title if word != "para"]
        assert len(skipped[row]) == max(1, len(kept))
        assert len(literal[row]) == max(1, len(title))
        assert (literal[row] == UNKNOWN).sum() >= (skipped[row] == UNKNOWN).sum() - (not kept)


def test_what_is_on_disk_is_read_and_not_built_again(monkeypatch):
    first = prepared(2, ROWS)
    monkeypatch.setattr(meli_titles, "_encode", no_build)
    again = prepared(2, ROWS)
    assert again.folder == first.folder
    assert again.vocabulary.tokens == first.vocabulary.tokens
    assert again.categories == first.categories
    rows = np.arange(len(first.tokens))
    for mine, its in zip(first.tokens.take(rows), again.tokens.take(rows), strict=True):
        np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(first.targets, again.targets)


def test_other_settings_revision_tokens_or_stop_words_have_another_folder(monkeypatch):
    folders = {prepared(1, ROWS).folder, prepared(2, ROWS).folder, prepared(1, ROWS, min_count=2).folder}
    monkeypatch.setattr(meli_titles, "stopwords_es", lambda: frozenset({"para"}))
    folders.add(prepared(1, ROWS).folder)
    monkeypatch.setattr(meli_titles, "REVISION", 2)
    folders.add(prepared(1, ROWS).folder)
    monkeypatch.setattr(meli_titles, "clean_tokens", lambda title: title.split())
    folders.add(prepared(1, ROWS).folder)
    assert len(folders) == 6


@pytest.mark.parametrize("name", [TENSORS, DESCRIPTION])
def test_a_damaged_artifact_is_told(name):
    file = prepared(1, ROWS).folder / name
    if name == TENSORS:
        file.write_bytes(file.read_bytes()[:-1])
    else:
        content = json.loads(file.read_text("utf-8"))
        content["words"][0] = "cambiada"
        file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ArtifactError, match=r"artifact meli.* is damaged: delete that folder"):
        prepared(1, ROWS)


def test_a_build_that_fails_leaves_nothing(monkeypatch):
    monkeypatch.setattr(meli_titles, "_encode", no_build)
    with pytest.raises(AssertionError, match="built again"):
        prepared(1, ROWS)
    assert list(settings.artifacts_dir().rglob("*")) == []


@pytest.mark.parametrize("kind", ["fasttext", "word2vec"])
def test_trained_vectors_fit_the_dictionary_and_are_kept(kind, monkeypatch):
    made = prepared(1, ROWS)
    matrix, known = made.vectors(kind), made.known(kind)
    assert matrix.shape == (len(made.vocabulary), 10)
    assert matrix.dtype == np.float32
    assert not matrix[PADDING].any()
    assert matrix[UNKNOWN].any()
    assert known.tolist() == [False, False, *[True] * (len(made.vocabulary) - 2)]
    monkeypatch.setattr(meli_titles, "train_vectors", no_build)
    np.testing.assert_array_equal(made.vectors(kind), matrix)


def test_a_training_that_can_be_questioned_leaves_the_same_matrix(monkeypatch):
    made = prepared(1, ROWS)
    model = made.trained("word2vec")
    monkeypatch.setattr(meli_titles, "train_vectors", no_build)
    np.testing.assert_array_equal(made.vectors("word2vec")[2:], model.lookup(made.vocabulary.tokens[2:])[1])


def test_vectors_are_trained_on_the_training_titles_alone(monkeypatch):
    made, seen = prepared(1, ROWS), []
    monkeypatch.setattr(meli_titles, "train_vectors", lambda texts, kind, **_: seen.append(texts) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made.vectors("word2vec")
    frame = meli_titles.load(ROWS)
    kept = [[w for w in clean_tokens(frame["title"][row]) if w not in stopwords_es()] for row in made.split.train]
    assert seen == [kept]


def test_sbw_comes_first_where_it_is_at_hand(monkeypatch, tmp_path):
    made = prepared(1, ROWS)
    assert default_kind() == "fasttext"
    with pytest.raises(SourceError, match="SBW"):
        made.vectors("sbw")
    word, *others = made.vocabulary.tokens[2:]
    file = tmp_path / "mirror" / "vectors" / "SBW-vectors-300-min5.txt.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(gzip.compress(f"2 3\n{word.capitalize()} 1 2 3\notra_cosa 4 5 6\n".encode()))
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))
    assert default_kind() == "sbw"
    assert made.vectors()[2].tolist() == [1, 2, 3]
    assert made.known().nonzero()[0].tolist() == [2]
    assert others


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind 'glove' is not one of sbw, word2vec, fasttext"):
        prepared(1, ROWS).vectors("glove")
