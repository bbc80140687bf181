"""The lexicon: what is taken from WordNet's files (a small one written here) and from the sample's table."""

import os
from collections import defaultdict
from pathlib import Path

import nltk
import pytest

from helpers import settings
from helpers.augment import lexicon
from helpers.augment.lexicon import Inflections, Lexicon, load_lexicon, read_table, read_wordnet, word_set
from helpers.data import sources
from helpers.data.corpora import SchemaError
from helpers.data.sources import SourceError

FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
FIELDS = {"noun.person": 18, "noun.artifact": 6, "verb.motion": 38, "adj.all": 0, "adv.all": 2}
SYNSETS = [  # part of speech, field, {word: occurrences}, antonyms of the first word; senses in this order
    ("n", "noun.person", {"child": 148, "kid": 53}, []),
    ("n", "noun.person", {"man": 700}, ["woman"]),
    ("n", "noun.person", {"men": 30, "hands": 20}, []),
    ("n", "noun.person", {"woman": 400}, ["man"]),
    ("n", "noun.artifact", {"bike": 0, "motorcycle": 0}, []),
    ("n", "noun.artifact", {"bike": 0, "bicycle": 5}, []),
    ("n", "noun.artifact", {"road": 90, "route": 2}, []),
    ("n", "noun.artifact", {"car": 70, "automobile": 15}, []),
    ("n", "noun.artifact", {"way": 9, "lane": 1}, []),
    ("n", "noun.artifact", {"lane": 6}, []),
    ("n", "noun.artifact", {"alley": 4, "lane": 0}, []),
    ("v", "verb.motion", {"jump": 19, "leap": 22}, []),
    ("v", "verb.motion", {"take": 50, "carry": 30}, []),
    ("v", "verb.motion", {"man": 1}, []),
    ("v", "verb.motion", {"idle": 5}, ["run"]),
    *[("v", "verb.motion", {"run": 100 - i}, []) for i in range(4)],
    ("v", "verb.motion", {"run": 1}, ["idle"]),
    ("a", "adj.all", {"tall": 15}, ["short"]),
    ("a", "adj.all", {"short": 12}, ["tall"]),
    ("a", "adj.all", {"big": 30, "large": 40}, []),
    ("r", "adv.all", {"quickly": 24, "rapidly": 40}, []),
]
EXCEPTIONS = {
    "noun": ["children child", "men man", "women woman"],
    "verb": ["took take", "taken take", "leapt leap", "ran run"],
}


def offsets() -> list[int]:
    return [100_000 * (i + 1) for i in range(len(SYNSETS))]


def written_wordnet(folder: Path) -> Path:
    """Database files as wndb(5WN) describes them, every synset padded to where its offset says."""
    folder.mkdir(parents=True)
    where, counts = offsets(), []
    index, data = defaultdict(lambda: defaultdict(list)), defaultdict(lambda: b"  license\n")
    for i, (part, field, words, antonyms) in enumerate(SYNSETS):
        number, kind = FIELDS[field], {"n": 1, "v": 2, "a": 3, "r": 4}[part]
        pointers = []
        for antonym in antonyms:
            target = next(j for j, row in enumerate(SYNSETS) if antonym in row[2] and row[0] == part and row[3])
            pointers.append(f"! {where[target]:08d} {part} 0101")
        listed = " ".join(f"{word} {i % 16:x}" for word in words)
        frames = " 01 + 02 00" if part == "v" else ""
        line = f"{where[i]:08d} {number:02d} {part} {len(words):02x} {listed} {len(pointers):03d}"
        line += "".join(f" {pointer}" for pointer in pointers) + frames + " | a gloss  \n"
        data[part] = data[part].ljust(where[i] - 1, b" ") + b"\n" + line.encode()
        for word, count in words.items():
            index[part][word].append(i)
            counts.append(f"{word}%{kind}:{number:02d}:{i % 16:02d}:: 1 {count}")
    for part, name in FILES.items():
        lines = [
            f"{word} {part} {len(found)} 0 {len(found)} 0 {' '.join(f'{where[i]:08d}' for i in found)}  \n"
            for word, found in sorted(index[part].items())
        ]
        (folder / f"index.{name}").write_text("  license\n" + "".join(lines))
        (folder / f"data.{name}").write_bytes(data[part])
        (folder / f"{name}.exc").write_text("".join(f"{line}\n" for line in EXCEPTIONS.get(name, [])))
    names = dict.fromkeys(range(45), "x") | {number: field for field, number in FIELDS.items()}
    (folder / "lexnames").write_text("".join(f"{number:02d}\t{names[number]}\t1\n" for number in range(45)))
    (folder / "cntlist.rev").write_text("".join(f"{line}\n" for line in sorted(counts)))
    return folder


