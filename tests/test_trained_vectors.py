"""Vectors trained on a corpus: repeatable, right in kind, able or not to give unseen words a vector."""

import numpy as np
import pytest

from helpers.data.vectors import EPOCHS, SETTINGS, embedding_matrix, train_vectors

SHELVES = [["silla", "gamer", "reclinable"], ["silla", "oficina", "reclinable"], ["silla", "gamer", "ergonomica"]]
FRIDGES = [["heladera", "freezer", "frost"], ["heladera", "exhibidora", "frost"], ["heladera", "freezer", "blanca"]]
TEXTS = (SHELVES + FRIDGES) * 40


@pytest.fixture(autouse=True)
def _few_buckets(monkeypatch):
    monkeypatch.setitem(SETTINGS, "fasttext", SETTINGS["fasttext"] | {"bucket": 500})


def trained(kind, **settings):
    return train_vectors(TEXTS, kind, **{"dim": 12, "seed": 1, "epochs": 5} | settings)


@pytest.mark.parametrize("kind", SETTINGS)
def test_same_seed_same_vectors_another_seed_others(kind):
    words = ["silla", "freezer"]
    first, again, other = (trained(kind, seed=seed).lookup(words)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("kind", SETTINGS)
def test_words_of_the_same_titles_are_near(kind):
    vectors = trained(kind, epochs=60)
    cosines = dict(vectors.neighbours("heladera", 20))
    assert "heladera" not in cosines
    assert cosines["freezer"] + cosines["frost"] > cosines["gamer"] + cosines["silla"]
    assert len(vectors.neighbours("heladera", 20, among=3)) == 2


def test_only_fasttext_gives_an_unseen_word_a_vector():
    word2vec, fasttext = trained("word2vec"), trained("fasttext")
    for vectors in (word2vec, fasttext):
        assert "heladera" in vectors
        assert "heladeras" not in vectors
    assert not word2vec.has("heladeras")
    assert word2vec.lookup(["heladeras", "silla"])[0] == ["silla"]
    words, matrix = fasttext.lookup(["heladeras", "silla", "heladeras"])
    assert words == ["heladeras", "silla"]
    assert matrix.shape == (2, 12)
    assert matrix.dtype == np.float32
    assert fasttext.neighbours("heladeras", 1)[0][0] == "heladera"
    with pytest.raises(KeyError, match="was not seen in training, and word2vec cannot compose it"):
        word2vec.neighbours("heladeras")


def test_vectors_are_gensims_skip_grams_with_negative_sampling():
    from gensim.models import FastText, Word2Vec

    common = {"vector_size": 12, "seed": 1, "epochs": 5, "sg": 1, "negative": 5, "sample": 1e-3, "min_count": 1}
    common |= {"min_alpha": 1e-4, "workers": 1}
    reference = Word2Vec(TEXTS, alpha=0.1, window=10, **common).wv
    np.testing.assert_array_equal(trained("word2vec").keyed.vectors, reference.vectors)
    reference = FastText(TEXTS, alpha=0.2, window=5, min_n=4, max_n=5, bucket=500, **common).wv
    np.testing.assert_array_equal(trained("fasttext").keyed.vectors, reference.vectors)
    assert EPOCHS == {"word2vec": 15, "fasttext": 10}


def test_a_word_without_n_grams_has_no_vector():
    fasttext = trained("fasttext")
    assert not fasttext.has("x")
    assert fasttext.has("xy")  # "<xy>" is one of four letters
    assert fasttext.lookup(["x", ""])[1].shape == (0, 12)


def test_lookup_fits_an_embedding_matrix():
    vectors = trained("word2vec")
    tokens = ["<pad>", "<unk>", "silla", "nunca"]
    matrix, known = embedding_matrix(tokens, *vectors.lookup(tokens), seed=0)
    assert known.tolist() == [False, False, True, False]
    np.testing.assert_array_equal(matrix[2], vectors.keyed["silla"])


def test_faults_are_told():
    with pytest.raises(ValueError, match="kind 'glove' is not one of word2vec, fasttext"):
        trained("glove")
    with pytest.raises(ValueError, match="2 texts hold no word: nothing to train word2vec on"):
        train_vectors([[], []], "word2vec", seed=0)
