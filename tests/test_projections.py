from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st

from helpers.lessons import tsne as lesson


def blobs(count=4, size=25, dim=8, seed=0):
    """(vectors, the blob of each): well apart, so that whatever keeps neighbours keeps blobs."""
    rng = np.random.default_rng(seed)
    blob = np.repeat(np.arange(count), size)
    return 10 * np.eye(count, dim)[blob] + rng.normal(0, 0.5, (len(blob), dim)), blob


@pytest.fixture(scope="module")
def vectors():
    return blobs()


@pytest.fixture(scope="module")
def pictures(vectors):
    return {(p, s): lesson.tsne(vectors[0], perplexity=p, seed=s, init="random") for p, s in ((5, 0), (20, 1))}


def test_tsne_repeats_by_seed_and_keeps_neighbours(vectors, pictures):
    features, blob = vectors
    again = lesson.tsne(features, perplexity=5, seed=0, init="random")
    assert np.array_equal(again, pictures[5, 0])
    assert not np.array_equal(lesson.tsne(features, perplexity=5, seed=1, init="random"), again)
    near = lesson.nearest(again, 5)
    assert (blob[near] == blob[:, None]).mean() > 0.95


def test_pca_holds_the_largest_variance(vectors):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 5)) * [9, 4, 0.1, 0.1, 0.1] + 3
    picture, shares = lesson.pca(features)
    assert picture.shape == (200, 2)
    assert abs(np.corrcoef(picture[:, 0], features[:, 0])[0, 1]) > 0.99
    assert 1 > shares[0] > shares[1] > 0
    assert shares.sum() > 0.99


def test_directions_make_near_what_lies_the_same_way_from_the_middle():
    features = np.array([[9.0, 1.0], [5.0, 1.1], [-7.0, 0.0], [-7.0, -2.1]]) + np.array([100, 200])
    ways = lesson.directions(features)
    assert np.linalg.norm(ways, axis=1) == pytest.approx([1, 1, 1, 1])
    assert lesson.nearest(ways, 1).ravel().tolist() == [1, 0, 3, 2]
    assert lesson.directions(features * 3 - 50) == pytest.approx(ways)
    assert (lesson.directions(np.ones((3, 2))) == 0).all()


def test_shuffled_keeps_each_column_and_breaks_what_binds_them(vectors):
    features, _ = vectors
    mixed = lesson.shuffled(features, seed=3)
    assert np.array_equal(np.sort(mixed, axis=0), np.sort(features, axis=0))
    assert np.array_equal(mixed, lesson.shuffled(features, seed=3))
    real, none = (lesson.silhouettes(part, [4], seed=0)[4] for part in (features, mixed))
    assert real > 0.8 > none + 0.2


def test_nearest_leaves_the_row_itself_out():
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert lesson.nearest(line, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"k={k} neighbours of 4 rows"):
            lesson.nearest(line, k)


def test_neighbour_recall_is_the_mean_over_rows_with_partners():
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    # 0 finds 1 and not 3; 1 finds 0; 3 finds 2 alone, and so not 0; both directions of a pair count once
    found = lesson.neighbour_recall(line, [(0, 1), (1, 0), (3, 0), (2, 2)], k=1)
    assert found == {"recall": pytest.approx((0.5 + 1 + 0) / 3), "chance": pytest.approx(1 / 3), "rows": 3}
    with pytest.raises(ValueError, match="no row has a partner"):
        lesson.neighbour_recall(line, [(2, 2)], k=1)


@runs(max_examples=10, deadline=None)
@given(st.integers(0, 999), st.integers(4, 30), st.integers(1, 3))
def test_recall_and_overlap_of_all_neighbours_are_whole(seed, n, k):
    rng = np.random.default_rng(seed)
    features, other = rng.normal(size=(2, n, 3))
    everyone = lesson.neighbour_recall(features, [(0, i) for i in range(1, n)], k=n - 1)
    assert everyone["recall"] == everyone["chance"] == 1
    assert lesson.neighbourhood_overlap(features, features, k=k) == 1
    shared = lesson.neighbourhood_overlap(features, other, k=k)
    assert shared == lesson.neighbourhood_overlap(other, features, k=k)
    assert 0 <= shared <= 1


def test_kmeans_finds_the_blobs_and_numbers_them_by_size():
    features = np.concatenate([np.full((2, 2), 9.0), np.zeros((5, 2)), np.full((3, 2), -9.0)])
    features += np.random.default_rng(0).normal(0, 0.01, features.shape)
    assert lesson.kmeans(features, 3, seed=0).tolist() == [2, 2, 0, 0, 0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="n_samples"):
        lesson.kmeans(features, 11, seed=0)


