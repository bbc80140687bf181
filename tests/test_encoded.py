import gzip
import json
import mmap
from collections import Counter
from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st

from helpers import settings
from helpers.data.batching import Ragged, RaggedTexts, WordTitles, make_loader
from helpers.data.corpora import SchemaError
from helpers.data.encoded import (
    OFFSETS,
    SEAL,
    TARGETS,
    VALUES,
    SealError,
    chunks,
    count_words,
    disk_bytes,
    open_encoded,
    ranked_words,
    sealed,
    write_encoded,
    write_titles,
    write_words,
)
from helpers.data.text import MAX_TOKENS, UNKNOWN, Vocabulary

SAMPLE = settings.sample_dir() / "meli" / "spanish.test.jsonl.gz"
STOP_WORDS = frozenset({"para", "con"})
WORDS = ["uno", "dos", "tres", "ñandú"]
titles_of_words = st.lists(st.lists(st.sampled_from([*WORDS, "rara"]), max_size=6), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def rows():
    with gzip.open(SAMPLE, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file][:300]


def write_rows(path, rows):
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def encode(folder, titles, targets):
    """The folder that write_encoded() makes of lists of words."""
    (folder / "words").write_text("".join(" ".join(title) + "\n" for title in titles), encoding="utf-8")
    np.save(folder / "targets.npy", np.array(targets, dtype=np.int32))
    write_encoded(folder / "words", folder / "targets.npy", Vocabulary(WORDS), folder / "encoded")
    return folder / "encoded"


@runs(max_examples=40, deadline=None)
@given(titles_of_words, st.sampled_from(["random", "sorted", "equal"]), st.integers(1, 9), st.booleans())
def test_batches_from_disk_are_those_from_memory(tmp_path_factory, titles, strategy, batch_size, shuffled):
    targets = list(range(len(titles)))
    mapped = open_encoded(encode(tmp_path_factory.mktemp("encoded"), titles, targets))
    vocabulary = Vocabulary(WORDS)
    held = RaggedTexts(Ragged([vocabulary.encode(title or ["<unk>"]) for title in titles]), targets)
    epochs = []
    for data in (mapped, held):
        generator = torch.Generator().manual_seed(7) if shuffled else None
        loader = make_loader(data, batch_size, strategy=strategy, generator=generator)
        epochs.append([*loader, *loader])
    assert len(epochs[0]) == len(epochs[1])
    for one, other in zip(*epochs, strict=True):
        for name in ("tokens", "lengths", "targets", "rows"):
            assert getattr(one, name).dtype == getattr(other, name).dtype
            assert torch.equal(getattr(one, name), getattr(other, name))


def test_ids_stay_on_disk(tmp_path):
    tokens = open_encoded(encode(tmp_path, [["uno"], ["dos", "tres"]], [0, 1])).tokens
    for array in (tokens.values, tokens.offsets):
        bases = reduce(lambda found, _: [*found, getattr(found[-1], "base", None)], range(4), [array])
        assert any(isinstance(base, mmap.mmap) for base in bases)
        assert not array.flags.writeable
    assert tokens.values.dtype == np.int32


def test_streams_read_titles_as_the_reader_of_the_models_does(tmp_path, rows):
    source = write_rows(tmp_path / "titles.jsonl.gz", rows)
    assert write_titles(source, tmp_path / "titles", tmp_path / "targets.npy") == len(rows)
    write_words(tmp_path / "titles", tmp_path / "words", STOP_WORDS)
    counts, lacking = count_words(chunks(tmp_path / "words", size=7))
    vocabulary = ranked_words(counts, min_count=3, max_words=50)
    assert (lacking, len(vocabulary)) == (0, 52)
    assert write_encoded(tmp_path / "words", tmp_path / "targets.npy", vocabulary, tmp_path / "made") > len(rows)
    mapped = open_encoded(tmp_path / "made")
    wanted = WordTitles(vocabulary, STOP_WORDS).encode([row["title"] for row in rows])
    assert [mapped.tokens[i].tolist() for i in range(len(rows))] == [
        wanted.tokens[i].tolist() for i in range(len(rows))
    ]
    assert mapped.targets.tolist() == [row["target"] for row in rows]


def test_paths_may_be_strings(tmp_path, rows):
    source, *files = (str(tmp_path / name) for name in ("t.jsonl.gz", "titles", "targets.npy", "words", "made"))
    titles, targets, words, made = files
    write_rows(tmp_path / "t.jsonl.gz", rows[:5])
    assert write_titles(source, titles, targets) == 5
    write_words(titles, words, STOP_WORDS)
    vocabulary = ranked_words(count_words(chunks(words))[0], min_count=1, max_words=50)
    count = write_encoded(words, targets, vocabulary, made)
    assert len(open_encoded(made)) == 5
    assert disk_bytes(made) == disk_bytes(tmp_path / "made") > 4 * count
    assert sealed(str(tmp_path / "kept"), fill) == ({"words": 3}, False)
    assert sealed(str(tmp_path / "kept"), None)[1]


def test_titles_are_cut_like_those_of_the_models(tmp_path):
    (tmp_path / "titles").write_text("mesa " * 100 + "\npara\n", encoding="utf-8")
    write_words(tmp_path / "titles", tmp_path / "words", STOP_WORDS)
    [lines] = chunks(tmp_path / "words")
    assert [len(line.split()) for line in lines] == [MAX_TOKENS, 0]
    np.save(tmp_path / "targets.npy", np.array([0, 1], dtype=np.int32))
    write_encoded(tmp_path / "words", tmp_path / "targets.npy", Vocabulary(["mesa"]), tmp_path / "made")
    assert open_encoded(tmp_path / "made").tokens[1].tolist() == [UNKNOWN]


def test_a_title_stays_one_line_whatever_it_holds(tmp_path, rows):
    odd = [f"Mesa{sign}Madera" for sign in ("\n", "\r", "\u2028", "\x85", "\x1c", "\r\n")]
    source = write_rows(
        tmp_path / "odd.jsonl.gz", [row | {"title": title} for row, title in zip(rows, odd, strict=False)]
    )
    assert write_titles(source, tmp_path / "titles", tmp_path / "targets.npy") == len(odd)
    write_words(tmp_path / "titles", tmp_path / "words", STOP_WORDS)
    assert list(chunks(tmp_path / "words", size=4)) == [["mesa madera"] * 4, ["mesa madera"] * 2]


def test_a_damaged_course_file_is_refused_with_its_row(tmp_path, rows):
    source = write_rows(tmp_path / "cut.jsonl.gz", [rows[0], rows[1] | {"target": -1}])
    with pytest.raises(SchemaError, match="row 2, field 'target'"):
        write_titles(source, tmp_path / "titles", tmp_path / "targets.npy")


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=9), max_size=30), st.integers(1, 8))
def test_counts_are_exact_below_the_limit_and_short_by_what_is_told_above_it(texts, limit):
    counts, lacking = count_words(([" ".join(text)] for text in texts), limit)
    true = Counter(word for text in texts for word in text)
    assert len(counts) <= limit
    assert all(true[word] - lacking <= counts[word] <= true[word] for word in true)
    if len(true) <= limit:
        assert (counts, lacking) == (true, 0)


