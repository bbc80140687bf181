"""Which words an answer rests on: how far it falls when one of them is left out.

Occlusion (Zeiler and Fergus 2014, arXiv:1311.2901; for words Li, Monroe and Jurafsky 2016, arXiv:1612.08220): it asks
the model itself and nothing else, whatever it is made of.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

WORDS = re.compile(r"\w+")
BETWEEN_SPACES = re.compile(r"\S+")
MAX_WORDS = 60  # of a text that are left out in turn


class Piece(NamedTuple):
    """A part of a text; `weight` is what the answer loses without it, None where it was not left out."""

    text: str
    weight: float | None


def occlusion(
    text: str, answer: Callable[[Sequence[str]], np.ndarray], *, words: re.Pattern = WORDS, max_words: int = MAX_WORDS
) -> list[Piece]:
    """Cut a text at its words and weigh each: the answer to the whole text minus the answer to the text without it.

    Args:
        answer: from n texts to (n,) numbers, the probability of one class, say; called once, with the whole text first.
        words: what counts as a word.
        max_words: words beyond this many are not weighed.

    Returns:
        Pieces that joined are the text. A negative weight: without the word the answer rises.

    Raises:
        ValueError: `answer` does not give one number per text.
    """
    spans = [match.span() for match in words.finditer(text)][:max_words]
    texts = [text, *(text[:start] + text[end:] for start, end in spans)]
    answers = np.asarray(answer(texts), dtype=float)
    if answers.shape != (len(texts),):
        raise ValueError(f"{len(texts)} texts were asked about, and the answer has the shape {answers.shape}")
    pieces, done = [], 0
    for (start, end), without in zip(spans, answers[1:], strict=True):
        pieces += [Piece(text[done:start], None), Piece(text[start:end], float(answers[0] - without))]
        done = end
    pieces.append(Piece(text[done:], None))
    return [piece for piece in pieces if piece.text]


def strongest(pieces: Sequence[Piece]) -> Piece | None:
    """The piece whose weight is largest in size, the first of several; None where nothing was weighed."""
    weighed = [piece for piece in pieces if piece.weight is not None]
    return max(weighed, key=lambda piece: abs(piece.weight), default=None)


def relative(pieces: Sequence[Piece]) -> list[Piece]:
    """The weights as shares, -1 to 1, of the largest in size; all None where every weight is 0."""
    most = strongest(pieces)
    if most is None or most.weight == 0:
        return [Piece(piece.text, None) for piece in pieces]
    size = abs(most.weight)
    return [piece if piece.weight is None else Piece(piece.text, piece.weight / size) for piece in pieces]
