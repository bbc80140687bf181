"""Readers of pretrained vectors, the embedding matrix, and the excerpts cut from whole archives."""

import bz2
import gzip
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import settings
from helpers.data import corpora, excerpts
from helpers.data.sources import SOURCES, ArchiveError, SourceError, obtain
from helpers.data.vectors import VectorFileError, embedding_matrix, read_vectors

WORDS = ["de", "casa", "Madrid", "NASA", "ñandú", "sol"]
MATRIX = np.arange(18, dtype=np.float32).reshape(6, 3) / 8 - 1


def text(words=WORDS, matrix=MATRIX, *, header=True, end="\n") -> bytes:
    rows = [f"{word} {' '.join(str(value) for value in row)}" for word, row in zip(words, matrix, strict=True)]
    return "".join(row + end for row in [f"{len(rows)} {matrix.shape[1]}"] * header + rows).encode()


def binary(words=WORDS, matrix=MATRIX, *, separator=b"") -> bytes:
    rows = [
        word.encode() + b" " + row.astype("<f4").tobytes() + separator for word, row in zip(words, matrix, strict=True)
    ]
    return f"{len(words)} {matrix.shape[1]}\n".encode() + b"".join(rows)


def saved(path: Path, content: bytes, member: str = "vectors.txt") -> Path:
    packed = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)(content)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, content)
    else:
        path.write_bytes(packed)
    return path


FORMATS = [
    ("a.txt", text()),
    ("a.txt.gz", text()),
    ("a.txt.bz2", text()),
    ("a.zip", text()),
    ("trailing.txt", text(end=" \n")),
    ("glove.txt", text(header=False)),
    ("glove.txt.gz", text(header=False)),
    ("a.bin", binary()),
    ("a.bin.gz", binary()),
    ("original.bin.gz", binary(separator=b"\n")),
]


@pytest.mark.parametrize(("name", "content"), FORMATS)
def test_every_format_gives_the_same_vectors(tmp_path, name, content):
    words, matrix = read_vectors(saved(tmp_path / name, content))
    assert words == WORDS
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, MATRIX)


