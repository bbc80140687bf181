"""Which words mean the same or the opposite: a Lexicon over a vocabulary, from WordNet 3.0 or from the sample's table.

An entry belongs to a word as written and a part of speech; its synonyms and antonyms have the same inflection
(kids -> children, jumping -> leaping). What cannot be inflected with certainty is left out.
"""

import re
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import settings
from helpers.data.corpora import SchemaError, check_filled, check_one_of, read_lines, split_fields
from helpers.data.sources import SOURCES, SourceError, obtain, obtain_or_sample

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import Lemma, WordNetCorpusReader


def word_set(words: str) -> frozenset[str]:
    """The words of a text that are separated by white space."""
    return frozenset(words.split())


PARTS = ("n", "v", "a", "r")  # noun, verb, adjective, adverb, as WordNet writes them
FOLDER = "nltk_data/corpora/wordnet/"
UNREAD = ("wordnet-LICENSE", "wordnet-index.sense")  # no official address has them alone, and nothing here needs them
TABLE = "nltk_data/synonyms.en.tsv"  # in the sample's folder
TABLE_COLUMNS = ["word", "pos", "synonyms", "antonyms"]
FUNCTION_WORDS = word_set(  # beyond the stop words: WordNet has neither prepositions nor pronouns
    "near behind beside besides along alongside across around among toward towards upon onto next like unlike without "
    "within beyond someone somebody something anyone anybody nobody nothing everyone everybody everything another one "
    "two three four five six seven eight nine ten also together away back front many several much lot"
)
MAIN_SENSE = 0.4  # share of a word's occurrences that its first sense needs to be taken as the intended one
SYNONYM_RANK, ANTONYM_RANK = 2, 4  # the other word needs its sense among so many of its first ones
UNSEEN = 0.5  # added to the count of a part of speech: words that WordNet never counted are undecided, not absent


@dataclass(frozen=True)
class Entry:
    """A word as one part of speech.

    Args:
        share: of the word's occurrences in WordNet's counts (SemCor), those with this part of speech.
        form: its inflection: base, plural, third, ing or past.
        field: subject of its main sense, as WordNet's lexicographers sorted it (noun.animal); "" unknown.
        synonyms, antonyms: other words of the vocabulary, in the same inflection.
    """

    share: float
    form: str
    field: str = ""
    synonyms: tuple[str, ...] = ()
    antonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lexicon:
    """The entries of a vocabulary's words.

    Args:
        entries: by word and part of speech; none for function words.
        function_words: stop words, prepositions, pronouns, numbers.
        sample: read from the synthetic sample's table.
    """

    entries: Mapping[str, Mapping[str, Entry]]
    function_words: Collection[str] = FUNCTION_WORDS
    sample: bool = False

    def parts(self, word: str) -> Mapping[str, Entry]:
        """Entries of a word by part of speech; empty for an unknown word."""
        return self.entries.get(word, {})

    def opposed(self, first: str, second: str) -> bool:
        """Whether one is an antonym of the other, in any part of speech."""
        pairs = ((first, second), (second, first))
        return any(other in entry.antonyms for word, other in pairs for entry in self.parts(word).values())


def load_lexicon(vocabulary: Collection[str]) -> Lexicon:
    """WordNet's entries of these words; in profile quick those of the sample's table where WordNet is missing.

    Raises:
        SourceError: a file of WordNet is missing, and the profile is full.

    Example:
        >>> load_lexicon(["big", "large"]).parts("big")["a"].synonyms
        ('large',)
    """
    function_words = FUNCTION_WORDS | stopwords_en()
    names = [name for name, source in SOURCES.items() if source.path.startswith(FOLDER) and name not in UNREAD]
    try:
        paths = [obtain(name) for name in names]
    except SourceError:
        if settings.profile() == "full":
            raise
        return read_table(settings.sample_dir() / TABLE, function_words)
    return read_wordnet(paths[0].parent, vocabulary, function_words)


def stopwords_en() -> frozenset[str]:
    """NLTK's English stop words; in profile quick those of the sample where the real list is missing."""
    path, _ = obtain_or_sample("stopwords")
    with zipfile.ZipFile(path) as archive:
        return frozenset(archive.read("stopwords/english").decode("utf-8").split())


def read_table(path: str | Path, function_words: Collection[str] = FUNCTION_WORDS) -> Lexicon:
    """Read a tab-separated table: word, part of speech, synonyms and antonyms (commas between); parts equally likely.

    Raises:
        SchemaError: a row has another form (names row and field).
    """
    path, entries = Path(path), defaultdict(dict)
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
        entries[word][part] = Entry(1.0, form, "", *(tuple(filter(None, cell.split(","))) for cell in others))
    known = {
        word: {part: replace(entry, share=1 / len(parts)) for part, entry in parts.items()}
        for word, parts in entries.items()
        if word not in function_words
    }
    return Lexicon(known, function_words, sample=True)


def read_wordnet(
    folder: str | Path, vocabulary: Collection[str], function_words: Collection[str] = FUNCTION_WORDS
) -> Lexicon:
    """Entries of the vocabulary's words from a folder with WordNet's database files.

    Synonyms and antonyms are those of the word's first sense, if that is its main one (MAIN_SENSE); and the other word
    needs its sense among its own first ones (SYNONYM_RANK, ANTONYM_RANK): "running" is hardly the antonym of "idling".
    """
    folder = Path(folder)
    words = {word for word in vocabulary if word.isalpha() and word == word.lower()} - set(function_words)
    inflections = Inflections.read(folder)
    with _wordnet(folder) as wordnet:
        entries = {word: _entries(wordnet, inflections, words, word) for word in sorted(words)}
    return Lexicon({word: parts for word, parts in entries.items() if parts}, function_words)


