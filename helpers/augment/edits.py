"""Words of an English sentence as written: their part of speech, and the sentence with one replaced or left out."""

import re
from collections.abc import Sequence

from helpers.augment.lexicon import Lexicon, word_set

WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*|\d+")  # "T-shirt" and "isn't" are one word each, and stay as they are
DETERMINERS = word_set(
    "a an the this that these those his her its their my your our some any no each every another both one two three "
    "four five six several many few"
)
BE = word_set("is are was were be been being am isn't aren't wasn't weren't")
ADVERBIAL = word_set("not very so currently also")  # may stand between a form of be and what it belongs to
PARTICLES = word_set("up down off on away out back")
MIN_MASS = 0.3  # of the parts of speech that the context allows; less, and the word is used in an unforeseen way
MIN_SHARE = 0.7  # of the likeliest of these
VOWEL_SOUND = re.compile(r"(?!uni|use|usu|eu|one|ewe)[aeiou]|hour|honest|heir", re.IGNORECASE)


def words_of(text: str) -> list[str]:
    """The words in lower case."""
    return [word.lower() for word in WORD.findall(text)]


def part_of_speech(words: Sequence[str], index: int, lexicon: Lexicon) -> str | None:
    """Part of speech of a word in its sentence, None where that is not certain. No tagger: the lexicon and neighbours.

    After a determiner stands no verb and no adverb; after a form of be no noun, and an -ing word there is a verb. A
    verb in base form stands after a function word (to, and); before a particle it is half of another verb (waking up).
    An adjective stands before a content word or after be. Of what is left the likeliest by the lexicon's counts, if it
    makes up MIN_SHARE of that, and that MIN_MASS of the word.

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


def parts_of_speech(text: str, lexicon: Lexicon) -> dict[str, str]:
    """Word -> part of speech, of the words of a text for which it is certain and the same at every place."""
    words = words_of(text)
    found: dict[str, set[str | None]] = {}
    for index, word in enumerate(words):
        found.setdefault(word, set()).add(part_of_speech(words, index, lexicon))
    return {word: next(iter(parts)) for word, parts in found.items() if len(parts) == 1 and None not in parts}


def replace_word(text: str, old: str, new: str) -> str:
    """The text with another word at every place of one; initial capital and a or an before it follow."""

    def put(match: re.Match) -> str:
        word = new.capitalize() if match["word"][0].isupper() else new
        return _article(match, new) + word + match["space"]

    return _places(old).sub(put, text)


def delete_word(text: str, old: str) -> str:
    """The text without a word; initial capital and a or an before it follow."""
    kept = _places(old).sub(lambda match: _article(match, match["next"]), text).strip()
    return kept[:1].upper() + kept[1:] if text[:1].isupper() else kept


def _places(word: str) -> re.Pattern:
    """The word, not as a part of a compound, with the article before it and a look at the word after it."""
    article, place = r"(?:\b(?P<a>[Aa])n?(?P<gap>\s+))?", rf"(?<![\w'’-])(?P<word>{re.escape(word)})(?!\w|['’-]\w)"
    return re.compile(article + place + r"(?P<space>\s*)(?=(?P<next>\w*))", re.IGNORECASE)


def _article(match: re.Match, following: str) -> str:
    if match["a"] is None:
        return ""
    return match["a"] + ("n" if VOWEL_SOUND.match(following) else "") + match["gap"]
