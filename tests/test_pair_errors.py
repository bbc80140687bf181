import numpy as np
import pandas as pd
import pytest
import torch

from helpers.data.text import SentenceReader, Vocabulary
from helpers.lessons import sick as lesson
from helpers.model.networks import RecurrentEncoder, TokenEmbedding
from helpers.model.siamese import EuclideanHead, SiameseEncoder, SiameseNetwork

PAIRS = {
    "negation": ("There is no dog in the park", "A dog is running in the park"),
    "order": ("The man is chasing the dog", "The dog is chasing the man"),
    "numbers": ("Two dogs are playing", "Three dogs are playing"),
    "one_word": ("A boy is eating an apple", "The boy is eating an orange"),
    "passive": ("A man is slicing a potato", "A potato is being sliced by a man"),
    "other": ("A woman is singing", "Kids sleep at home"),
}


def frame_of(*pairs, **columns):
    return pd.DataFrame(pairs, columns=["sentence_a", "sentence_b"]).assign(**columns)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_phenomenon_is_found_in_either_order(name, swapped):
    pair = PAIRS[name][::-1] if swapped else PAIRS[name]
    found = lesson.phenomena(frame_of(pair)).iloc[0]
    assert found[name]
    assert found["other"] == (name == "other")


@pytest.mark.parametrize(
    ("pair", "name"),
    [
        (("No dog runs", "Nobody runs"), "negation"),
        (("The dog runs", "A dog is running and barks"), "order"),
        (("The man is standing by a tree", "A man is near a tree"), "passive"),
        (("2 dogs", "2 cats"), "numbers"),
        (("The dog runs", "A dog runs"), "one_word"),
    ],
)
def test_what_only_looks_like_a_phenomenon_is_none(pair, name):
    assert not lesson.phenomena(frame_of(pair)).iloc[0][name]


def test_a_participle_before_by_is_a_passive_without_being():
    assert lesson.phenomena(frame_of(("The ball is kicked by a boy", "A boy kicks the ball"))).iloc[0]["passive"]


def test_errors_by_phenomenon_are_means_over_its_pairs():
    frame = frame_of(PAIRS["negation"], PAIRS["other"], PAIRS["other"], relatedness=[3.0, 1.0, 2.0])
    frame = frame.assign(prediction=[4.0, 0.5, 2.5])
    table = lesson.by_phenomenon(frame)
    assert table["pairs"].to_dict() == {"niega una sola de las dos": 1, "ninguno de los anteriores": 2, "todos": 3}
    assert table["bias"].tolist() == pytest.approx([1, 0, 1 / 3])
    assert table["absolute_error"].tolist() == pytest.approx([1, 0.5, 2 / 3])
    assert table["pearson"].isna().tolist() == [True, True, False]


def test_worst_pairs_come_first_with_their_phenomena():
    frame = frame_of(PAIRS["other"], PAIRS["negation"], PAIRS["order"], relatedness=[3.0, 4.5, 2.0])
    frame = frame.assign(prediction=[3.1, 2.0, 4.0], entailment="NEUTRAL")
    frame.index = [7, 8, 9]
    worst = lesson.worst_pairs(frame, 2)
    assert worst.index.tolist() == [8, 9]
    assert worst["error"].tolist() == pytest.approx([-2.5, 2.0])
    assert worst["phenomena"].tolist() == ["niega una sola de las dos", "mismas palabras plenas, en otro orden"]
    assert lesson.worst_pairs(frame)["phenomena"].iloc[-1] == "—"


@pytest.fixture
def network():
    torch.manual_seed(0)
    vectors = np.vstack([np.zeros((2, 4)), np.eye(4), np.ones((1, 4))]).astype(np.float32)
    reader = SentenceReader(Vocabulary(["dog", "cat", "shirt", "blue", "runs"]))
    embedding = TokenEmbedding(len(vectors), 4, vectors=vectors, freeze=True)
    encoder = SiameseEncoder(embedding, RecurrentEncoder(4, 3, bidirectional=True), dropout=0.5)
    return SiameseNetwork(encoder, EuclideanHead(1.0)), reader


def test_word_similarities_are_cosines_of_vectors_and_states(network):
    first, second, vectors, states = lesson.word_similarities(*network, "Dog runs", "a cat runs")
    assert (first, second) == (["Dog", "runs"], ["a", "cat", "runs"])
    assert vectors == pytest.approx(np.array([[0, 0, 0.5], [0, 0.5, 1]]), abs=1e-6)
    assert states.shape == (2, 3)
    assert np.abs(states).max() <= 1 + 1e-9
    assert network[0].training
    same = lesson.word_similarities(*network, "dog runs", "dog runs")[3]
    assert np.diag(same) == pytest.approx([1, 1])


def test_swapped_sentences_give_the_maps_turned_over(network):
    there, back = (lesson.word_similarities(*network, *pair) for pair in (("dog", "cat runs"), ("cat runs", "dog")))
    assert there[2] == pytest.approx(back[2].T)
    assert there[3] == pytest.approx(back[3].T, abs=1e-6)


def test_hyphenated_and_empty_sentences_have_a_name_for_every_row(network):
    first, second, vectors, _ = lesson.word_similarities(*network, "blue-shirt dog", "")
    assert first == ["blue", "shirt", "dog"]
    assert second == ["(vacía)"]
    assert vectors.shape == (3, 1)
    assert not vectors.any()
