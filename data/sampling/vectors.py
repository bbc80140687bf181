"""Small word vectors with some meaning: words of one topic are near each other, words of one concept nearer.

A vector is the mean of its topics' directions (none for a word without topic), plus its concept's direction, plus noise
of its own. Values have three decimals, so that the last bits of floating point, which differ between machines, do
not show.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.random import Generator

from sampling.scene_words import (
    ACTIONS,
    ADJECTIVE_SYNONYMS,
    ADJECTIVES,
    AGENTS,
    OBJECT_SYNONYMS,
    PLACES,
    STOP_WORDS,
)

TOPIC, CONCEPT, NOISE, SCALE = 1.0, 0.9, 0.5, 0.3


class Space:
    """Directions drawn when first asked for, the same for the same name."""

    def __init__(self, dimensions: int, rng: Generator):
        self.dimensions, self.rng = dimensions, rng
        self.directions: dict[str, np.ndarray] = {}

    def direction(self, name: str) -> np.ndarray:
        """(dimensions,) standard normal."""
        if name not in self.directions:
            self.directions[name] = self.rng.standard_normal(self.dimensions)
        return self.directions[name]

    def vector(self, topics: Iterable[str], concept: str) -> np.ndarray:
        """(dimensions,) float32 of a word with these topics and this concept."""
        mean = np.zeros(self.dimensions)
        for topic in topics:
            mean += self.direction(f"topic {topic}") / len(topics)
        own = self.rng.standard_normal(self.dimensions)
        total = TOPIC * mean + CONCEPT * self.direction(f"concept {concept}") + NOISE * own
        return np.round(SCALE * total, 3).astype(np.float32)


def embed(
    topics: Mapping[str, list[str]], concepts: Mapping[str, str], dimensions: int, rng: Generator
) -> dict[str, np.ndarray]:
    """A vector for every word of `topics`, in its order; a word without concept is its own."""
    space = Space(dimensions, rng)
    return {word: space.vector(topics[word], concepts.get(word, word)) for word in topics}


def scene_words() -> tuple[dict[str, list[str]], dict[str, str]]:
    """Topics and concepts of every word that the scenes can use, stop words included."""
    topics: dict[str, list[str]] = {}
    concepts: dict[str, str] = {}

    def add(phrase: str, topic: str, concept: str) -> None:
        for word in phrase.split():
            if topic not in topics.setdefault(word, []):
                topics[word].append(topic)
            concepts.setdefault(word, concept if " " not in phrase else word)

    for word in (*STOP_WORDS, "by", "near", "front", "beside", "behind"):
        add(word, "function", word)
    for action in ACTIONS:
        for form in (*action.forms, *(action.synonym or ())):
            add(form, action.topic, action.forms[0])
        for form in action.opposite or ():
            add(form, action.topic, action.opposite[0])
        for thing in action.objects:
            add(thing, action.topic, thing)
            add(OBJECT_SYNONYMS.get(thing, thing), action.topic, thing)
    for agent in AGENTS:
        for noun in filter(None, (agent.noun, agent.synonym)):
            add(noun, agent.kind, agent.noun)
        add(agent.kind, agent.kind, agent.kind)
    for adjective in ADJECTIVES:
        add(adjective, "quality", adjective)
        add(ADJECTIVE_SYNONYMS.get(adjective, adjective), "quality", adjective)
    for topic, places in PLACES.items():
        for place in places:
            add(place, topic, "")
    return topics, concepts


def text_lines(vectors: Mapping[str, np.ndarray], header: bool) -> list[str]:
    """A word and its numbers a line, as GloVe writes them; with the word2vec header first if asked for."""
    lines = [word + " " + " ".join(f"{value:g}" for value in row.tolist()) for word, row in vectors.items()]
    return [f"{len(vectors)} {len(next(iter(vectors.values())))}", *lines] if header else lines


def binary_bytes(vectors: Mapping[str, np.ndarray]) -> bytes:
    """word2vec's binary format: a header line, then word, space and little-endian float32 numbers."""
    header = f"{len(vectors)} {len(next(iter(vectors.values())))}\n".encode()
    return header + b"".join(word.encode() + b" " + row.astype("<f4").tobytes() for word, row in vectors.items())
