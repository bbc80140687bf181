"""Which words mean the same or the opposite: a Lexicon over a vocabulary, from WordNet 3.0 or from the sample's table.

An entry stands for a word as written and a part of speech; its synonyms and antonyms are written in the same inflection
(kids -> children, jumping -> leaping). What cannot be inflected with certainty is left out.
"""

import re
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import nltk
from nltk.corpus.reader.wordnet import Lemma, Synset, WordNetCorpusReader

from helpers import settings
from helpers.data.corpora import SchemaError, check_filled, check_one_of, read_lines, split_fields
from helpers.data.sources import SOURCES, SourceError, obtain, obtain_or_sample


def word_set(words: str) -> frozenset[str]:
    """The words of a text with spaces between."""
    return frozenset(words.split())


PARTS = ("n", "v", "a", "r")  # noun, verb, adjective, adverb, as WordNet writes them
FOLDER = "nltk_data/corpora/wordnet/"
UNREAD = (
    "wordnet-LICENSE",
    "wordnet-index.sense",
)  # no official address serves them alone, and nothing here needs them
TABLE = "nltk_data/synonyms.en.tsv"  # in the sample's folder
TABLE_COLUMNS = ["word", "pos", "synonyms", "antonyms"]
FUNCTION_WORDS = word_set(  # beyond the stop words: WordNet knows neither prepositions nor pronouns
    "near behind beside besides along alongside across around among toward towards upon onto next like unlike without "
    "within beyond someone somebody something anyone anybody nobody nothing everyone everybody everything another one "
    "two three four five six seven eight nine ten also together away back front many several much lot"
)
MAIN_SENSE = 0.4  # share of a word's occurrences that its first sense must have for the sense to be taken as meant
SYNONYM_RANK, ANTONYM_RANK = 2, 4  # among how many first senses the other word must have its own
UNSEEN = 0.5  # added to the count of a part of speech, so that words WordNet never counted are undecided, not absent


@dataclass(frozen=True)
class Entry:
    """A word as one part of speech.

    Args:
        share: of the word's occurrences in WordNet's counts (SemCor), those with this part of speech.
        form: its inflection: base, plural, third, ing or past.
        field: what its main sense is about, as WordNet's lexicographers sorted it (noun.animal); "" unknown.
        synonyms, antonyms: other words of the vocabulary, in the same inflection.
    """

    share: float
    form: str
    field: str = ""
    synonyms: tuple[str, ...] = ()
    antonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lexicon:
    """What is known of each word of a vocabulary.

    Args:
        entries: by word and part of speech; none for function words.
        function_words: stop words, prepositions, pronouns, numbers.
        sample: read from the synthetic sample's table.
    """

    entries: Mapping[str, Mapping[str, Entry]]
    function_words: Collection[str] = FUNCTION_WORDS
    sample: bool = False

    def parts(self, word: str) -> Mapping[str, Entry]:
        """Entries of a word by part of speech; empty where it is not known."""
        return self.entries.get(word, {})

    def opposed(self, first: str, second: str) -> bool:
        """Is one an antonym of the other, in any part of speech?"""
        return any(second in entry.antonyms for entry in self.parts(first).values()) or any(
            first in entry.antonyms for entry in self.parts(second).values()
        )


def load_lexicon(vocabulary: Collection[str]) -> Lexicon:
    """WordNet's entries of these words; in profile quick those of the sample's table where WordNet cannot be had.

    Raises:
        SourceError: a file of WordNet cannot be had, and the profile is full.
    """
    function_words = FUNCTION_WORDS | stopwords_en()
    names = [name for name, source in SOURCES.items() if source.path.startswith(FOLDER) and name not in UNREAD]
    try:
        paths = [obtain(name) for name in names]
    except SourceError:
        if settings.profile() == "quick":
            return read_table(settings.sample_dir() / TABLE, function_words)
        raise
    return read_wordnet(paths[0].parent, vocabulary, function_words)