VOCABULARY = word_set(
    "child children kid kids man men hands woman women bike bikes motorcycle bicycle road roads route routes car cars "
    "automobile jump jumping jumped leap leaping leapt took taken carried carry tall short big large quickly rapidly "
    "idling running way ways lane lanes alley alleys"
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return read_wordnet(written_wordnet(tmp_path_factory.mktemp("wordnet") / "corpora"), VOCABULARY)


@pytest.mark.parametrize(
    ("word", "part", "synonyms", "antonyms"),
    [
        ("child", "n", ("kid",), ()),
        ("children", "n", ("kids",), ()),  # an irregular plural beside a regular one
        ("cars", "n", (), ()),  # "automobiles" is not in the vocabulary
        ("jumping", "v", ("leaping",), ()),
        ("jumped", "v", ("leapt",), ()),
        ("took", "v", (), ()),  # past or participle? "carried" is both, "took" is not
        ("men", "n", (), ("women",)),  # of man, not of the lemma "men" with its synonym "hands"
        ("tall", "a", (), ("short",)),
        ("quickly", "r", ("rapidly",), ()),
        ("bike", "n", (), ()),  # two senses, none ever counted
        ("road", "n", ("route",), ()),
        ("alley", "n", (), ()),  # the third sense of "lane"
        ("idling", "v", (), ()),  # the fifth sense of "running"
    ],
)
def test_entries(small, word, part, synonyms, antonyms):
    entry = small.parts(word)[part]
    assert (entry.synonyms, entry.antonyms) == (synonyms, antonyms)


def test_shares_forms_and_fields(small):
    man = small.parts("man")
    assert set(man) == {"n", "v"}
    assert man["n"].share == pytest.approx(700.5 / 702)
    assert sum(entry.share for entry in man.values()) == pytest.approx(1)
    assert (small.parts("kids")["n"].form, small.parts("leapt")["v"].form) == ("plural", "past")
    assert small.parts("took")["v"].form not in {"past", small.parts("taken")["v"].form}
    assert small.parts("child")["n"].field == "noun.person"


def test_opposed_in_either_direction(small):
    assert small.opposed("women", "men")
    assert small.opposed("men", "women")
    assert not small.opposed("men", "woman")
    assert not small.opposed("men", "unheard")


def test_nothing_but_the_vocabulary_and_no_function_words(tmp_path):
    found = read_wordnet(written_wordnet(tmp_path / "wn"), ["big", "road", "short", "Car", "tall"], {"tall"})
    assert set(found.entries) == {"big", "road", "short"}
    assert all(not entry.synonyms + entry.antonyms for parts in found.entries.values() for entry in parts.values())


def test_reading_says_nothing(tmp_path, recwarn, capfd):
    read_wordnet(str(written_wordnet(tmp_path / "wn")), ["big", "large"])
    assert [str(warning.message) for warning in recwarn] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("lemma", "part", "forms"),
    [
        ("box", "n", {"base": "box", "plural": "boxes"}),
        ("baby", "n", {"base": "baby", "plural": "babies"}),
        ("toy", "n", {"base": "toy", "plural": "toys"}),
        ("photo", "n", {"base": "photo", "plural": "photos"}),
        ("chase", "v", {"base": "chase", "third": "chases", "ing": "chasing", "past": "chased"}),
        ("agree", "v", {"base": "agree", "third": "agrees", "ing": "agreeing", "past": "agreed"}),
        ("carry", "v", {"base": "carry", "third": "carries", "ing": "carrying", "past": "carried"}),
        ("watch", "v", {"base": "watch", "third": "watches", "ing": "watching", "past": "watched"}),
        ("tall", "a", {"base": "tall"}),
    ],
)
def test_regular_inflection(lemma, part, forms):
    exceptions = {"n": {"photo": {"photos"}}}
    assert Inflections(exceptions).forms(lemma, part) == forms


