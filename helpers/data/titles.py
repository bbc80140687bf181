"""Two ways to read a title: the assignment's cleaned words, or words as written with their parts and neighbours."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from helpers.data.batching import Ragged, RaggedTexts
from helpers.data.cleaning import clean_tokens
from helpers.data.text import PADDING, UNKNOWN, Vocabulary

MAX_TOKENS = 60  # longer titles are cut; the longest of the corpus has fewer
MAX_LETTERS = 30  # of a token that are looked at
START = "<s>"
_WORD = re.compile(r"\w+")


class WordTitles:
    """Titles as the assignment reads them: cleaned words, without stop words, looked up in a dictionary.

    A word that is not in the dictionary becomes UNKNOWN, and so does a title of which nothing is left.
    """

    def __init__(self, vocabulary: Vocabulary, stop_words: Collection[str] = ()):
        self.vocabulary, self.stop_words = vocabulary, frozenset(stop_words)

    def encode(self, titles: Sequence[str], targets=None) -> RaggedTexts:
        """Raw titles as ids."""
        words = ([w for w in clean_tokens(title) if w not in self.stop_words][:MAX_TOKENS] for title in titles)
        return RaggedTexts(Ragged([self.vocabulary.encode(kept or ["<unk>"]) for kept in words]), targets)

    def description(self) -> dict:
        """What from_description() needs; JSON holds it."""
        tokens = self.vocabulary.tokens[UNKNOWN + 1 :]
        return {"representation": "words", "tokens": tokens, "stop_words": sorted(self.stop_words)}


class SubwordTitles:
    """Titles as written (lower case, digits kept): each token by its parts and by the pair it makes with the last one.

    Parts are the token itself and its character n-grams with borders (Bojanowski et al. 2017, arXiv:1607.04606). In a
    batch the pairs stand as `tokens` (0 where the pair was not seen often enough in training) and the parts as
    `features`.

    Args:
        parts: names of the parts kept, in the order of their ids, from 1 on.
        pairs: token pairs kept, "first second", in the order of their ids, from 1 on.
        ngrams: shortest and longest n-gram.
    """

    def __init__(self, parts: Sequence[str], pairs: Sequence[str], ngrams: tuple[int, int] = (2, 5)):
        self.parts, self.pairs, self.ngrams = list(parts), list(pairs), tuple(ngrams)
        self._parts = {name: i for i, name in enumerate(self.parts, start=1)}
        self._pairs = {name: i for i, name in enumerate(self.pairs, start=1)}

    @classmethod
    def build(
        cls, titles: Iterable[str], *, min_count: int = 2, pairs: bool = True, ngrams: tuple[int, int] = (2, 5)
    ) -> "SubwordTitles":
        """Keep the parts and pairs that stand in at least min_count of the training titles."""
        parts, seen_pairs, cache = Counter(), Counter(), {}
        for title in titles:
            tokens = title_tokens(title)
            for token in tokens:
                if token not in cache:
                    cache[token] = token_parts(token, ngrams)
            parts.update({part for token in tokens for part in cache[token]})
            seen_pairs.update(set(_pairs(tokens)) if pairs else ())
        kept = (sorted(name for name, n in counts.items() if n >= min_count) for counts in (parts, seen_pairs))
        return cls(*kept, ngrams)

    def encode(self, titles: Sequence[str], targets=None) -> RaggedTexts:
        """Raw titles as ids."""
        numbers: dict[str, int] = {}
        pairs, types = [], []
        for title in titles:
            tokens = title_tokens(title)
            pairs.append(np.array([self._pairs.get(pair, PADDING) for pair in _pairs(tokens)]))
            types.append(np.array([numbers.setdefault(token, len(numbers) + 1) for token in tokens]))
        known = [[self._parts[p] for p in token_parts(token, self.ngrams) if p in self._parts] for token in numbers]
        features = Ragged([np.array(ids, dtype=np.int64) for ids in ([], *known)])
        return RaggedTexts(Ragged(pairs), targets, Ragged(types), features)

    def description(self) -> dict:
        """What from_description() needs; JSON holds it."""
        return {
            "representation": "subwords", "parts": self.parts, "pairs": self.pairs, "ngrams": list(self.ngrams),
        }  # fmt: skip


def from_description(description: dict) -> WordTitles | SubwordTitles:
    """The representation that description() came from."""
    if description["representation"] == "words":
        return WordTitles(Vocabulary(description["tokens"]), description["stop_words"])
    return SubwordTitles(description["parts"], description["pairs"], description["ngrams"])


def title_tokens(title: str) -> list[str]:
    """Runs of letters and digits, in lower case; never an empty list."""
    return _WORD.findall(title.lower())[:MAX_TOKENS] or ["<vacío>"]


def token_parts(token: str, ngrams: tuple[int, int]) -> list[str]:
    """The token ("=funda") and its distinct n-grams with borders ("<fu", "fun", …)."""
    bordered = f"<{token[:MAX_LETTERS]}>"
    grams = (bordered[i : i + n] for n in range(ngrams[0], ngrams[1] + 1) for i in range(len(bordered) - n + 1))
    return [f"={token}", *dict.fromkeys(grams)]


def _pairs(tokens: list[str]) -> list[str]:
    return [f"{first} {second}" for first, second in zip([START, *tokens], tokens, strict=False)]