def test_the_path_may_be_a_string(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in FORMATS:
        path = saved(tmp_path / name, content)
        assert read_vectors(str(path))[0] == read_vectors(name)[0] == WORDS
        with pytest.raises(VectorFileError, match=name):
            read_vectors(str(saved(tmp_path / name, content[:-9])))


@pytest.mark.parametrize(("name", "content"), FORMATS)
def test_only_wanted_words_are_kept(tmp_path, name, content):
    words, matrix = read_vectors(saved(tmp_path / name, content), {"sol", "casa", "unknown"})
    assert words == ["casa", "sol"]
    np.testing.assert_array_equal(matrix, MATRIX[[1, 5]])
    words, matrix = read_vectors(tmp_path / name, ["unknown"])
    assert (words, matrix.shape) == ([], (0, 3))


def test_case_fallback_takes_title_upper_lower_in_this_order(tmp_path):
    words = ["paris", "Paris", "PARIS", "Rome", "ROME", "nasa", "NASA", "cat"]
    path = saved(tmp_path / "a.txt", text(words, np.arange(8, dtype=np.float32)[:, None]))
    found, matrix = read_vectors(path, ["paris", "rome", "Nasa", "CAT", "dog"], case_fallback=True)
    assert dict(zip(found, matrix[:, 0].tolist(), strict=True)) == {"paris": 0, "rome": 3, "Nasa": 6, "CAT": 7}
    assert read_vectors(path, ["rome"])[0] == []


def test_repeated_word_keeps_its_first_vector_and_limit_stops(tmp_path):
    path = saved(tmp_path / "a.txt", text(["a", "b", "a"], MATRIX[:3]))
    words, matrix = read_vectors(path)
    assert words == ["a", "b"]
    np.testing.assert_array_equal(matrix, MATRIX[:2])
    cut = saved(tmp_path / "cut.txt", text()[:-20])
    assert read_vectors(cut, limit=2)[0] == WORDS[:2]


def test_glove_words_that_hold_spaces(tmp_path):
    path = saved(tmp_path / "glove.txt", text(["the", ". . .", "at name@domain.com", "."], MATRIX[:4], header=False))
    assert read_vectors(path)[0] == ["the", ". . .", "at name@domain.com", "."]
    words, matrix = read_vectors(path, {"."})
    np.testing.assert_array_equal(matrix, MATRIX[3:4])
    assert words == ["."]


def test_gensim_reads_the_same(tmp_path):
    from gensim.models import KeyedVectors

    path = saved(tmp_path / "a.bin.gz", binary())
    other = KeyedVectors.load_word2vec_format(str(path), binary=True)
    words, matrix = read_vectors(path)
    assert words == other.index_to_key
    np.testing.assert_array_equal(matrix, other.vectors)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.txt", b"".join(text().splitlines(keepends=True)[:-2]), "4 complete rows of the 6 in its header"),
        ("more.txt", text() + b"extra 1 2 3\n", "7 complete rows of the 6 in its header"),
        ("mid.txt", text()[:-8], "5 complete rows of the 6 in its header.*row 6"),
        ("digit.txt", text()[:-1], "5 complete rows of the 6 in its header.*middle"),
        ("glove.txt", text(header=False)[:-12], "5 complete rows"),
        ("short.txt", b"2 3\na 1 2 3\nb 1 2\n", "1 complete rows of the 2.*row 2 has 2 numbers, not 3"),
        ("word.txt", b"2 3\na 1 2 3\nb 1 x 3\n", "vector 2 holds something that is no number"),
        ("nan.txt", b"1 2\na 1 nan\n", "not finite"),
        ("latin.txt", b"1 2\ncaf\xe9 1 2\n", "word 1 is not UTF-8"),
        ("none.txt", b"", "no word with numbers"),
        ("html.txt", b"<html>\n", "no word with numbers"),
        ("rows.bin", binary()[:-17], "4 complete rows of the 6"),
        ("head.bin", b"no header", "no word2vec binary"),
    ],
)
def test_cut_off_or_damaged_files_are_refused_with_counts(tmp_path, name, content, message):
    with pytest.raises(VectorFileError, match=message) as error:
        read_vectors(saved(tmp_path / name, content))
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("suffix", "counts"),
    # so small a .bz2 is one block: not even its header comes out
    [(".txt.gz", " of the 2,000"), (".bin.gz", " of the 2,000"), (".txt.bz2", "")],
)
def test_cut_compression_is_refused_even_when_the_wanted_word_was_seen(tmp_path, suffix, counts):
    words = [f"word{i}" for i in range(2_000)]
    matrix = np.random.default_rng(0).normal(size=(2_000, 3)).astype(np.float32)
    path = saved(tmp_path / f"a{suffix}", binary(words, matrix) if "bin" in suffix else text(words, matrix))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VectorFileError, match=rf"cut off or damaged: [\d,]+ complete rows{counts}"):
        read_vectors(path, ["word0"])


def test_missing_file_is_no_damaged_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_vectors(tmp_path / "nothing.txt")


@given(st.lists(st.text("abcñé'-0", min_size=1), unique=True, min_size=1, max_size=20), st.integers(1, 5), st.data())
def test_text_and_binary_agree_on_any_words(tmp_path_factory, words, dim, data):
    folder = tmp_path_factory.mktemp("vectors")
    matrix = np.random.default_rng(len(words)).normal(size=(len(words), dim)).astype(np.float32)
    wanted = set(data.draw(st.lists(st.sampled_from(words))))
    one = read_vectors(saved(folder / "a.txt", text(words, matrix)), wanted)
    two = read_vectors(saved(folder / "a.bin", binary(words, matrix)), wanted)
    assert one[0] == two[0] == [word for word in words if word in wanted]
    np.testing.assert_array_equal(one[1], two[1])


def test_embedding_matrix_rows():
    vocabulary = ["<pad>", "<unk>", "sol", "nowhere", "de"]
    matrix, known = embedding_matrix(vocabulary, WORDS, MATRIX, seed=3)
    assert matrix.dtype == np.float32
    assert known.tolist() == [False, False, True, False, True]
    np.testing.assert_array_equal(matrix[0], 0)
    np.testing.assert_array_equal(matrix[[2, 4]], MATRIX[[5, 0]])
    draws = np.random.default_rng(3).normal(0, MATRIX[[5, 0]].std(), (5, 3)).astype(np.float32)
    np.testing.assert_allclose(matrix[[1, 3]], draws[[1, 3]], rtol=1e-6)
    several, found = embedding_matrix(vocabulary, WORDS, MATRIX, seed=3, zero_rows=(0, 2))
    assert (several[[0, 2]] == 0).all()
    assert found.tolist() == [False, False, False, False, True]
    again, _ = embedding_matrix(vocabulary, WORDS, MATRIX, seed=3)
    np.testing.assert_array_equal(matrix, again)
    other, _ = embedding_matrix(vocabulary, WORDS, MATRIX, seed=4)
    assert not np.array_equal(matrix[1], other[1])