@contextmanager
def _wordnet(folder: Path) -> Iterator["WordNetCorpusReader"]:
    """NLTK's reader of the folder, without its multilingual part and with all counts in memory, which saves time.

    NLTK refuses files that are links to other folders or that belong to another user, as those of a shared cache or a
    content store are. These are ours, verified by hash where they were obtained: they are opened directly.
    """
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    rows = (line.split() for line in (folder / "cntlist.rev").read_text(encoding="utf-8").splitlines())
    counts = {key: int(count) for key, _, count in rows}

    class Reader(WordNetCorpusReader):
        def open(self, file):
            stream = (folder / file).open("rb")
            return opened.enter_context(nltk.data.SeekableUnicodeStreamReader(stream, "utf-8"))

        def map_wn(self, version="wordnet"):
            return None  # no map between versions is needed

        def lemma_count(self, lemma):
            return counts.get(lemma.key(), 0)

    with ExitStack() as opened:
        if str(folder) not in nltk.data.path:  # NLTK accepts no corpus outside its search path
            nltk.data.path.append(str(folder))
            opened.callback(nltk.data.path.remove, str(folder))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The multilingual functions are not available")
            reader = Reader(str(folder), None)
        yield reader


@dataclass(frozen=True)
class Inflections:
    """English inflection by rule, with WordNet's exception lists.

    Args:
        irregular: irregular forms by part of speech and lemma.
    """

    irregular: Mapping[str, Mapping[str, Collection[str]]]

    @classmethod
    def read(cls, folder: str | Path) -> "Inflections":
        """Read noun.exc and verb.exc."""
        irregular = {"n": defaultdict(set), "v": defaultdict(set)}
        for part, name in (("n", "noun.exc"), ("v", "verb.exc")):
            for line in (Path(folder) / name).read_text(encoding="utf-8").splitlines():
                form, *lemmas = line.split()
                for lemma in lemmas:
                    irregular[part][lemma].add(form)
        return cls(irregular)

    def forms(self, lemma: str, part: str) -> dict[str, str]:
        """Inflection -> form; where several irregular forms compete (took, taken) each has an inflection of its own."""
        special = self.irregular.get(part, {}).get(lemma, set())
        forms = {"base": lemma}
        if part == "n":
            forms |= _named("plural", special, _add_s(lemma))
        elif part == "v":
            ing = {form for form in special if form.endswith("ing")}
            stem = lemma[:-1] if re.search(r"[^eoy]e$", lemma) else lemma
            forms |= {"third": _add_s(lemma)} | _named("ing", ing, stem + "ing")
            forms |= _named("past", special - ing, _add_ed(lemma))
        return forms


def _named(name: str, special: Collection[str], regular: str) -> dict[str, str]:
    """The regular form, the only irregular one, or each of several under its own name."""
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


def _entries(
    wordnet: "WordNetCorpusReader", inflections: Inflections, words: Collection[str], word: str
) -> dict[str, Entry]:
    """Entries of a word by part of speech."""
    readings = {part: _reading(wordnet, inflections, word, part) for part in PARTS}
    known = {part: reading for part, reading in readings.items() if reading is not None}
    total = sum(count + UNSEEN for _, _, count in known.values())
    return {
        part: _entry(wordnet, inflections, words, part, lemma, form, (count + UNSEEN) / total)
        for part, (lemma, form, count) in known.items()
    }


def _reading(
    wordnet: "WordNetCorpusReader", inflections: Inflections, word: str, part: str
) -> tuple[str, str, int] | None:
    """(lemma, inflection, count), the most frequent: "men" is the plural of "man" rather than the lemma "men"."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for synset in wordnet.synsets(word, pos=part):
        for lemma in synset.lemmas():
            for name, form in inflections.forms(lemma.name(), part).items():
                if form == word:
                    counts[lemma.name(), name] += lemma.count()
    best = max(counts, key=lambda key: (counts[key], key[1] == "base", key), default=None)
    return best and (*best, counts[best])


def _entry(
    wordnet: "WordNetCorpusReader", inflections: Inflections, words: Collection[str], part: str, name: str, form: str,
    share: float,
) -> Entry:  # fmt: skip
    own = [lemma for lemma in wordnet.lemmas(name, pos=part) if lemma.name() == name]
    if not _has_main_sense(own):
        return Entry(share, form)
    sense = own[0].synset()

    def inflected(lemmas: Iterable["Lemma"], rank: int) -> tuple[str, ...]:
        main = [lemma for lemma in lemmas if lemma.synset() in wordnet.synsets(lemma.name(), pos=part)[:rank]]
        others = (inflections.forms(lemma.name(), part).get(form) for lemma in main if lemma.name() != name)
        return tuple(dict.fromkeys(other for other in others if other in words))

    synonyms, antonyms = inflected(sense.lemmas(), SYNONYM_RANK), inflected(own[0].antonyms(), ANTONYM_RANK)
    return Entry(share, form, sense.lexname(), synonyms, antonyms)


def _has_main_sense(senses: list["Lemma"]) -> bool:
    """Whether the first sense is what the word mostly means; undecided where WordNet counted none of several senses."""
    counts = [lemma.count() for lemma in senses]
    return len(senses) == 1 or (bool(senses) and counts[0] > 0 and counts[0] >= MAIN_SENSE * sum(counts))