def test_irregular_inflection():
    forms = Inflections({"v": {"take": {"took", "taken"}, "run": {"ran", "running"}}})
    assert forms.forms("run", "v") == {"base": "run", "third": "runs", "ing": "running", "past": "ran"}
    assert {"took", "taken"} < set(forms.forms("take", "v").values())
    assert "past" not in forms.forms("take", "v")


def test_the_sample_stands_in_for_wordnet_in_quick_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_CACHE", str(tmp_path))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    found = load_lexicon(["big"])
    assert found.sample
    assert "large" in found.parts("big")["a"].synonyms
    assert "the" in found.function_words
    monkeypatch.setenv("PROFILE", "full")
    with pytest.raises(SourceError, match="nltk_data"):
        load_lexicon(["big"])


@pytest.mark.parametrize("kind", ["files", "links to files", "link to the folder"])
def test_wordnet_comes_first_also_where_the_cache_holds_links(monkeypatch, tmp_path, kind):
    store, folder = written_wordnet(tmp_path / "store" / "wn"), tmp_path / "cache" / "wn"
    folder.parent.mkdir()
    if kind == "files":
        folder = store
    elif kind == "link to the folder":
        folder.symlink_to(store, target_is_directory=True)
    else:  # as git-annex and content stores keep them, under names of their own
        folder.mkdir()
        for number, path in enumerate(sorted(store.iterdir())):
            moved = path.rename(store.parent / f"{number:02d}")
            (folder / path.name).symlink_to(moved)
    monkeypatch.setattr(lexicon, "obtain", lambda name: folder / name.removeprefix("wordnet-"))
    before = list(nltk.data.path)
    found = load_lexicon(["big", "large", "off"])
    assert not found.sample
    assert found.parts("big")["a"].synonyms == ("large",)
    assert nltk.data.path == before


TABLE = "word\tpos\tsynonyms\tantonyms\n"


def test_table(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text(f"{TABLE}bike\tn\tbicycle,cycle\t\nbike\tv\t\t\nnear\tr\tclose\tfar\npulling\tv\t\tpushing\n")
    found = read_table(str(path), {"near"})
    assert found.sample
    assert set(found.entries) == {"bike", "pulling"}
    assert found.parts("bike")["n"].synonyms == ("bicycle", "cycle")
    assert found.parts("bike")["n"].share == 0.5
    assert (found.parts("pulling")["v"].form, found.parts("pulling")["v"].antonyms) == ("ing", ("pushing",))


@pytest.mark.parametrize(
    ("text", "row", "field"),
    [
        ("word\tpos\tsynonyms\n", 1, "(line)"),
        ("word\tpart\tsynonyms\tantonyms\n", 1, "(header)"),
        (f"{TABLE}big\tx\tlarge\t\n", 2, "pos"),
        (f"{TABLE}\ta\tlarge\t\n", 2, "word"),
        (f"{TABLE}big\ta\tlarge\n", 2, "(line)"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, row, field):
    path = tmp_path / "table.tsv"
    path.write_text(text)
    with pytest.raises(SchemaError) as error:
        read_table(path)
    assert (error.value.row, error.value.field) == (row, field)


def test_an_unknown_word_has_no_part():
    assert Lexicon({}).parts("anything") == {}


def test_real_wordnet(monkeypatch, tmp_path):
    mirror = settings.mirror()
    if not mirror or not Path(mirror, "nltk_data").is_dir():
        pytest.skip("no folder in DATA_MIRROR")
    monkeypatch.setenv("DATA_CACHE", str(tmp_path))
    monkeypatch.setenv("PROFILE", "full")
    assert os.environ["DATA_OFFLINE"] == "1"
    assert sources.offline()
    found = load_lexicon(word_set("children kids jumping leaping bike motorcycle quickly slowly the"))
    assert found.parts("children")["n"].synonyms == ("kids",)
    assert found.parts("jumping")["v"].synonyms == ("leaping",)
    assert found.parts("bike")["n"].synonyms == ()
    assert found.parts("quickly")["r"].antonyms == ("slowly",)
    assert found.parts("the") == {}