def test_words_without_a_vector_get_the_spread_of_the_others():
    vectors = np.random.default_rng(0).normal(0, 0.37, (500, 20)).astype(np.float32)
    words = [f"w{i}" for i in range(500)]
    matrix, known = embedding_matrix(["<pad>", *words, *(f"x{i}" for i in range(500))], words, vectors, seed=0)
    assert matrix[1:][~known[1:]].std() == pytest.approx(vectors.std(), rel=0.05)
    assert np.isfinite(embedding_matrix(["<pad>", "x"], words, vectors, seed=0)[0]).all()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DATA_OFFLINE", "1")
    monkeypatch.setenv("PROFILE", "full")
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    return tmp_path / "cache"


def whole(cache: Path, monkeypatch, name: str, content: bytes, member: str = "vectors.txt") -> None:
    """Put a tiny archive where the cache holds the whole one, known by no hash."""
    source = SOURCES[name]
    monkeypatch.setitem(SOURCES, name, source.__class__(**{**vars(source), "sha256": None, "md5": None}))
    (cache / source.path).parent.mkdir(parents=True, exist_ok=True)
    saved(cache / source.path, content, member)


def test_first_words_are_cut_the_same_every_time(cache, monkeypatch):
    monkeypatch.setattr(excerpts, "GOOGLENEWS_WORDS", 4)
    whole(cache, monkeypatch, "googlenews", binary(separator=b"\n"))
    [path] = excerpts.cut("googlenews-8k")
    first = path.read_bytes()
    assert gzip.decompress(first) == binary(WORDS[:4], MATRIX[:4])
    os.utime(path, (0, 0))
    assert excerpts.cut("googlenews-8k")[0].read_bytes() == first
    assert obtain("googlenews-8k") == path
    path.write_bytes(first[:-1])
    with pytest.raises(SourceError, match="damaged"):
        obtain("googlenews-8k")


def test_glove_is_cut_to_the_words_of_the_corpus(cache, monkeypatch, tmp_path):
    words = ["the", ". . .", "dog", "Dog", "Runs", "zebra", "."]
    content = text(words, np.ones((7, 3)), header=False)
    whole(cache, monkeypatch, "glove-840b", content, "glove.840B.300d.txt")
    (tmp_path / "SICK_train.txt").write_text(
        "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n1\tThe Dog\tRuns.\t3\tNEUTRAL\n"
    )
    monkeypatch.setattr(excerpts, "load_sick", lambda: corpora.load_sick(tmp_path / "SICK_train.txt"))
    [path] = excerpts.cut("glove-840b-sick")
    rows = gzip.decompress(path.read_bytes()).splitlines()
    assert [row.split()[0] for row in rows] == [b"the", b"dog", b"Dog", b"Runs", b"."]
    assert set(rows) <= set(content.splitlines())


def test_glove_twitter_takes_its_25d_member(cache, monkeypatch, tmp_path):
    whole(cache, monkeypatch, "glove-twitter", text(header=False), excerpts.TWITTER_MEMBER)
    (tmp_path / "sms").write_text("ham\tCASA sol\n")
    monkeypatch.setattr(excerpts, "load_sms", lambda: corpora.load_sms(tmp_path / "sms"))
    [path] = excerpts.cut("glove-twitter-12k")
    assert read_vectors(path)[0] == ["casa", "sol"]


def test_no_excerpt_is_cut_to_the_words_of_the_sample(cache, monkeypatch, tmp_path):
    whole(cache, monkeypatch, "glove-twitter", text(header=False), excerpts.TWITTER_MEMBER)
    (tmp_path / "sms").write_text("ham\tcasa\n")
    frame = corpora.load_sms(tmp_path / "sms")
    frame.attrs["sample"] = True
    monkeypatch.setattr(excerpts, "load_sms", lambda: frame)
    with pytest.raises(SourceError, match="the real sms corpus is needed"):
        excerpts.cut("glove-twitter-12k")


def test_head_of_sbw_reads_as_the_cut_off_file_it_is(cache, monkeypatch):
    monkeypatch.setattr(excerpts, "SBW_LINES", 3)
    whole(cache, monkeypatch, "sbw", text())
    [path] = excerpts.cut("sbw-head")
    with pytest.raises(VectorFileError, match="2 complete rows of the 6"):
        read_vectors(path)


