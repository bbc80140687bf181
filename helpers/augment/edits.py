"""Edits of an English sentence: the part of speech of its words, and one word replaced or deleted."""

import re
from collections.abc import Sequence

from helpers.augment.lexicon import Lexicon, word_set

WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*|\d+")  # "T-shirt" and "isn't" are one word each, and stay as they are
DETERMINERS = word_set(
    "a an the this that these those his her its their my your our some any no each every another both one two three "
    "four five six several many few"
)
BE = word_set("is are was were be been being am isn't aren't wasn't weren't")
ADVERBIAL = word_set("not very so currently also")  # may separate a form of be from the word that it governs
PARTICLES = word_set("up down off on away out back")
MIN_MASS = 0.3  # least share of a word's occurrences that the parts of speech allowed by the context make up
MIN_SHARE = 0.7  # least share of the likeliest among these
VOWEL_SOUND = re.compile(r"(?!uni|use|usu|eu|one|ewe)[aeiou]|hour|honest|heir", re.IGNORECASE)


def words_of(text: str) -> list[str]:
    """The words in lower case."""
    return [word.lower() for word in WORD.findall(text)]


def parts_of_speech(text: str, lexicon: Lexicon) -> dict[str, str]:
    """Word -> part of speech, for the words where it is certain and the same at every place of the text."""
    words = words_of(text)
    found: dict[str, set[str | None]] = {}
    for index, word in enumerate(words):
        found.setdefault(word, set()).add(part_of_speech(words, index, lexicon))
    return {word: next(iter(parts)) for word, parts in found.items() if len(parts) == 1 and None not in parts}


def part_of_speech(words: Sequence[str], index: int, lexicon: Lexicon) -> str | None:
    """Part of speech of a word from the lexicon and its neighbours, without a tagger; None where it is not certain.

    A determiner is followed by no verb and no adverb; a form of be by no noun, and an -ing word there is a verb. A verb
    in base form follows a function word (to, and); before a particle it is half of another verb (waking up). An
    adjective comes before a content word or after be. Of what is left the likeliest by the lexicon's counts is taken,
    if it makes up MIN_SHARE of that, and that MIN_MASS of the word's occurrences.

    Args:
        words: the sentence in lower case.
        index: of the word.
    """
    entries = lexicon.parts(words[index])
    before = next((word for word in reversed(words[:index]) if word not in ADVERBIAL), "")
    after = words[index + 1] if index + 1 < len(words) else ""
    possible = set(entries)
    if before in DETERMINERS:
        possible -= {"v", "r"}
    elif before in BE:
        possible = {"v"} & possible if words[index].endswith("ing") else possible - {"n"}
    if before not in BE and (not after or after in lexicon.function_words):
        possible.discard("a")
    bare = "v" in entries and entries["v"].form == "base" and before not in lexicon.function_words
    if bare or after in PARTICLES:
        possible.discard("v")
    mass = sum(entries[part].share for part in possible)
    best = max(possible, key=lambda part: (entries[part].share, part), default=None)
    return best if best and mass >= MIN_MASS and entries[best].share >= MIN_SHARE * mass else None


def replace_word(text: str, old: str, new: str) -> str:
    """Replace a word everywhere; an initial capital and the article before it (a, an) are adapted.

    Example:
        >>> replace_word("A car is near", "car", "automobile")
        'An automobile is near'
    """

    def put(match: re.Match) -> str:
        word = new.capitalize() if match["word"][0].isupper() else new
        return _article(match, new) + word + match["space"]

    return _places(old).sub(put, text)


def delete_word(text: str, old: str) -> str:
    """Delete a word everywhere; an initial capital and the article before it (a, an) are adapted."""
    kept = _places(old).sub(lambda match: _article(match, match["next"]), text).strip()
    return kept[:1].upper() + kept[1:] if text[:1].isupper() else kept


def _places(word: str) -> re.Pattern:
    """The word where it is no part of a compound, with the article before it and a look at the word after it."""
    article, place = r"(?:\b(?P<a>[Aa])n?(?P<gap>\s+))?", rf"(?<![\w'’-])(?P<word>{re.escape(word)})(?!\w|['’-]\w)"
    return re.compile(article + place + r"(?P<space>\s*)(?=(?P<next>\w*))", re.IGNORECASE)


def _article(match: re.Match, following: str) -> str:
    if match["a"] is None:
        return ""
    return match["a"] + ("n" if VOWEL_SOUND.match(following) else "") + match["gap"]
