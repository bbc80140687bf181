import gzip

import numpy as np
import pytest

from helpers.data import vectors
from helpers.data.corpora import load_sick
from helpers.data.sources import SourceError
from helpers.data.text import PADDING, UNKNOWN
from helpers.data.vectors import coverage, vector_table

SENTENCES = ["The dog barks", "A xylograph", "Paris"]
GLOVE = {"the": [1, 2], "dog": [3, 4], "A": [5, 6], "a": [7, 8]}
NEWS = {"dog": [9, 10, 11], "Paris": [12, 13, 14]}


def write(path, words):
    with gzip.open(path, "wt") as file:
        file.writelines(f"{word} {' '.join(map(str, vector))}\n" for word, vector in words.items())
    return path


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two tiny vector files in place of the excerpts; the whole ones are not to be had."""
    paths = {
        "glove-840b-sick": write(tmp_path / "glove.txt.gz", GLOVE),
        "googlenews-8k": write(tmp_path / "news.txt.gz", NEWS),
    }
    monkeypatch.setattr(vectors, "obtain_first", lambda whole, excerpt: (paths[excerpt], excerpt))


def vector(table, word):
    (row,) = table.reader.word_ids(word)
    return table.matrix[row].tolist()


@pytest.mark.parametrize(
    ("case", "the", "a"), [("exact", [0, 0], [5, 6]), ("fallback", [1, 2], [5, 6]), ("lower", [1, 2], [7, 8])]
)
def test_case_decides_which_vector_a_word_gets(files, case, the, a):
    table = vector_table("glove-840b", SENTENCES, case=case)
    assert (vector(table, "The"), vector(table, "A")) == (the, a)
    assert table.sources == ("glove-840b-sick",)
    assert not table.sample


def test_words_without_a_vector_get_zeros_the_mean_or_their_own_draw(files):
    zero, mean, drawn = (vector_table("glove-840b", SENTENCES, unknown=how) for how in ("zero", "mean", "random"))
    assert vector(zero, "barks") == [0, 0]
    assert vector(mean, "barks") == vector(mean, "unseen") == [4, 5]
    assert vector(drawn, "barks") != vector(drawn, "xylograph")  # their own
    assert vector(drawn, "unheard") == vector(drawn, "unseen") == drawn.matrix[UNKNOWN].tolist()  # one for all others
    for table in (zero, mean, drawn):
        assert (table.matrix[PADDING] == 0).all()
        assert not table.known[[PADDING, UNKNOWN]].any()
        assert table.known.sum() == len(GLOVE)
    again = vector_table("glove-840b", SENTENCES, unknown="random")
    assert np.array_equal(again.matrix, drawn.matrix)
    assert not np.array_equal(vector_table("glove-840b", SENTENCES, unknown="random", seed=1).matrix, drawn.matrix)


def test_two_files_stand_side_by_side(files):
    table = vector_table("glove-840b+googlenews", SENTENCES)
    assert vector(table, "dog") == [3, 4, 9, 10, 11]
    assert vector(table, "The") == [1, 2, 0, 0, 0]
    assert vector(table, "paris") == [0, 0, 12, 13, 14]
    assert table.sources == ("glove-840b-sick", "googlenews-8k")


def test_words_of_no_file_are_drawn_with_the_spread_of_each_file(files):
    sentences = [" ".join("abcdefghij"[i] + "qxz" + "abcdefghij"[j] for i in range(10) for j in range(10))]
    table = vector_table("glove-840b+googlenews", sentences, unknown="random", seed=4)
    drawn = table.matrix[~table.known][1:]
    assert len(drawn) == 101  # and UNKNOWN
    assert drawn[:, :2].std() == pytest.approx(np.std(list(GLOVE.values())), rel=0.15)
    assert drawn[:, 2:].std() == pytest.approx(np.std(list(NEWS.values())), rel=0.15)


def test_hyphenated_words_are_known_when_all_their_parts_are(files):
    table = vector_table("glove-840b", SENTENCES)
    assert table.known_words("the-dog dog-wug a dog") == [True, False, True, True]
    assert table.mean_vectors(["the-dog"]).tolist() == [[2, 3]]


def test_coverage_counts_types_and_tokens(files):
    found = coverage(vector_table("glove-840b", SENTENCES), ["The dog barks", "the dog"])
    assert found == {"types": 4, "tokens": 5, "types_known": 3 / 4, "tokens_known": 4 / 5}
    assert coverage(vector_table("glove-840b", SENTENCES), [""])["tokens_known"] == 0


def test_a_sentence_is_the_mean_of_its_words(files):
    table = vector_table("glove-840b", SENTENCES)
    assert table.mean_vectors(["the dog", ""]).tolist() == [[2, 3], [0, 0]]


def test_of_a_whole_file_the_frequent_words_and_those_of_the_sentences_are_read(tmp_path, monkeypatch):
    path = write(
        tmp_path / "whole.txt.gz", {"of": [1, 1], "dog": [2, 2], "Barks": [3, 3], "zebra": [4, 4], "rare": [5, 5]}
    )
    monkeypatch.setattr(vectors, "obtain_first", lambda whole, excerpt: (path, whole))
    monkeypatch.setattr(vectors, "MOST_FREQUENT", 1)
    table = vector_table("glove-840b", ["a dog barks"], lookup=["zebra"])
    assert set(table.reader.vocabulary.tokens[2:]) == {"of", "dog", "Barks", "zebra"}
    assert vector(table, "barks") == [3, 3]
    assert table.sources == ("glove-840b",)


def test_quick_reads_the_sample_and_says_so_where_full_stops(tmp_path, monkeypatch):
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setenv("DATA_CACHE", str(tmp_path))
    frame = load_sick()
    table = vector_table("glove-840b", frame["sentence_a"])
    assert table.sample
    assert coverage(table, frame["sentence_a"])["tokens_known"] > 0.9
    monkeypatch.setenv("PROFILE", "full")
    with pytest.raises(SourceError, match="glove"):
        vector_table("glove-840b", frame["sentence_a"])


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="vectors 'fasttext' is not one of glove-840b, googlenews"):
        vector_table("glove-840b+fasttext", [])
    with pytest.raises(ValueError, match="unknown 'drop' is not one of zero, random, mean"):
        vector_table("glove-840b", [], unknown="drop")
