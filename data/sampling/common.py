"""What every generator uses: word lists written as text, a draw from a list, and misspelling."""

from collections.abc import Sequence

from numpy.random import Generator


def listed(text: str) -> tuple[str, ...]:
    """The phrases of a text that separates them by bars."""
    return tuple(phrase.strip() for phrase in text.split("|"))


def pick(rng: Generator, items: Sequence):
    """One item, uniformly."""
    return items[int(rng.integers(len(items)))]


def misspell(text: str, rng: Generator, rate: float = 0.01) -> str:
    """Drop or double letters, each with probability rate."""

    def typed(letter: str) -> str:
        wrong = letter.isalpha() and rng.random() < rate
        return pick(rng, ["", letter + letter.lower()]) if wrong else letter

    return "".join(typed(letter) for letter in text)
