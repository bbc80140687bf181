import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.model.explain import BETWEEN_SPACES, Piece, occlusion, relative, strongest, word_occlusion

COSTS = {"funda": 0.5, "roja": 0.25, "no": -0.125}


def answer(texts):
    """The sum of what each word adds, so that the weights are known."""
    return np.array([sum(cost for word, cost in COSTS.items() if word in text) for text in texts])


def test_a_word_weighs_what_the_answer_loses_without_it():
    pieces = word_occlusion("¡funda roja, no!", answer)
    assert pieces == [
        Piece("¡", None), Piece("funda", 0.5), Piece(" ", None), Piece("roja", 0.25), Piece(", ", None),
        Piece("no", -0.125), Piece("!", None),
    ]  # fmt: skip
    assert strongest(pieces) == Piece("funda", 0.5)
    assert [piece.weight for piece in relative(pieces) if piece.weight is not None] == [1, 0.5, -0.25]


def test_of_a_repeated_word_only_one_place_is_left_out():
    asked = []
    word_occlusion("a b a", lambda texts: asked.extend(texts) or np.zeros(len(texts)))
    assert asked == ["a b a", " b a", "a  a", "a b "]


def test_words_may_be_cut_at_spaces_alone_and_only_the_first_are_weighed():
    pieces = word_occlusion("p/funda, roja no", answer, words=BETWEEN_SPACES, max_words=2)
    assert pieces == [Piece("p/funda,", 0.5), Piece(" ", None), Piece("roja", 0.25), Piece(" no", None)]


def test_each_piece_adds_what_the_score_loses_without_it():
    values = np.array([3.0, -1.0, 0.0])
    assert occlusion(3, lambda kept: (kept * values).sum(1)).tolist() == [3, -1, 0]
    assert occlusion(0, lambda kept: kept.sum(1)).tolist() == []


def test_where_nothing_weighs_nothing_stands_out():
    assert strongest(word_occlusion("?!", answer)) is None
    pieces = word_occlusion("otra cosa", answer)
    assert relative(pieces) == [Piece("otra", None), Piece(" ", None), Piece("cosa", None)]
    most = Piece("no", -0.5)
    assert strongest([Piece("a", 0.25), most, Piece("b", 0.5)]) == most


def test_an_answer_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"2 inputs were to be scored, and the answer has the shape \(2, 3\)"):
        word_occlusion("funda", lambda texts: np.zeros((len(texts), 3)))


@given(st.text(max_size=60), st.integers(0, 5), st.sampled_from([{}, {"words": BETWEEN_SPACES}]))
def test_the_pieces_of_any_text_join_to_it(text, max_words, cut):
    pieces = word_occlusion(text, lambda texts: np.arange(len(texts)), max_words=max_words, **cut)
    assert "".join(piece.text for piece in pieces) == text
    assert sum(piece.weight is not None for piece in pieces) <= max_words
    assert all(piece.weight is None or -1 <= piece.weight <= 1 for piece in relative(pieces))
