"""From a raw message to tokens, and from tokens to ids: tokenizers, Vocabulary, features of a token.

The assignment's cleaning of a title, one step after another in its order, and the Spanish stop words.

trace() runs the steps as gensim has them, to be read and looked at; clean() and clean_tokens() come to the same in one
pass over the text.
"""

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
from gensim.parsing import preprocessing

from helpers.data.sources import obtain_or_sample

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


MIN_LETTERS = 3  # shorter tokens are dropped


def drop_short(text: str) -> str:
    """Keep tokens of at least MIN_LETTERS characters."""
    return preprocessing.strip_short(text, minsize=MIN_LETTERS)


STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("lower_case", str.lower),
    ("strip_tags", preprocessing.strip_tags),  # <b>…</b>
    ("split_alphanumerics", preprocessing.split_alphanum),  # "500gb" -> "500 gb"; borders of a to z only
    ("punctuation_to_spaces", preprocessing.strip_punctuation),  # ASCII signs
    ("drop_other_signs", preprocessing.strip_non_alphanum),  # ®, ¡, ´ and controls; accented letters stay
    ("collapse_spaces", preprocessing.strip_multiple_whitespaces),
    ("drop_digits", preprocessing.strip_numeric),
    ("drop_short", drop_short),
)

_TAG = re.compile("<[^>]+>")
_ASCII_TOKENS = re.compile(f"[a-z]{{{MIN_LETTERS},}}")
_TOKENS = re.compile(rf"[^\W_0-9]{{{MIN_LETTERS},}}")
# no space was put beside digits whose neighbours both lie beyond a to z: without them these two join
_INNER_DIGITS = re.compile(r"([^\W_0-9a-z])[0-9]++(?=[^\W_0-9a-z])")


def trace(title: str, *, skip: Collection[str] = ()) -> list[tuple[str, str]]:
    """(step, text after it) for every step of STEPS.

    Args:
        skip: names of steps to leave out, to see what they do.

    Raises:
        TypeError: the title is no text.
        ValueError: skip names no step.
    """
    _check_text(title)
    if unknown := set(skip) - {name for name, _ in STEPS}:
        raise ValueError(f"no such step: {', '.join(sorted(unknown))}; the steps are {', '.join(dict(STEPS))}")
    stages = []
    for name, step in STEPS:
        if name not in skip:
            title = step(title)
            stages.append((name, title))
    return stages


def clean(title: str, *, skip: Collection[str] = ()) -> str:
    """The title after the last step: tokens of letters with one space between; "" where nothing is left.

    Args:
        skip: as in trace().

    Raises:
        TypeError: the title is no text.
        ValueError: skip names no step.
    """
    if skip:
        stages = trace(title, skip=skip)
        return stages[-1][1] if stages else title
    return " ".join(_tokens(title))


def clean_tokens(title: str, *, skip: Collection[str] = ()) -> list[str]:
    """The tokens that are left, stop words among them (those go from the dictionary); [] where nothing is left.

    Args:
        skip: as in trace().

    Raises:
        TypeError: the title is no text.
        ValueError: skip names no step.
    """
    return clean(title, skip=skip).split() if skip else _tokens(title)


def _tokens(title: str) -> list[str]:
    """What all steps leave: runs of letters, cut at every sign and at every border between a to z and a digit."""
    _check_text(title)
    text = title.lower()
    if "<" in text:
        end = text.rfind(">") + 1  # behind the last ">" no tag ends; looked for there, each "<" would read to the end
        text = _TAG.sub("", text[:end]) + text[end:]
    if text.isascii():
        return _ASCII_TOKENS.findall(text)
    return _TOKENS.findall(_INNER_DIGITS.sub(r"\1", text))


def _check_text(title: str) -> None:
    if not isinstance(title, str):
        raise TypeError(f"a title must be text, not {type(title).__name__}: {title!r}")


def stopwords_es() -> frozenset[str]:
    """NLTK's Spanish stop words; in profile quick those of the sample where the real list cannot be had.

    Raises:
        SourceError: the list cannot be had.
    """
    path, _ = obtain_or_sample("stopwords")
    with zipfile.ZipFile(path) as archive:  # nltk's own reader refuses files outside its search path
        return frozenset(archive.read("stopwords/spanish").decode("utf-8").split())
