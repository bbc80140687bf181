"""Synthetic text messages in the format of the UCI SMS Spam Collection."""

import re
from collections import Counter

from numpy.random import Generator

from sampling.common import misspell, pick
from sampling.sms_templates import (
    CLOSINGS,
    HAM,
    HAM_LIKE_SPAM,
    NEAR_COPIES,
    OPENINGS,
    SHORT_FORMS,
    SHOUTS,
    SLOTS,
    SPAM,
    SPAM_LIKE_HAM,
)

HAM_ROWS, SPAM_ROWS = 332, 56  # distinct messages, hard ones and near-copies included
REPEATED_HAM, REPEATED_SPAM = 7, 5
COPIES_PER_NEAR_COPY = 3
# Ranges set aside for drama by the regulators of the United Kingdom (Ofcom) and North America (555 01xx).
FICTIONAL_PHONES = ["0808 15700", "07700 9000", "09098790 1", "08081570 3", "555 01", "0909 87905"]
TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|[!?.,:;)(]+|\d+")


def fill(template: str, rng: Generator) -> str:
    """Put a word into every {slot}; telephone numbers and addresses are of the kinds reserved for fiction."""

    def value(match: re.Match) -> str:
        slot = match[1]
        if slot in SLOTS:
            return pick(rng, SLOTS[slot])
        return NUMBERS[slot](rng)

    return re.sub(r"{(\w+)}", value, template)


def digits(rng: Generator, count: int) -> str:
    """A string of random digits."""
    return "".join(str(digit) for digit in rng.integers(0, 10, count))


def fictional_url(rng: Generator) -> str:
    """An address under a domain reserved for examples (RFC 2606)."""
    host = pick(rng, ["www.", "http://", "", "m."]) + "example." + pick(rng, ["com", "net", "org"])
    return f"{host}/{pick(rng, ['win', 'go', 'tones', 'x', 'club'])}{digits(rng, 2)}"


NUMBERS = {
    "digit": lambda rng: str(rng.integers(2, 10)),
    "small": lambda rng: str(rng.integers(2, 20) * 5),
    "digits4": lambda rng: digits(rng, 4),
    "money": lambda rng: pick(rng, ["£", "£", "$", ""]) + f"{rng.integers(2, 60) * 50}" + pick(rng, ["", "", ".00"]),
    "pence": lambda rng: pick(
        rng, [f"{rng.integers(2, 10) * 5}p", f"£{rng.integers(1, 6)}.50", f"£{rng.integers(1, 4)}"]
    ),
    "phone": lambda rng: pick(rng, FICTIONAL_PHONES) + digits(rng, 2),
    "short": lambda rng: "555" + digits(rng, 2),
    "code": lambda rng: "".join(chr(65 + letter) for letter in rng.integers(0, 26, 2)) + digits(rng, 3),
    "date": lambda rng: f"{rng.integers(1, 29):02d}/{rng.integers(1, 13):02d}",
    "url": fictional_url,
    "shout": lambda rng: pick(rng, SHOUTS),
}


def shorten(text: str, rng: Generator, rate: float) -> str:
    """Replace words by their short forms, each with probability rate."""
    pattern = r"\b(" + "|".join(sorted(SHORT_FORMS, key=len, reverse=True)) + r")\b"
    return re.sub(pattern, lambda match: SHORT_FORMS[match[1]] if rng.random() < rate else match[1], text)


def ham_message(template: str, rng: Generator) -> str:
    """A chatty message: opening, body, closing, in a style drawn for it."""
    text = fill(pick(rng, OPENINGS) + template + pick(rng, CLOSINGS), rng)
    text = misspell(shorten(text, rng, pick(rng, [0.0, 0.2, 0.6])), rng)
    style = rng.random()
    if style < 0.45:
        text = text[0].upper() + text[1:]
    elif style < 0.5:
        text = text.upper()
    return text.strip() if rng.random() < 0.6 else text.strip() + pick(rng, [".", "...", "!", "?", ' "', " &lt;#&gt;"])


def spam_message(template: str, rng: Generator) -> str:
    """A commercial message, now and then without its capitals."""
    text = shorten(fill(template, rng), rng, pick(rng, [0.0, 0.0, 0.4]))
    return text.lower() if rng.random() < 0.12 else text


def distinct_messages(groups: dict[str, list[str]], count: int, make, rng: Generator) -> list[str]:
    """Different messages over all templates in turn, in order of making."""
    templates = [template for topic in groups.values() for template in topic]
    messages: dict[str, None] = {}
    while len(messages) < count:
        for index in rng.permutation(len(templates)):
            if len(messages) < count:
                messages[make(templates[int(index)], rng)] = None
    return list(messages)


def make_messages(rng: Generator) -> list[tuple[str, str]]:
    """About 400 (label, text) rows, 15% of them spam, a dozen of them exact repeats, shuffled."""
    near = [fill(template, rng) for template in NEAR_COPIES]
    near = [re.sub("#", lambda _: str(rng.integers(1, 10)), text) for text in near for _ in range(COPIES_PER_NEAR_COPY)]
    ham = distinct_messages(HAM, HAM_ROWS - len(HAM_LIKE_SPAM), ham_message, rng)
    spam = distinct_messages(SPAM, SPAM_ROWS - len(SPAM_LIKE_HAM) - len(near), spam_message, rng)
    ham += HAM_LIKE_SPAM
    spam += SPAM_LIKE_HAM + near
    ham += [ham[int(index)] for index in rng.choice(len(ham), REPEATED_HAM, replace=False)]
    spam += [spam[int(index)] for index in rng.choice(len(spam), REPEATED_SPAM, replace=False)]
    rows = [("ham", text) for text in ham] + [("spam", text) for text in spam]
    return [rows[int(index)] for index in rng.permutation(len(rows))]


def topics_of_words(rows: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Topics whose templates use a word, for every lower-cased token, most frequent first; none for the rest.

    Templates decide, not labels of rows: a word of both ham and spam templates stands between the two.
    """
    topics: dict[str, list[str]] = {}
    for topic, templates in (HAM | SPAM).items():
        for template in templates:
            for word in TOKEN.findall(re.sub(r"{\w+}", " ", template).lower()):
                if topic not in topics.setdefault(word, []):
                    topics[word].append(topic)
    for slot, words in SLOTS.items():
        for word in " ".join(words).lower().split():
            topics.setdefault(word, []).append(slot)
    for word, short in SHORT_FORMS.items():
        topics.setdefault(short, topics.get(word, []))
    counts = Counter(token for _, text in rows for token in TOKEN.findall(text.lower()))
    return {token: topics.get(token, []) for token, _ in counts.most_common()}
