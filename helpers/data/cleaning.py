"""The assignment's cleaning of a title, one step after another in its order, and the Spanish stop words.

trace() runs the steps as gensim has them, to be read and looked at; clean() and clean_tokens() come to the same in one
pass over the text.
"""

import re
import zipfile
from collections.abc import Callable, Collection

from gensim.parsing import preprocessing

from helpers.data.sources import obtain_or_sample

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
