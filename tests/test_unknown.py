"""Words that a sentence reader cannot read."""

import pytest

from helpers.data.text import SentenceReader, Vocabulary

READER = SentenceReader(Vocabulary(["a", "Dog", "puppy", "pyramid", "shaped", "n't", "is"]), "fallback")


@pytest.mark.parametrize(
    ("sentences", "unknown"),
    [
        (["a Dog isn't a puppy."], []),
        (["A PUPPY", "a puppy"], []),  # found in another spelling
        (["a wug is", "is a Wug a wug?"], ["wug", "Wug"]),
        (["a pyramid-shaped puppy"], []),  # read by its parts
        (["a pyramid-like puppy"], ["pyramid-like"]),
        (["", "?!"], []),
        (["a 😀 puppy"], []),
    ],
)
def test_unknown_words_are_those_without_a_vector_in_any_spelling(sentences, unknown):
    assert READER.unknown(*sentences) == unknown


def test_a_word_is_unknown_just_where_the_model_reads_it_as_such():
    for word in ("puppy", "wug", "Puppy", "pyramid-shaped", "x-y"):
        assert (READER.unknown(word) == [word]) == (1 in READER.ids(word).tolist())