def stopwords_en() -> frozenset[str]:
    """NLTK's English stop words; in profile quick those of the sample where the real list cannot be had."""
    path, _ = obtain_or_sample("stopwords")
    with zipfile.ZipFile(path) as archive:
        return frozenset(archive.read("stopwords/english").decode("utf-8").split())


def read_table(path: Path, function_words: Collection[str] = FUNCTION_WORDS) -> Lexicon:
    """The sample's table: word, part of speech, synonyms and antonyms with commas between; parts equally likely.

    Raises:
        SchemaError: a row is not like that.
    """
    entries: dict[str, dict[str, Entry]] = defaultdict(dict)
    for number, line in read_lines(path):
        fields = split_fields(path, number, line, (len(TABLE_COLUMNS),))
        if number == 1:
            if fields != TABLE_COLUMNS:
                raise SchemaError(path, 1, "(header)", " ".join(TABLE_COLUMNS), line)
            continue
        word, part, *others = fields
        check_filled(path, number, "word", word)
        check_one_of(path, number, "pos", part, PARTS)
        form = "ing" if part == "v" and word.endswith("ing") else "base"
        synonyms, antonyms = (tuple(filter(None, cell.split(","))) for cell in others)
        entries[word][part] = Entry(1.0, form, "", synonyms, antonyms)
    known = {word: _shared(parts) for word, parts in entries.items() if word not in function_words}
    return Lexicon(known, function_words, sample=True)


def read_wordnet(
    folder: Path, vocabulary: Collection[str], function_words: Collection[str] = FUNCTION_WORDS
) -> Lexicon:
    """Entries of the vocabulary's words from a folder with WordNet's database files.

    Synonyms and antonyms are those of the word's first sense, if that is its main one (MAIN_SENSE); and the other word
    must have its sense among its first ones (SYNONYM_RANK, ANTONYM_RANK): "running" is no antonym of "idling" to most.
    """
    words = {word for word in vocabulary if word.isalpha() and word == word.lower()} - set(function_words)
    inflections = Inflections.read(folder)
    with closing(EnglishReader(folder)) as wordnet:
        entries = {word: _parts(wordnet, inflections, words, word) for word in sorted(words)}
    return Lexicon({word: parts for word, parts in entries.items() if parts}, function_words)


class EnglishReader(WordNetCorpusReader):
    """NLTK's reader without what only its multilingual part needs, and with all counts in memory, which saves time.

    Args:
        folder: with the database files.
    """

    def __init__(self, folder: Path):
        if str(folder) not in nltk.data.path:  # nltk opens nothing outside its search path
            nltk.data.path.append(str(folder))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The multilingual functions are not available")
            super().__init__(str(folder), None)
        rows = (line.split() for line in (folder / "cntlist.rev").read_text(encoding="utf-8").splitlines())
        self.counts = {key: int(count) for key, _, count in rows}

    def map_wn(self, version="wordnet") -> None:
        """No map between versions."""

    def lemma_count(self, lemma: Lemma) -> int:
        """Occurrences of this sense of the word in SemCor."""
        return self.counts.get(lemma.key(), 0)

    def close(self) -> None:
        """Close the database files, which the reader keeps open."""
        for file in self._data_file_map.values():
            file.close()


@dataclass(frozen=True)
class Inflections:
    """English inflection by rule, with WordNet's exception lists: lemma -> irregular forms, by part of speech."""

    irregular: Mapping[str, Mapping[str, Collection[str]]]

    @classmethod
    def read(cls, folder: Path) -> "Inflections":
        """From noun.exc and verb.exc."""
        irregular = {"n": defaultdict(set), "v": defaultdict(set)}
        for part, name in (("n", "noun.exc"), ("v", "verb.exc")):
            for line in (folder / name).read_text(encoding="utf-8").splitlines():
                form, *lemmas = line.split()
                for lemma in lemmas:
                    irregular[part][lemma].add(form)
        return cls(irregular)

    def forms(self, lemma: str, part: str) -> dict[str, str]:
        """Name of the inflection -> form; irregular ones of which it is not certain (took, taken) have a name each."""
        special = self.irregular.get(part, {}).get(lemma, set())
        if part == "n":
            forms = {"base": lemma} | _named("plural", special, _add_s(lemma))
        elif part == "v":
            ing = {form for form in special if form.endswith("ing")}
            stem = lemma[:-1] if re.search(r"[^eoy]e$", lemma) else lemma
            forms = {"base": lemma, "third": _add_s(lemma)} | _named("ing", ing, stem + "ing")
            forms |= _named("past", special - ing, _add_ed(lemma))
        else:
            forms = {"base": lemma}
        return forms


