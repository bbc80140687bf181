"""From raw text to tokens and ids: one Unicode form, five tokenizers, the cleaning of titles, the vocabularies.

| tokenizer | for | keeps |
|---|---|---|
| tokenize | messages | by scheme: letters in lower case, everything between white space, or every character |
| clean_tokens | titles, as the assignment cleans them | runs of three or more letters in lower case |
| title_tokens | titles, for character n-grams | runs of letters and digits in lower case |
| tokenize_sentence | sentences, for pretrained vectors | words as written, cut as the Penn Treebank does |
| normalize_sentence | comparing sentences | runs of a to z and digits in lower case, as one string |
"""

import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

PADDING, UNKNOWN = 0, 1
EMPTY = "<vacío>"  # the only token of a text without any
MIN_LETTERS = 3  # cleaning drops shorter tokens
MAX_TOKENS = 60  # longer titles are cut; the longest of the corpus has fewer
NGRAMS = (2, 5)  # shortest and longest character n-gram, borders included
MAX_LETTERS = 30  # of a title's token, for its n-grams
START = "<s>"  # stands before the first token of a title in its pairs
MAX_WORDS = 500  # longer sentences are cut: padded, one of them would fill the memory
CASES = ("exact", "fallback", "lower")

_SCHEMES = {
    "words": re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?"),  # letters, an apostrophe inside: what a first tokenizer keeps
    "space": re.compile(r"\S+"),
    "chars": re.compile(r"(?s)."),
}
_SHAPES = ((re.compile(r"[A-ZÀ-ÖØ-Þ]"), "X"), (re.compile(r"[^\W\d_X]"), "x"), (re.compile(r"\d"), "9"))
_TITLE = re.compile(r"\w+")
_PLAIN = re.compile(r"[a-z0-9]+")
_SENTENCE = re.compile(
    r"n't\b"  # the negation of isn't, as a word of its own
    r"|'(?:s|m|d|ll|re|ve)\b"
    r"|[^\W\d_]+?(?=n't\b)"  # what it negates
    r"|\d+(?:[.,]\d+)*"  # 12, 1,000, 3.5
    r"|[^\W_]+(?:-[^\W_]+)*",  # t-shirt stays one word
    re.IGNORECASE,
)
_TAG = re.compile("<[^>]+>")
_ASCII_LETTERS = re.compile(f"[a-z]{{{MIN_LETTERS},}}")
_LETTERS = re.compile(rf"[^\W_0-9]{{{MIN_LETTERS},}}")
# split_alphanumerics puts no space beside digits whose neighbours both lie beyond a to z: without them these two join
_INNER_DIGITS = re.compile(r"([^\W_0-9a-z])[0-9]++(?=[^\W_0-9a-z])")


def normal_form(text: str, *, lower: bool = True) -> str:
    """The form in which every tokenizer reads a text: Unicode NFC ("n" and a combining tilde are "ñ"), lower case."""
    text = unicodedata.normalize("NFC", text)
    return text.lower() if lower else text


# Tokenizers


def tokenize(text: str, scheme: str = "words") -> list[str]:
    """Cut a text into tokens; never an empty list, so that every sequence has a length of at least 1.

    Args:
        text: any text.
        scheme: "words" (lower case, letters only), "space" (cut at white space, all else kept) or "chars".

    Raises:
        ValueError: unknown scheme.

    Example:
        >>> tokenize("WIN £1000 now!"), tokenize("WIN £1000 now!", "space")
        (['win', 'now'], ['WIN', '£1000', 'now!'])
    """
    if scheme not in _SCHEMES:
        raise ValueError(f"scheme {scheme!r} is not one of {', '.join(_SCHEMES)}")
    return _SCHEMES[scheme].findall(normal_form(text, lower=scheme == "words")) or [EMPTY]


def title_tokens(title: str) -> list[str]:
    """Runs of letters and digits, in lower case; never an empty list."""
    return _TITLE.findall(normal_form(title))[:MAX_TOKENS] or [EMPTY]


def tokenize_sentence(sentence: str) -> list[str]:
    """Words as written, cut as the Penn Treebank does: GloVe's and word2vec's English vocabularies are cut like that.

    "isn't" gives "is" and "n't", "man's" gives "man" and "'s", "t-shirt" stays whole, a number is one word. Case is
    kept: the lookup decides about it. Punctuation is dropped: SICK has 860 commas and 63 full stops, while almost
    every STS sentence ends in a full stop, from which a model would learn which corpus it reads.
    """
    return _SENTENCE.findall(normal_form(sentence, lower=False).replace("’", "'"))


