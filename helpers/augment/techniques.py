"""Augmentation of SICK: seeded transforms of training pairs into new ones, and augment(), which checks them.

A technique takes training pairs and returns new ones, with the columns of load_sick() and three more: technique,
source_pair_id (the pair it came from) and detail (what was changed). Swapping the sentences of a pair is no technique:
relatedness is symmetric and so is a siamese model, f(a, b) = f(b, a); it would learn nothing.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helpers import settings
from helpers.augment.edits import delete_word, parts_of_speech, replace_word, words_of
from helpers.augment.lexicon import Entry, Lexicon, load_lexicon, word_set
from helpers.augment.new_pairs import PARAPHRASE, check_no_leak, drop_known, leaks, make_pairs, repaired_pairs
from helpers.data.sources import obtain_or_sample
from helpers.data.vectors import read_vectors

if TYPE_CHECKING:
    import pandas as pd

FREQUENT = 10  # least number of distinct training sentences with a word that is replaced or deleted
RARE = 20  # a word in fewer sentences may become its antonym
MAIN_USE = 0.7  # least share of its part of speech among a neighbour's occurrences
SYNONYM_COSINE = 0.66  # chosen by reading: below it are route for road and laying for putting, above big for large
NEIGHBOUR_COSINE = 0.6
ANTONYM_COSINE = 0.3  # opposites have similar contexts; below it are words hardly in use (dirtying, unprotective)
MIN_OPPOSITIONS = 5  # training pairs needed to measure what an antonym does to a rating
NEGATIONS = word_set("no not nobody nothing never none without isn't aren't doesn't don't cannot can't")
GENDERED = word_set("he him his she her hers himself herself")


@dataclass(frozen=True)
class WordVectors:
    """Cosines between words; a word without a vector is similar to none.

    Args:
        unit: (words, dim) vectors of length 1.
        row: word -> row of `unit`.
    """

    unit: np.ndarray
    row: dict[str, int]

    @classmethod
    def of(cls, words: list[str], vectors: np.ndarray) -> "WordVectors":
        """Normalise the vectors that read_vectors() returns."""
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(vectors / np.maximum(lengths, 1e-12), {word: i for i, word in enumerate(words)})

    def cosine(self, first: str, second: str) -> float:
        """Cosine of two words, -1 to 1; -1 where one has no vector."""
        if first not in self.row or second not in self.row:
            return -1.0
        return float(self.unit[self.row[first]] @ self.unit[self.row[second]])

    def nearest(self, word: str, count: int) -> list[str]:
        """The `count` most similar words, best first; none for a word without a vector."""
        if word not in self.row:
            return []
        cosines = self.unit @ self.unit[self.row[word]]
        words = list(self.row)
        return [words[i] for i in np.argsort(-cosines, kind="stable") if words[i] != word][:count]


@dataclass(frozen=True)
class Resources:
    """Lexicon, vectors and counts of the words of the training sentences, and of no others.

    Args:
        frequency: word -> number of distinct training sentences that contain it.
        sample: lexicon or vectors are the synthetic sample's.
    """

    lexicon: Lexicon
    vectors: WordVectors
    frequency: Counter
    sample: bool = False

    @classmethod
    def load(cls, train: "pd.DataFrame") -> "Resources":
        """Load WordNet and GloVe 840B for these words; in profile quick the sample's where they are missing.

        Raises:
            SourceError: one of them is missing.
        """
        sentences = dict.fromkeys(map(str.lower, [*train["sentence_a"], *train["sentence_b"]]))
        frequency = Counter(word for sentence in sentences for word in set(words_of(sentence)))
        path, sample = obtain_or_sample("glove-840b-sick")
        lexicon, vectors = load_lexicon(frequency), WordVectors.of(*read_vectors(path, frequency))
        return cls(lexicon, vectors, frequency, sample or lexicon.sample)

    def tagger(self) -> Callable[[str], dict[str, str]]:
        """parts_of_speech() with a cache: a SICK sentence is part of several pairs."""
        return cache(lambda text: parts_of_speech(text, self.lexicon))

    def synonyms(self, word: str, part: str, min_cosine: float) -> list[str]:
        """The lexicon's synonyms whose vectors are similar; of an adverb only those with the same parts of speech.

        "inside" is a preposition too, "indoors" is not: their other parts of speech tell them apart.
        """
        lexicon = self.lexicon
        known = lexicon.parts(word)[part].synonyms
        if part == "r":
            known = [other for other in known if set(lexicon.parts(other)) == set(lexicon.parts(word))]
        return [other for other in known if self.vectors.cosine(word, other) >= min_cosine]

    def neighbours(self, word: str, part: str, count: int, min_cosine: float) -> list[str]:
        """Among the nearest words those with the same part of speech, inflection and field (animals, clothes)."""
        own, found = self.lexicon.parts(word)[part], []
        for other in self.vectors.nearest(word, count):
            entry = self.lexicon.parts(other).get(part)
            alike = entry and entry.share >= MAIN_USE and (entry.form, entry.field) == (own.form, own.field)
            if alike and self.vectors.cosine(word, other) >= min_cosine:
                found.append(other)
        return found


class Change(NamedTuple):
    """Both sentences of a pair after a change; detail says where (a, b or ab), old and new word."""

    sentence_a: str
    sentence_b: str
    detail: str


def synonym_pairs(
    train: "pd.DataFrame", *, seed: int, resources: Resources, min_frequency=FREQUENT, min_cosine=SYNONYM_COSINE,
    per_pair=2,
) -> "pd.DataFrame":  # fmt: skip
    """A frequent word of one sentence becomes a synonym; relatedness and entailment stay.

    Synonyms are WordNet's, of the word's main sense and in the same part of speech and inflection, and only those whose
    vectors are similar. Mueller & Thyagarajan (AAAI 2016) enlarge SICK by WordNet synonyms too.

    Args:
        min_frequency: of the replaced word.
        min_cosine: least cosine of the two words.
        per_pair: most new pairs from one pair.
    """
    tags = resources.tagger()

    def changes(pair) -> Iterator[Change]:
        for side, text in (("a", pair.sentence_a), ("b", pair.sentence_b)):
            for word, part in tags(text).items():
                if resources.frequency[word] >= min_frequency:
                    for other in resources.synonyms(word, part, min_cosine):
                        yield from _replaced(pair, side, word, other)

    return _collect(train, "synonyms", changes, seed, per_pair)


def antonym_pairs(
    train: "pd.DataFrame", *, seed: int, resources: Resources, below=RARE, min_cosine=ANTONYM_COSINE, per_pair=2
) -> "pd.DataFrame":
    """A rare word of a sentence becomes its antonym; the changed sentence is paired with the original one.

    The label is measured: that of training pairs which differ by an antonym alone (measure_opposition). So a changed
    sentence is paired with its original only or, where the pair is rated PARAPHRASE or more, entails and shares the
    word, with the original's partner. Sentences with a negation are left out.

    Args:
        below: the replaced word is in fewer distinct training sentences.
        min_cosine: least cosine of the two words.
        per_pair: most new pairs from one pair.

    Raises:
        ValueError: too few training pairs to measure what an antonym does.
    """
    label = measure_opposition(train, resources.lexicon)
    frequency, tags = resources.frequency, resources.tagger()

    def changes(pair) -> Iterator[Change]:
        texts = (pair.sentence_a, pair.sentence_b)
        if NEGATIONS & {word for text in texts for word in words_of(text)}:
            return
        paraphrase = pair.relatedness >= PARAPHRASE and pair.entailment == "ENTAILMENT"
        for text, partner in (texts, texts[::-1]):
            for word, part in tags(text).items():
                for other in _opposites(text, word, part, resources, min_cosine) if frequency[word] < below else ():
                    changed = replace_word(text, word, other)
                    yield Change(text, changed, f"itself: {word} -> {other}")
                    if paraphrase and tags(partner).get(word) == part:
                        yield Change(partner, changed, f"partner: {word} -> {other}")

    new = _collect(train, "antonyms", changes, seed, per_pair)
    return new.assign(relatedness=round(label.relatedness, 2), entailment=label.entailment)


class Opposition(NamedTuple):
    """Ratings of training pairs that differ by an antonym alone: count, mean, deviation and most frequent label."""

    count: int
    relatedness: float
    std: float
    entailment: str


def measure_opposition(train: "pd.DataFrame", lexicon: Lexicon) -> Opposition:
    """Measure what one antonym does to a rating, on the training pairs whose sentences differ in nothing else.

    Raises:
        ValueError: fewer than MIN_OPPOSITIONS such pairs.
    """
    rows = []
    for pair in train.itertuples():
        first, second = Counter(words_of(pair.sentence_a)), Counter(words_of(pair.sentence_b))
        left, right = [*(first - second).elements()], [*(second - first).elements()]
        if len(left) == len(right) == 1 and lexicon.opposed(left[0], right[0]):
            rows.append((pair.relatedness, pair.entailment))
    if len(rows) < MIN_OPPOSITIONS:
        raise ValueError(
            f"{len(rows)} training pairs differ by an antonym alone, and {MIN_OPPOSITIONS} are needed to measure what "
            "that does to a rating: pass more training pairs"
        )
    ratings, labels = zip(*rows, strict=True)
    usual = Counter(labels).most_common(1)[0][0]
    return Opposition(len(rows), float(np.mean(ratings)), float(np.std(ratings)), usual)


def neighbour_pairs(
    train: "pd.DataFrame", *, seed: int, resources: Resources, neighbours=5, min_cosine=NEIGHBOUR_COSINE, per_pair=1
) -> "pd.DataFrame":
    """A noun or adjective of both sentences becomes in both a near neighbour by word vector; labels stay.

    Neighbours are often no synonyms (man, woman): in one sentence the swap would change the rating, in both sentences
    what they have in common stays.

    Args:
        neighbours: how many are considered; those of another part of speech, inflection or field are dropped.
        min_cosine: least cosine of the two words.
        per_pair: most new pairs from one pair.
    """
    tags = resources.tagger()
    others = cache(partial(resources.neighbours, count=neighbours, min_cosine=min_cosine))

    def changes(pair) -> Iterator[Change]:
        for word, part in _common(pair, tags):
            entry = resources.lexicon.parts(word)[part]
            if part in ("n", "a") and not _tied(entry, pair.sentence_a, pair.sentence_b):  # verbs bring their objects
                for other in others(word, part):
                    yield from _replaced(pair, "ab", word, other)

    return _collect(train, "neighbours", changes, seed, per_pair)


def deletion_pairs(
    train: "pd.DataFrame", *, seed: int, resources: Resources, min_frequency=FREQUENT, per_pair=1
) -> "pd.DataFrame":
    """A frequent adjective before a noun, or adverb in -ly, is deleted from both sentences; labels stay.

    Deleting any word, as EDA does (Wei & Zou, EMNLP 2019), would leave half sentences; a modifier can go. A rare one
    may be half of a term (martial arts).

    Args:
        min_frequency: of the deleted word.
        per_pair: most new pairs from one pair.
    """
    tags = resources.tagger()

    def changes(pair) -> Iterator[Change]:
        texts = (pair.sentence_a, pair.sentence_b)
        for word, part in _common(pair, tags):
            modifies = all(_is_modifier(text, word, part, tags(text)) for text in texts)
            if modifies and resources.frequency[word] >= min_frequency:
                yield Change(*(delete_word(text, word) for text in texts), f"ab: {word} -> ∅")

    return _collect(train, "deletion", changes, seed, per_pair)


def _collect(
    train: "pd.DataFrame", technique: str, changes: Callable[[NamedTuple], Iterator[Change]], seed: int, per_pair: int
) -> "pd.DataFrame":
    """The new pairs of at most per_pair changes of every pair, drawn at random."""
    rng = np.random.default_rng(seed)
    rows = []
    for pair in train.itertuples():
        options = list(dict.fromkeys(changes(pair)))
        for i in rng.permutation(len(options))[:per_pair]:
            first, second, detail = options[i]
            rows.append((first, second, pair.relatedness, pair.entailment, pair.pair_id, detail))
    return make_pairs(rows, technique)


def _replaced(pair, side: str, old: str, new: str) -> Iterator[Change]:
    """The change, unless a sentence to be changed has the new word already."""
    texts = {"a": pair.sentence_a, "b": pair.sentence_b}
    if not any(new in words_of(texts[each]) for each in side):
        texts |= {each: replace_word(texts[each], old, new) for each in side}
        yield Change(texts["a"], texts["b"], f"{side}: {old} -> {new}")


def _common(pair, tags: Callable[[str], dict[str, str]]) -> list[tuple[str, str]]:
    """(word, part of speech) of the words that are the same part of speech in both sentences."""
    second = tags(pair.sentence_b)
    return [(word, part) for word, part in tags(pair.sentence_a).items() if second.get(word) == part]


def _opposites(text: str, word: str, part: str, resources: Resources, min_cosine: float) -> list[str]:
    """Antonyms of a word that a text has once and that no pronoun refers to."""
    entry = resources.lexicon.parts(word)[part]
    if words_of(text).count(word) != 1 or _tied(entry, text):
        return []
    return [other for other in entry.antonyms if resources.vectors.cosine(word, other) >= min_cosine]


def _tied(entry: Entry, *texts: str) -> bool:
    """Whether it is a person whose sex a pronoun in the text tells."""
    return entry.field == "noun.person" and any(GENDERED & set(words_of(text)) for text in texts)


def _is_modifier(text: str, word: str, part: str, tagged: dict[str, str]) -> bool:
    """Whether the text has the word once, before what it modifies, and not in a list (black and white)."""
    places = re.findall(rf"(?:^|(\w+) ){word} (\w+)", text.lower())
    if len(places) != 1 or words_of(text).count(word) != 1 or places[0][0] in ("and", "or"):
        return False
    return tagged.get(places[0][1]) in ("n", "a") if part == "a" else part == "r" and word.endswith("ly")


TECHNIQUES: dict[str, Callable[..., "pd.DataFrame"]] = {
    "synonyms": synonym_pairs,
    "antonyms": antonym_pairs,
    "repaired": repaired_pairs,
    "neighbours": neighbour_pairs,
    "deletion": deletion_pairs,
}


def augment(
    train: "pd.DataFrame", technique: str, *, seed: int, test: "pd.DataFrame", resources: Resources | None = None,
    **options,
) -> "pd.DataFrame":  # fmt: skip
    """New training pairs by one technique or by "all": each pair once, none of the training pairs, none that leaks.

    Args:
        train: training pairs, with the columns of load_sick().
        technique: one of TECHNIQUES, or "all".
        test: pairs that no training set may contain: the test partition, and trial or the held-out fold where those
            are evaluated.
        resources: Resources.load(train); None: loaded here.
        options: of the technique's function.

    Returns:
        The new pairs alone.

    Raises:
        ValueError: unknown technique, or a row of train is of the test partition.
        SourceError: a resource is missing.

    Example:
        >>> new = augment(train, "synonyms", seed=1, test=test)
        >>> enlarged = pd.concat([train, new])
    """
    if technique not in [*TECHNIQUES, "all"]:
        raise settings.WrongValue(f"technique {technique!r} is not one of {', '.join(TECHNIQUES)}, all")
    if (train["partition"] == "test").any():
        raise ValueError("train holds rows of partition test: pass training pairs only")
    if technique != "repaired" and resources is None:
        resources = Resources.load(train)
    if technique == "all":
        import pandas as pd

        each = [augment(train, name, seed=seed, test=test, resources=resources, **options) for name in TECHNIQUES]
        return drop_known(pd.concat(each), train).reset_index(drop=True)
    needed = {} if technique == "repaired" else {"resources": resources}
    new = drop_known(TECHNIQUES[technique](train, seed=seed, **needed, **options), train)
    new = new[~leaks(new, test, train)].reset_index(drop=True)
    check_no_leak(new, test, train)
    return new