def test_rare_words_are_forgotten_until_the_counts_fit():
    lists = [["a a a b c"], ["d e"]]
    assert count_words(lists[:1], limit=2) == ({"a": 3}, 1 + 2)  # floor 1 forgets nothing, floor 2 what was seen once
    assert count_words(lists, limit=2) == ({"a": 3}, 1 + 2 + 3)  # floor 3 what was seen once or twice
    assert count_words(lists, limit=5) == ({"a": 3, "b": 1, "c": 1, "d": 1, "e": 1}, 0)


def test_the_dictionary_goes_by_frequency_then_appearance():
    counts = Counter({"b": 2, "a": 2, "c": 5, "rare": 1})
    assert ranked_words(counts, min_count=2, max_words=9).tokens[2:] == ["c", "b", "a"]
    assert ranked_words(counts, min_count=1, max_words=2).tokens[2:] == ["c", "b"]


@pytest.mark.parametrize("damage", ["other", "object", "no array", "missing"])
def test_arrays_that_do_not_belong_together_are_refused(tmp_path, damage):
    folder = encode(tmp_path, [["uno"], ["dos", "tres"]], [0, 1])
    if damage == "other":
        np.save(folder / TARGETS, np.zeros(5, dtype=np.int32))
    elif damage == "object":
        np.save(folder / VALUES, np.array([{}], dtype=object))
    elif damage == "no array":
        (folder / OFFSETS).write_bytes(b"nothing")
    else:
        (folder / OFFSETS).unlink()
    with pytest.raises(SealError, match="delete"):
        open_encoded(folder)


def fill(folder):
    (folder / "inner").mkdir()
    (folder / "inner" / "a").write_text("content")
    return {"words": 3}


def test_a_sealed_folder_is_made_once(tmp_path):
    assert sealed(tmp_path / "kept", fill) == ({"words": 3}, False)
    assert sealed(tmp_path / "kept", None) == ({"words": 3}, True)
    assert disk_bytes(tmp_path / "kept", tmp_path / "kept" / "inner" / "a") == 14
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_nothing_half_written_stays(tmp_path):
    left = tmp_path / ".kept.0123.part"
    left.mkdir()
    (left / "big").write_text("of a run that was killed")

    def fails(folder):
        fill(folder)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        sealed(tmp_path / "kept", fails)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["changed", "longer", "missing", "seal", "no seal"])
def test_a_damaged_folder_is_refused_and_says_what_to_do(tmp_path, damage):
    folder = tmp_path / "kept"
    sealed(folder, fill)
    file, seal = folder / "inner" / "a", folder / SEAL
    {
        "changed": lambda: file.write_text("Content"),
        "longer": lambda: file.write_text("content "),
        "missing": file.unlink,
        "seal": lambda: seal.write_text("{"),
        "no seal": seal.unlink,
    }[damage]()
    name = SEAL if "seal" in damage else "a"
    with pytest.raises(SealError, match=rf"{name} is missing or damaged: delete that folder, it is made again"):
        sealed(folder, fill)