def normalize_sentence(sentence: str) -> str:
    """Lower case, then the maximal runs of [a-z0-9], joined by one space: equal results count as the same sentence."""
    return " ".join(_PLAIN.findall(normal_form(sentence)))


# The assignment's cleaning of titles: trace() shows it step by step, clean_tokens() does it in one pass


def _gensim(step: str, **options) -> Callable[[str], str]:
    def apply(text: str) -> str:
        from gensim.parsing import preprocessing

        return getattr(preprocessing, step)(text, **options)

    return apply


STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("lower_case", normal_form),
    ("strip_tags", _gensim("strip_tags")),  # <b>…</b>
    ("split_alphanumerics", _gensim("split_alphanum")),  # "500gb" -> "500 gb"; borders of a to z only
    ("punctuation_to_spaces", _gensim("strip_punctuation")),  # ASCII signs
    ("drop_other_signs", _gensim("strip_non_alphanum")),  # ®, ¡, ´ and controls; accented letters stay
    ("collapse_spaces", _gensim("strip_multiple_whitespaces")),
    ("drop_digits", _gensim("strip_numeric")),
    ("drop_short", _gensim("strip_short", minsize=MIN_LETTERS)),
)


def trace(title: str, *, skip: Collection[str] = ()) -> list[tuple[str, str]]:
    """(step, text after it) for every step of STEPS.

    Args:
        skip: names of steps to leave out, to see what they do.

    Raises:
        TypeError: the title is not a string.
        ValueError: skip names no step.
    """
    _check_text(title)
    if unknown := set(skip) - {name for name, _ in STEPS}:
        raise ValueError(f"no such step: {', '.join(sorted(unknown))}; the steps are {', '.join(dict(STEPS))}")
    title, stages = normal_form(title, lower=False), []
    for name, step in STEPS:
        if name not in skip:
            title = step(title)
            stages.append((name, title))
    return stages


def clean(title: str, *, skip: Collection[str] = ()) -> str:
    """The title after the last step: its tokens with one space between them; "" where nothing is left.

    Args, Raises:
        As in trace().
    """
    if skip:
        stages = trace(title, skip=skip)
        return stages[-1][1] if stages else title
    return " ".join(_clean_tokens(title))


def clean_tokens(title: str, *, skip: Collection[str] = ()) -> list[str]:
    """The tokens of clean(), stop words included; [] where nothing is left.

    Args, Raises:
        As in trace().

    Example:
        >>> clean_tokens("Lámpara <b>LED</b> 12v para el Baño")
        ['lámpara', 'led', 'para', 'baño']
    """
    return clean(title, skip=skip).split() if skip else _clean_tokens(title)


def _clean_tokens(title: str) -> list[str]:
    """What all steps leave: runs of letters, cut at every sign and at every border between a to z and a digit."""
    _check_text(title)
    text = normal_form(title)
    if "<" in text:
        end = text.rfind(">") + 1  # no tag ends after the last ">": searched there, each "<" would read to the end
        text = _TAG.sub("", text[:end]) + text[end:]
    if text.isascii():
        return _ASCII_LETTERS.findall(text)
    return _LETTERS.findall(_INNER_DIGITS.sub(r"\1", text))


def _check_text(title: str) -> None:
    if not isinstance(title, str):
        raise TypeError(f"a title must be text, not {type(title).__name__}: {title!r}")


def stopwords_es() -> frozenset[str]:
    """NLTK's Spanish stop words; in profile quick those of the sample where the real list cannot be had.

    Raises:
        SourceError: the list cannot be had.
    """
    from helpers.data import sources

    path, _ = sources.obtain_or_sample("stopwords")
    with zipfile.ZipFile(path) as archive:  # nltk's own reader refuses files outside its search path
        return frozenset(archive.read("stopwords/spanish").decode("utf-8").split())


# Vocabularies


