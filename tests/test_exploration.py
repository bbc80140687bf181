import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.preprocessing import normalize

from helpers.lessons import eda as lesson

TITLES = pd.Series(
    ["silla de madera", "silla de pino", "mesa de madera", "mesa de pino", "auto rojo", "auto azul", "auto de carrera"]
)
LABELS = pd.Series(["SILLAS", "SILLAS", "MESAS", "MESAS", "AUTOS", "AUTOS", "AUTOS"])
CODES = np.array([0, 0, 1, 1, 2, 2, 2])


def unit_rows(seed, rows=12, columns=9):
    matrix = sparse.random(rows, columns, density=0.4, random_state=seed, format="csr")
    return normalize(matrix)


def test_columns_are_described_with_nulls_and_empty_values():
    frame = pd.DataFrame({"title": ["a", "", None], "ids": [[1, 2], [], [1, 2]], "size": [3, 3, 3]})
    table = lesson.describe_columns(frame)
    assert list(table.index) == ["title", "ids", "size"]
    assert table["nulls"].tolist() == [1, 0, 0]
    assert table["empty"].tolist() == [1, 1, 0]
    assert table["distinct"].tolist() == [2, 2, 1]
    assert table["value"].tolist() == ["str", "list[int]", "int64"]


def test_balance_is_one_where_all_categories_tie_and_falls_where_they_do_not():
    even = lesson.balance(pd.Series(["a", "b"] * 5))
    uneven = lesson.balance(pd.Series(["a"] * 9 + ["b"]))
    assert even["evenness"] == pytest.approx(1)
    assert even["ratio"] == 1
    assert uneven["evenness"] == pytest.approx(0.469, abs=1e-3)  # 0.9 log2(0.9) + 0.1 log2(0.1), by hand
    assert (uneven["largest"], uneven["smallest"], uneven["ratio"]) == (9, 1, 9)
    assert uneven["majority_share"] == pytest.approx(0.9)


def test_blocks_are_the_runs_of_equal_labels():
    runs = lesson.blocks(pd.Series(["a", "a", "b", "a"], index=[7, 8, 9, 10]))
    assert runs.to_dict("list") == {"label": ["a", "b", "a"], "start": [0, 2, 3], "rows": [2, 1, 1]}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_blocks_give_the_rows_back(labels):
    runs = lesson.blocks(pd.Series(labels))
    assert [label for label, rows in zip(runs["label"], runs["rows"], strict=True) for _ in range(rows)] == labels
    assert not (runs["label"] == runs["label"].shift()).any()


def test_repeats_are_told_apart_inside_and_across_subsets():
    keys = pd.Series(["x", "x", "y", "y", "z"])
    subsets = pd.Series(["train", "train", "train", "test", "test"])
    labels = pd.Series(["A", "A", "A", "B", "A"])
    table = lesson.repeats(keys, subsets, labels)
    assert table.loc["train"].tolist() == [3, 2, 2, 1, 1]
    assert table.loc["test"].tolist() == [2, 2, 0, 1, 1]
    assert list(table.columns) == ["rows", "distinct", "inside", "across", "conflict"]


@pytest.mark.parametrize("slope", [-1.0, -0.6])
def test_zipf_slope_of_a_power_law_is_its_exponent(slope):
    counts = pd.Series(1e6 * np.arange(1, 3001) ** slope)
    assert lesson.zipf_slope(counts) == pytest.approx(slope, abs=1e-6)


def test_vocabulary_grows_to_all_distinct_words_and_is_seeded():
    tokens = [["a", "b"], ["a"], ["c", "a", "d"]] * 60
    growth = lesson.vocabulary_growth(tokens, seed=1)
    assert growth["read"].iloc[-1] == 360
    assert growth["distinct"].iloc[-1] == 4
    assert growth["distinct"].is_monotonic_increasing
    assert growth.equals(lesson.vocabulary_growth(tokens, seed=1))


def test_category_words_count_titles_not_occurrences():
    table = lesson.category_words(pd.Series(["silla silla roja", "Silla", "mesa"]), pd.Series(["S", "S", "M"]))
    assert table.names.tolist() == ["S", "M"]
    assert table.titles.tolist() == [2, 1]
    assert lesson.frequent_words(table, "S", k=2).to_dict() == {"silla": 1.0, "roja": 0.5}


def test_telling_words_leave_out_what_every_category_has():
    table = lesson.category_words(TITLES, LABELS)
    profiles = lesson.word_profiles(table)
    assert lesson.frequent_words(table, "SILLAS", k=1).index[0] == "de"
    assert lesson.telling_words(table, profiles, "SILLAS", k=1).index[0] == "silla"
    shared = lesson.telling_words(table, profiles, "SILLAS", "MESAS", k=len(table.words))
    assert set(shared[shared > 0].index) == {"de", "madera", "pino"}
    assert shared.sum() == pytest.approx(lesson.profile_similarity(profiles)[0, 1])