def _named(name: str, special: Collection[str], regular: str) -> dict[str, str]:
    """The regular form where there is no irregular one, the irregular one where there is one only."""
    if len(special) < 2:
        return {name: next(iter(special), regular)}
    return {f"{name}: {form}": form for form in sorted(special)}


def _add_s(lemma: str) -> str:
    if re.search(r"[^aeiou]y$", lemma):
        return lemma[:-1] + "ies"
    return lemma + ("es" if re.search(r"(s|x|z|ch|sh|[^aeiou]o)$", lemma) else "s")


def _add_ed(lemma: str) -> str:
    if re.search(r"[^aeiou]y$", lemma):
        return lemma[:-1] + "ied"
    return lemma + ("d" if lemma.endswith("e") else "ed")


Reading = tuple[str, str, int]  # lemma, inflection, count


def _parts(wordnet: EnglishReader, inflections: Inflections, words: Collection[str], word: str) -> dict[str, Entry]:
    readings = {part: _reading(wordnet, inflections, word, part) for part in PARTS}
    known = {part: reading for part, reading in readings.items() if reading is not None}
    total = sum(count + UNSEEN for _, _, count in known.values())
    return {
        part: _entry(wordnet, inflections, words, part, reading, (reading[2] + UNSEEN) / total)
        for part, reading in known.items()
    }


def _reading(wordnet: EnglishReader, inflections: Inflections, word: str, part: str) -> Reading | None:
    """What the word most often is, as this part of speech: "men" is the plural of "man" rather than "men" itself."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for synset in wordnet.synsets(word, pos=part):
        for lemma in synset.lemmas():
            for name, form in inflections.forms(lemma.name(), part).items():
                if form == word:
                    counts[lemma.name(), name] += lemma.count()
    best = max(counts, key=lambda key: (counts[key], key[1] == "base", key), default=None)
    return best and (*best, counts[best])


def _entry(
    wordnet: EnglishReader, inflections: Inflections, words: Collection[str], part: str, reading: Reading,
    share: float,
) -> Entry:  # fmt: skip
    name, form, _ = reading
    own = [lemma for lemma in wordnet.lemmas(name, pos=part) if lemma.name() == name]
    if not own or not _main(own):
        return Entry(share, form)
    sense: Synset = own[0].synset()

    def inflected(lemmas: Iterable[Lemma], rank: int) -> tuple[str, ...]:
        main = [lemma for lemma in lemmas if lemma.synset() in wordnet.synsets(lemma.name(), pos=part)[:rank]]
        others = (inflections.forms(lemma.name(), part).get(form) for lemma in main if lemma.name() != name)
        return tuple(dict.fromkeys(other for other in others if other in words))

    return Entry(
        share,
        form,
        sense.lexname(),
        inflected(sense.lemmas(), SYNONYM_RANK),
        inflected(own[0].antonyms(), ANTONYM_RANK),
    )


def _main(senses: list[Lemma]) -> bool:
    """Is the first sense what the word mostly means? Undecided where WordNet never counted any of several senses."""
    counts = [lemma.count() for lemma in senses]
    return len(senses) == 1 or (counts[0] > 0 and counts[0] >= MAIN_SENSE * sum(counts))


def _shared(parts: Mapping[str, Entry]) -> dict[str, Entry]:
    return {part: replace(entry, share=1 / len(parts)) for part, entry in parts.items()}