class Vocabulary:
    """Token to id. 0 is padding, 1 the unknown token, the rest by falling frequency in the training texts.

    Args:
        tokens: in the order of their ids, from id 2 on.

    Example:
        >>> Vocabulary.build([["hola", "mundo"], ["hola"]]).encode(["hola", "nunca"])
        array([2, 1])
    """

    def __init__(self, tokens: Sequence[str]):
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
            min_count: rarer tokens are left out.
            max_size: this many of the most frequent tokens are kept.
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
        """(len(tokens),) int64 ids; a token not seen in training becomes UNKNOWN."""
        return np.fromiter((self.index.get(token, UNKNOWN) for token in tokens), dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens of the ids."""
        return [self.tokens[i] for i in ids]


class FeatureVocabulary:
    """Token to the ids of its features. Features of too few training texts are left out: they could only be memorised.

    Args:
        names: the features kept, in the order of their ids, from 1 on; id 0 is padding.
    """

    def __init__(self, names: Sequence[str]):
        self.names = list(names)
        self.index = {name: i for i, name in enumerate(self.names, start=1)}

    @classmethod
    def build(cls, texts: Iterable[Sequence[str]], *, min_count: int = 2) -> "FeatureVocabulary":
        """Keep the features that occur in at least min_count of the training texts."""
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


def features(token: str) -> list[str]:
    """Names of a token's features: the token, its word form, its shape, its length, and its character n-grams.

    The n-grams have borders (Bojanowski et al. 2017, arXiv:1607.04606) and are those of the token as written ("=") and
    of its word form ("~"): that a number begins with 0871 and has eleven digits says more than which eleven. Case,
    shape and length carry what word ids lose.
    """
    looks, form = shape(token), word_form(token)
    names = [f"t:{token}", f"w:{form}", f"s:{looks[:8]}", f"l:{looks[:1]}{min(len(token), 15)}"]
    names += [f"={gram}" for gram in _ngrams(token, *NGRAMS)]
    return names + ([f"~{gram}" for gram in _ngrams(form, *NGRAMS)] if form != token else [])


def word_form(token: str) -> str:
    """How a token is looked up in a vocabulary when its features carry the rest: lower case, every digit as 0."""
    return re.sub(r"\d", "0", normal_form(token))


def shape(token: str) -> str:
    """What a token looks like: "Free" -> "Xxxx", "08712" -> "99999", "£" -> "£"."""
    for pattern, sign in _SHAPES:
        token = pattern.sub(sign, token)
    return token


def token_parts(token: str, ngrams: tuple[int, int]) -> list[str]:
    """The token ("=funda") and its distinct n-grams with borders ("<fu", "fun", …), shortest first."""
    return [f"={token}", *_ngrams(token[:MAX_LETTERS], *ngrams)]


def token_pairs(tokens: Sequence[str]) -> list[str]:
    """Every token of a title after the one before it: "<s> funda", "funda samsung", …"""
    return [f"{first} {second}" for first, second in zip([START, *tokens], tokens, strict=False)]


def _ngrams(token: str, min_n: int, max_n: int) -> list[str]:
    bordered = f"<{token}>"
    grams = (bordered[i : i + n] for n in range(min_n, max_n + 1) for i in range(len(bordered) - n + 1))
    return list(dict.fromkeys(grams))


def spellings(word: str, case: str) -> tuple[str, ...]:
    """The forms under which a word is looked up; the first one found is taken.

    Args:
        case: "exact" (as written), "fallback" (as written, then Title, UPPER, lower) or "lower" (lower, then Title,
            UPPER: a word at the start of a sentence is the same word).

    Raises:
        ValueError: another case.
    """
    if case not in CASES:
        raise ValueError(f"case {case!r} is not one of {', '.join(CASES)}")
    others = (word.capitalize(), word.upper())
    return {"exact": (word,), "fallback": (word, *others, word.lower()), "lower": (word.lower(), *others)}[case]


class SentenceReader:
    """From a sentence to the ids of its words.

    A word whose every spelling is missing is read by the parts between its hyphens ("pyramid-shaped"); parts that are
    missing too are unknown. A sentence without words reads as one unknown word.

    Args:
        vocabulary: words as spelled in their source; id 0 is padding, 1 unknown.
        case: as in spellings().
    """

    def __init__(self, vocabulary: Vocabulary, case: str = "fallback"):
        spellings("", case)
        self.vocabulary, self.case = vocabulary, case

    def ids(self, sentence: str) -> np.ndarray:
        """(words, at least 1) int64."""
        found = [number for word in tokenize_sentence(sentence) for number in self.word_ids(word)]
        return np.array(found[:MAX_WORDS] or [UNKNOWN], dtype=np.int64)

    def word_ids(self, word: str) -> list[int]:
        """One id, or those of the parts of a hyphenated word."""
        number = self._lookup(word)
        if number == UNKNOWN and "-" in word:
            return [self._lookup(part) for part in word.split("-")]
        return [number]

    def _lookup(self, word: str) -> int:
        index = self.vocabulary.index
        return next((index[form] for form in spellings(word, self.case) if form in index), UNKNOWN)

    def unknown(self, *sentences: str) -> list[str]:
        """Words without a vector in any spelling, each once, in order; to the model they are all the same word."""
        words = dict.fromkeys(word for sentence in sentences for word in tokenize_sentence(sentence))
        return [word for word in words if UNKNOWN in self.word_ids(word)]