def test_similarity_is_symmetric_and_puts_furniture_together():
    table = lesson.category_words(TITLES, LABELS)
    similarity = lesson.profile_similarity(lesson.word_profiles(table))
    assert np.allclose(similarity, similarity.T)
    assert np.allclose(np.diag(similarity), 1)
    pairs = lesson.closest_pairs(similarity, table.names)
    assert pairs.iloc[0, :2].tolist() == ["SILLAS", "MESAS"]
    assert len(pairs) == 3
    assert pairs["similarity"].is_monotonic_decreasing


def test_cohesion_is_the_mean_cosine_between_titles():
    counts = lesson.word_matrix(pd.Series(["rojo auto", "rojo auto", "pan", "sol", "solo"]))
    assert lesson.cohesion(counts, np.array([0, 0, 1, 1, 2])) == pytest.approx([1, 0, 0], abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 50), st.integers(1, 5), st.integers(1, 20))
def test_neighbours_are_those_of_the_full_cosine_matrix(seed, k, block):
    corpus, queries = unit_rows(seed), unit_rows(seed + 1, rows=7)
    rows, cosines = lesson.neighbours(queries, corpus, k, block)
    full = (queries @ corpus.T).toarray()
    assert rows.shape == cosines.shape == (7, k)
    assert np.allclose(cosines, -np.sort(-full, axis=1)[:, :k])
    found = cosines > 0
    assert np.allclose(np.take_along_axis(full, rows, 1)[found], cosines[found])


def test_neighbours_break_ties_by_row_number():
    corpus = sparse.csr_matrix(np.array([[1.0, 0], [0, 1], [1, 0], [1, 0]]))
    rows, _ = lesson.neighbours(sparse.csr_matrix([[1.0, 0]]), corpus, 2)
    assert rows.tolist() == [[0, 2]]


def test_classifiers_know_the_word_that_tells():
    counts = normalize(lesson.word_matrix(TITLES))
    train, query = counts[[0, 2, 4, 5]], counts[[1, 3, 6]]
    assert lesson.centroid_labels(train, CODES[[0, 2, 4, 5]], query)[:, 0].tolist() == [0, 1, 2]
    assert lesson.neighbour_labels(train, CODES[[0, 2, 4, 5]], query, k=1)[:, 0].tolist() == [0, 1, 2]
    ranked = lesson.centroid_labels(train, CODES[[0, 2, 4, 5]], query, 3)
    assert [sorted(row) for row in ranked.tolist()] == [[0, 1, 2]] * 3


def test_votes_outweigh_the_single_nearest():
    train = normalize(sparse.csr_matrix([[1.0, 0.1], [1, 1], [1, 1.1]]))
    labels, query = np.array([0, 1, 1]), normalize(sparse.csr_matrix([[1.0, 0.2]]))
    assert lesson.neighbour_labels(train, labels, query, k=1)[0, 0] == 0
    assert lesson.neighbour_labels(train, labels, query, k=3)[0, 0] == 1


def test_twins_are_left_in_and_taken_out_of_train():
    texts = pd.Series(["raro único", "silla roja", "mesa azul", "raro único", "silla verde", "mesa gris"])
    labels, train, test = np.array([1, 0, 1, 1, 0, 1]), np.array([0, 1, 2]), np.array([3, 4, 5])
    seen = []

    def predict(matrix, given_labels, queries):
        seen.append(matrix.shape[0])
        return lesson.neighbour_labels(matrix, given_labels, queries, k=1)

    scores = lesson.twin_effect(lesson.word_matrix(texts), labels, texts, train, test, predict)
    assert seen == [3, 2]
    table = pd.DataFrame(scores).set_index(["group", "twins_in_train"])
    assert table["rows"].tolist() == [1, 2, 3] * 2
    assert table.loc[("with_twin", True), "accuracy"] == 1
    assert table.loc[("with_twin", False), "accuracy"] == 0  # nothing left that looks like it: the first label
    assert table.loc[("without_twin", True), "accuracy"] == table.loc[("without_twin", False), "accuracy"] == 1


def test_out_of_fold_never_sees_the_row_itself():
    texts = pd.concat([TITLES, TITLES + " nueva"], ignore_index=True)
    labels = np.tile(CODES, 2)
    halves = np.arange(7), np.arange(7, 14)
    predicted = lesson.out_of_fold(texts, labels, [halves, halves[::-1]])
    assert predicted["neighbours"].tolist() == predicted["centroid"].tolist() == labels.tolist()
    assert predicted["nearest"].tolist() == [*range(7, 14), *range(7)]
    assert predicted["similarity"].between(0.3, 1).all()
    assert (predicted["rival"] != predicted["neighbours"]).all()
