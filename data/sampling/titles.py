"""Synthetic Spanish product titles in the format of the MeLi Challenge 2019 partition."""

import json
import re
import unicodedata
from collections import Counter

from numpy.random import Generator

from sampling.common import misspell, pick
from sampling.title_words import BRANDS, CATEGORIES, COLOURS, SELLERS, STOP_WORDS, TAILS

MAX_LENGTH = 60  # the site's limit, in characters
WRONG_LABEL = 0.1  # among unreliable rows
UNRELIABLE = 0.15
UNKNOWN, FIRST_ID = 1, 2  # 0 pads; words seen once are unknown
WITHOUT_WORDS = ["225/45 R17 94w", "2x 185/65 R15 88h"]  # nothing of these is left after cleaning


def without_accents(text: str) -> str:
    """Strip every accent and keep the letter ñ, as hurried sellers do."""
    plain = unicodedata.normalize("NFD", text.replace("ñ", "\0").replace("Ñ", "\1"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return plain.replace("\0", "ñ").replace("\1", "Ñ")


def make_title(category: str, rng: Generator) -> str:
    """A title: head, features, and now and then colour, brand, size, tail and seller, in the style of its seller."""
    _, heads, features, sizes = CATEGORIES[category]
    chosen = rng.choice(len(features), int(rng.integers(1, 4)), replace=False)
    parts = [features[int(index)] for index in chosen]
    for chance, options in ((0.45, BRANDS), (0.45, sizes), (0.35, COLOURS), (0.4, TAILS)):
        if rng.random() < chance:
            parts.insert(int(rng.integers(len(parts) + 1)), pick(rng, options))
    head = pick(rng, heads)
    parts = [*parts[:1], head, *parts[1:]] if rng.random() < 0.12 else [head, *parts]
    if rng.random() < 0.08:
        parts.append(pick(rng, SELLERS))
    title = misspell(pick(rng, [" ", " ", " ", " ", " ", " ", " - ", "  ", ", "]).join(parts), rng, 0.006)
    if rng.random() < 0.55:
        title = without_accents(title)
    style = rng.random()
    if style < 0.08:
        title = title.upper()
    elif style < 0.16:
        title = title.lower()
    return title[:MAX_LENGTH].strip()


def tokenize(title: str) -> list[str]:
    """Lower case, no digits, no punctuation, no stop word, nothing shorter than three letters."""
    words = re.sub(r"[^\w\s]|_", " ", re.sub(r"\d", "", title.lower())).split()
    return [word for word in words if len(word) >= 3 and word not in STOP_WORDS]


def make_rows(rng: Generator) -> list[dict]:
    """1,000 rows of distinct titles, one contiguous block per category."""
    names = list(CATEGORIES)
    targets = rng.permutation(len(names))
    seen, rows = set(), []
    for number in rng.permutation(len(names)):
        category = names[int(number)]
        for index in range(CATEGORIES[category].titles):
            unreliable = rng.random() < UNRELIABLE
            source = pick(rng, names) if unreliable and rng.random() < WRONG_LABEL else category
            title = (
                WITHOUT_WORDS[index]
                if category == "CAR_TIRES" and index < len(WITHOUT_WORDS)
                else make_title(source, rng)
            )
            while title in seen:
                title = make_title(source, rng)
            seen.add(title)
            rows.append(
                {
                    "language": "spanish",
                    "label_quality": "unreliable" if unreliable else "reliable",
                    "title": title,
                    "category": category,
                    "split": "test",
                    "tokenized_title": tokenize(title),
                    "data": [],
                    "target": int(targets[int(number)]),
                    "n_labels": len(names),
                    "size": 0,
                }
            )
    return with_ids(rows)


def with_ids(rows: list[dict]) -> list[dict]:
    """Fill `data` with word numbers, most frequent word first, and `size`."""
    counts = Counter(word for row in rows for word in row["tokenized_title"])
    frequent = [word for word, count in counts.most_common() if count > 1]
    ids = {word: number for number, word in enumerate(frequent, FIRST_ID)}
    return [
        row | {"data": [ids.get(word, UNKNOWN) for word in row["tokenized_title"]], "size": len(rows)} for row in rows
    ]


def json_lines(rows: list[dict]) -> list[str]:
    """One compact JSON object a line, ASCII, slashes escaped."""
    return [json.dumps(row, separators=(",", ":")).replace("/", "\\/") for row in rows]


def topics_of_words(rows: list[dict]) -> dict[str, list[str]]:
    """Word lists that hold a word, for every token of the titles, most frequent first; none for misspellings.

    Word lists decide, not labels of rows.
    """
    lists = {name: [*heads, *heads, *features] for name, (_, heads, features, _) in CATEGORIES.items()}
    lists |= {"colour": COLOURS, "offer": TAILS, "brand": (*BRANDS, *SELLERS)}
    topics: dict[str, list[str]] = {}
    for name, phrases in lists.items():
        for phrase in phrases:
            for word in tokenize(phrase):
                topics.setdefault(without_accents(word), []).append(name)
    counts = Counter(word for row in rows for word in row["tokenized_title"])
    return {word: topics.get(without_accents(word), []) for word, _ in counts.most_common()}
