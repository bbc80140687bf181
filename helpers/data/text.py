"""From a raw message to tokens, and from tokens to ids: tokenizers, Vocabulary, features of a token."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

PADDING, UNKNOWN = 0, 1
_PATTERNS = {
    "words": re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?"),  # letters only, apostrophe inside: what a first tokenizer keeps
    "space": re.compile(r"\S+"),  # whatever stands between white space: case, digits and signs kept
    "chars": re.compile(r"(?s)."),
}
_SHAPES = ((re.compile(r"[A-ZÀ-ÖØ-Þ]"), "X"), (re.compile(r"[^\W\d_X]"), "x"), (re.compile(r"\d"), "9"))


def tokenize(text: str, scheme: str = "words") -> list[str]:
    """Cut a text into tokens; never returns an empty list, so that every sequence has a length of at least 1.

    Args:
        text: any Unicode text.
        scheme: "words" (lower case, letters only), "space" (white space cuts, all else is kept) or "chars".

    Raises:
        ValueError: unknown scheme.
    """
    if scheme not in _PATTERNS:
        raise ValueError(f"scheme {scheme!r} is not one of {', '.join(_PATTERNS)}")
    tokens = _PATTERNS[scheme].findall(text.lower() if scheme == "words" else text)
    return tokens or ["<vacío>"]


class Vocabulary:
    """Token to id. 0 is padding, 1 the unknown token, the rest by falling frequency in the training texts."""

    def __init__(self, tokens: Sequence[str]):
        """Take the tokens in the order of their ids, from id 2 on."""
        self.tokens = ["<pad>", "<unk>", *tokens]
        self.index = {token: i for i, token in enumerate(self.tokens)}
        if len(self.index) != len(self.tokens):
            raise ValueError("a Vocabulary cannot hold the same token twice")

    @classmethod
    def build(
        cls, texts: Iterable[Sequence[str]], *, min_count=1, max_size=None, extra: Iterable[str] = ()
    ) -> "Vocabulary":
        """Count the tokens of the training texts; ties in order of appearance.

        Args:
            extra: words known from elsewhere (those of pretrained vectors), appended.
        """
        counts = Counter(token for tokens in texts for token in tokens)
        ranked = [token for token, count in counts.most_common(max_size) if count >= min_count]
        return cls([token for token in dict.fromkeys([*ranked, *extra]) if token not in ("<pad>", "<unk>")])

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self.index

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """(len(tokens),) int64 ids; a token never seen in training becomes UNKNOWN."""
        return np.fromiter((self.index.get(token, UNKNOWN) for token in tokens), dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens of the ids."""
        return [self.tokens[i] for i in ids]


def word_form(token: str) -> str:
    """How a token is looked up in a vocabulary when its features carry the rest: lower case, every digit as 0."""
    return re.sub(r"\d", "0", token.lower())


def shape(token: str) -> str:
    """What a token looks like: "Free" -> "Xxxx", "08712" -> "99999", "£" -> "£"."""
    for pattern, sign in _SHAPES:
        token = pattern.sub(sign, token)
    return token


def features(token: str, *, min_n: int = 2, max_n: int = 5) -> list[str]:
    """Names of a token's features: the token, its word form, its shape, its length, and its parts.

    Parts are character n-grams with borders (Bojanowski et al. 2017, arXiv:1607.04606), of the token as written and of
    its word form: that 0871 begins a number and that it has eleven digits says more than which eleven. Case, shape and
    length carry what word ids lose.
    """
    looks, form = shape(token), word_form(token)
    names = [f"t:{token}", f"w:{form}", f"s:{looks[:8]}", f"l:{looks[:1]}{min(len(token), 15)}"]
    names += [f"={gram}" for gram in _ngrams(token, min_n, max_n)]
    return names + ([f"~{gram}" for gram in _ngrams(form, min_n, max_n)] if form != token else [])


def _ngrams(token: str, min_n: int, max_n: int) -> list[str]:
    bordered = f"<{token}>"
    return list(
        dict.fromkeys(bordered[i : i + n] for n in range(min_n, max_n + 1) for i in range(len(bordered) - n + 1))
    )


class FeatureVocabulary:
    """Token to the ids of its features. Features too rare in training, and those never seen there, are left out.

    A feature met in one message only can but be learnt by heart.

    Args:
        names: the features kept, in the order of their ids, from 1 on; id 0 is padding.
    """

    def __init__(self, names: Sequence[str]):
        self.names = list(names)
        self.index = {name: i for i, name in enumerate(self.names, start=1)}

    @classmethod
    def build(cls, texts: Iterable[Sequence[str]], *, min_count: int = 2) -> "FeatureVocabulary":
        """Count in how many of the training texts each feature stands, and keep those in min_count or more."""
        counts = Counter(name for tokens in texts for name in {n for token in set(tokens) for n in cls.of(token)})
        return cls([name for name, count in sorted(counts.items()) if count >= min_count])

    @staticmethod
    def of(token: str) -> list[str]:
        """The feature names of a token, cut at 40 characters."""
        return features(token[:40])

    def __len__(self) -> int:
        return len(self.names) + 1

    def encode(self, token: str) -> np.ndarray:
        """(number of known features,) int64."""
        return np.array([self.index[name] for name in self.of(token) if name in self.index], dtype=np.int64)