@pytest.mark.filterwarnings("ignore:Graph is not fully connected")  # the rings are what it must find
def test_communities_hang_together_where_kmeans_sees_no_middle():
    angles = [np.linspace(0, 2 * np.pi, n, endpoint=False) for n in (60, 140)]
    rings = [r * np.stack([np.cos(a), np.sin(a)], axis=1) for r, a in zip((1.0, 5.0), angles, strict=True)]
    features, inner = np.concatenate(rings), np.arange(200) < 60
    assert lesson.communities(features, 2, seed=0, neighbours=4).tolist() == inner.astype(int).tolist()
    assert lesson.kmeans(features, 2, seed=0).tolist() != inner.astype(int).tolist()
    steady = lesson.stability(features, 2, seeds=range(3), cluster=partial(lesson.communities, neighbours=4))
    assert steady == 1
    with pytest.raises(ValueError, match="more than there are"):
        lesson.communities(features[:5], 2, seed=0)


def test_silhouettes_are_highest_at_the_true_number(vectors):
    found = lesson.silhouettes(vectors[0], [2, 4, 9], seed=0)
    assert max(found, key=found.get) == 4


def test_clusters_that_are_there_are_stable(vectors):
    features, _ = vectors
    noise = np.random.default_rng(0).normal(size=features.shape)
    real, none = (lesson.stability(part, 4, seeds=range(3)) for part in (features, noise))
    assert real == pytest.approx(1)
    assert none < 0.9


def test_telling_words_are_frequent_here_and_not_everywhere():
    texts = ["a man plays guitar", "a man plays a guitar loudly", "a man rides horses", "the man rides a horse"]
    found = lesson.telling_words(texts, np.array([0, 0, 1, 1]), top=2)
    assert found == {0: ["guitar", "plays"], 1: ["rides", "horse"]}
    assert "plays" not in lesson.telling_words(texts, np.array([0, 0, 1, 1]), stop_words={"plays"})[0]
    assert lesson.telling_words(["same word", "same word"], np.array([0, 1])) == {0: [], 1: []}


def test_cluster_table_has_a_row_per_cluster(vectors):
    features, blob = vectors
    table = lesson.cluster_table(features, blob, {0: ["x", "y"], 1: [], 2: ["z"], 3: ["w"]})
    assert table["size"].tolist() == [25] * 4
    assert table["words"].tolist() == ["x, y", "", "z", "w"]
    assert table["silhouette"].min() > 0.7


def test_picture_facts_tell_a_faithful_picture_from_noise(vectors, pictures):
    features, blob = vectors
    noise = np.random.default_rng(0).normal(size=(len(features), 2))
    facts = lesson.picture_facts(features, pictures | {"noise": noise}, blob, seed=0)
    assert facts.loc["noise", "trustworthiness"] < 0.6 < 0.9 < facts["trustworthiness"].iloc[0]
    assert facts.loc["noise", "overlap"] < 0.2 < facts["overlap"].iloc[0]
    assert facts["adjusted_rand"].tolist()[:2] == pytest.approx([1, 1])
    assert abs(facts.loc["noise", "adjusted_rand"]) < 0.1


def test_agreement_has_a_row_for_any_two_pictures(vectors, pictures):
    noise = np.random.default_rng(0).normal(size=(len(vectors[0]), 2))
    table = lesson.agreement(pictures | {"noise": noise}, 4, seed=0)
    assert list(zip(table["first"], table["second"], strict=True)) == [
        ((5, 0), (20, 1)), ((5, 0), "noise"), ((20, 1), "noise"),
    ]  # fmt: skip
    assert table["overlap"].iloc[0] > 0.4 > table["overlap"].iloc[1]
    assert table["adjusted_rand"].iloc[0] == pytest.approx(1)


def test_together_compares_with_all_pairs():
    labels = np.array([0, 0, 1, 1])
    assert lesson.together(labels, [(0, 1), (0, 2)]) == {"share": 0.5, "chance": pytest.approx(1 / 3)}
    assert np.isnan(lesson.together(labels, [])["share"])


def test_names_that_share_a_word():
    names = ["CELLPHONE_COVERS", "BED_COVERS", "WALL_LAMPS", "TABLE_AND_WALL", "AND"]
    assert lesson.sharing_a_word(names, ignored={"and"}).tolist() == [[0, 1], [2, 3]]
    assert lesson.sharing_a_word(["A", "B"]).shape == (0, 2)