@pytest.mark.parametrize("name", ["sbw", "glove-840b"])
def test_a_damaged_archive_is_named_and_the_excerpt_before_stays(cache, monkeypatch, tmp_path, name):
    monkeypatch.setattr(excerpts, "load_sick", lambda: corpora.load_sick(settings.sample_dir() / "sick"))
    excerpt = next(source for source in SOURCES.values() if source.excerpt_of == (name,))
    whole(cache, monkeypatch, name, text() * 2000)
    path = cache / SOURCES[name].path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (cache / excerpt.path).write_bytes(b"before")
    monkeypatch.setattr(excerpts, "SBW_LINES", 10**6)
    with pytest.raises(ArchiveError, match=f"{path.name}: damaged archive"):
        excerpts.cut(excerpt.name)
    assert (cache / excerpt.path).read_bytes() == b"before"


def test_semeval_sets_are_pasted(cache, monkeypatch):
    sets = {"MSRpar": b"a b\tc d\r\ne\tf\n", "SMTeuroparl": b"x\ty\textra\nz\tw"}
    for name in ("semeval-2012.MSRpar.train", "semeval-2012.SMTeuroparl.train"):
        assert SOURCES[name].excerpt_of == ("semeval-2012-train",)
    path = cache / SOURCES["semeval-2012-train"].path
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, pairs in sets.items():
            archive.writestr(f"train/STS.input.{name}.txt", pairs)
        archive.writestr("train/STS.gs.MSRpar.txt", b"4.400\n\n")
        archive.writestr("train/STS.gs.SMTeuroparl.txt", b"1\n")
    [pasted] = excerpts.cut("semeval-2012.MSRpar.train")
    assert pasted.read_bytes() == b"4.400\ta b\tc d\n\te\tf\n"
    assert obtain("semeval-2012.MSRpar.train") == pasted
    with pytest.raises(ArchiveError, match="2 pairs and 1 scores"):
        excerpts.cut("semeval-2012.SMTeuroparl.train")
    assert not (cache / "sts/semeval/2012.SMTeuroparl.train.tsv").exists()


def test_semeval_surprise_sets_and_whole_groups(cache, monkeypatch, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("test-gold/STS.input.surprise.OnWN.txt", b"a\tb\n")
        archive.writestr("test-gold/STS.gs.surprise.OnWN.txt", b"5\n")
    excerpts.paste_semeval(tmp_path / "a.zip", tmp_path / "out.tsv", "OnWN")
    assert (tmp_path / "out.tsv").read_bytes() == b"5\ta\tb\n"
    cut = []
    monkeypatch.setattr(excerpts, "_cut_one", lambda source: cut.append(source.name))
    excerpts.cut("semeval")
    assert len(cut) == 20
    excerpts.cut("wordnet")
    assert cut[20:] == ["wordnet-LICENSE", "wordnet-index.sense", "wordnet-lexnames"]


def test_wordnet_file_is_taken_from_the_archive(cache, monkeypatch):
    whole(cache, monkeypatch, "wordnet", b"00\tadj.all\t3\n", "wordnet/lexnames")
    assert excerpts.cut("wordnet-lexnames")[0].read_bytes() == b"00\tadj.all\t3\n"
    with pytest.raises(ArchiveError, match=r"holds no index\.sense"):
        excerpts.cut("wordnet-index.sense")


def test_what_cannot_be_cut_is_said(cache):
    with pytest.raises(ValueError, match="googlenews-8k"):
        excerpts.cut("sms")
    with pytest.raises(SourceError, match="make data-full"):
        excerpts.cut("googlenews-8k")


def test_real_excerpts(monkeypatch, tmp_path):
    mirror = settings.mirror()
    if not mirror or not Path(mirror).is_dir():
        pytest.skip("no folder in DATA_MIRROR")
    monkeypatch.setenv("DATA_CACHE", str(tmp_path))
    for name, dim in (("googlenews-8k", 300), ("glove-840b-sick", 300), ("glove-twitter-12k", 25)):
        words, matrix = read_vectors(obtain(name))
        assert matrix.shape == (len(words), dim) == (SOURCES[name].rows, dim)
    with pytest.raises(VectorFileError, match="446 complete rows of the 1,000,653"):
        read_vectors(obtain("sbw-head"))
