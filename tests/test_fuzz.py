"""Odd input of every kind: a documented error or the right answer; HYPOTHESIS_PROFILE=long or new looks longer."""

import bz2
import gzip
import io
import json
import os
import tarfile
import zipfile
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.augment.edits import delete_word, replace_word, words_of
from helpers.augment.new_pairs import COLUMNS
from helpers.augment.techniques import TECHNIQUES, Resources, augment
from helpers.data.batching import EncodedPairs, EncodedTexts, SubwordTitles, WordTitles
from helpers.data.corpora import MELI_COLUMNS, SchemaError, load_meli, load_sick, load_sick_release, load_sms, load_sts
from helpers.data.sources import ArchiveError, extract
from helpers.data.splits import pair_key
from helpers.data.text import (
    CASES,
    MAX_TOKENS,
    FeatureVocabulary,
    SentenceReader,
    Vocabulary,
    clean,
    clean_tokens,
    normalize_sentence,
    tokenize,
    tokenize_sentence,
    trace,
    word_form,
)
from helpers.data.vectors import VectorFileError, read_vectors
from helpers.tasks import meli, sick, sms
from helpers.tasks.meli import MeliModel

fuzz = settings(settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE") or "quick"))
number = count()  # loaders remember a file by name, size and time: no name is used twice
pytestmark = pytest.mark.usefixtures("sample_alone")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def written(folder, name, content):
    path = folder / f"{next(number)}-{name}"
    path.write_bytes(content)
    return path


@st.composite
def damaged(draw, content):
    """Bytes with some of them changed, put in or left out, or cut off; often as they were."""
    changed = bytearray(content)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 3]))):
        place = draw(st.integers(0, max(len(changed) - 1, 0)))
        changed[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(changed[: draw(st.integers(0, len(changed)))] if draw(st.integers(0, 4)) == 0 else changed)


def outcome(documented, ask, *arguments):
    """The answer and None, or None and the error, which must be a documented one."""
    try:
        return ask(*arguments), None
    except documented as error:
        return None, error


# The loaders

PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), max_size=12)
ODD = ["", " ", "0", "3", "-1", "6", "nan", "null", "ham", "NEUTRAL", "trial", '"', "\ufeff"]
FIELDS = st.sampled_from(ODD) | PLAIN
SICK = {"pair_ID": "7", "sentence_A": "A dog", "sentence_B": "A cat", "relatedness_score": "3.5"}
TABLES = {  # loader, file name, header, row
    "sms": (load_sms, "sms", None, ["spam", "WIN £1000 now"]),
    "sick": (load_sick, "SICK_train.txt", [*SICK, "entailment_judgment"], [*SICK.values(), "NEUTRAL"]),
    "release": (
        load_sick_release, "SICK.txt",
        [*SICK, "entailment_label", "SemEval_set", "entailment_AB", "entailment_BA", "sentence_A_original",
         "sentence_B_original", "sentence_A_dataset", "sentence_B_dataset"],
        [*SICK.values(), "NEUTRAL", "TRIAL", "x", "y", "The dog", "The cat", "FLICKR", "FLICKR"],
    ),
    "stsb": (load_sts, "sts-train.csv", None, ["main", "MSRpar", "2012", "1", "2.5", "A cat.", "A dog."]),
    "semeval": (load_sts, "2012.x.tsv", None, ["2.5", "one", "two"]),
}  # fmt: skip


@st.composite
def rows_like(draw, row):
    fields = list(row)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        fields[draw(st.integers(0, len(row) - 1))] = draw(FIELDS)
    if draw(st.integers(0, 9)) == 0:
        fields = draw(st.lists(FIELDS, max_size=len(row) + 2))
    return "\t".join(fields)


@st.composite
def tables(draw, header, row):
    lines = [draw(rows_like(header))] if header else []
    lines += draw(st.lists(rows_like(row), max_size=4))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    content = "".join(line + end for line in lines).encode()
    return draw(damaged(content)) if draw(st.integers(0, 3)) == 0 else content


def lines_of(content):
    lines = content.decode().split("\n")
    return [line.removesuffix("\r").split("\t") for line in (lines[:-1] if lines[-1] == "" else lines)]


def expected(corpus, content):
    """What a file holds, read in another way than the loader's."""
    lines = lines_of(content)
    if corpus == "sms":
        return lines
    if corpus == "stsb":
        return [[float(line[4]), line[5], line[6], f"stsb-train/{line[1]}"] for line in lines]
    if corpus == "semeval":
        return [[float(line[0]), line[1], line[2]] for line in lines if line[0]]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    numeric = [{**row, "pair_ID": float(row["pair_ID"]), "relatedness_score": float(row["relatedness_score"])}
               for row in rows]  # fmt: skip
    names = TABLES[corpus][2]
    changed = {"SemEval_set": str.lower}
    return [[changed.get(name, lambda value: value)(row[name]) for name in names] for row in numeric]


@pytest.mark.parametrize("corpus", TABLES)
@fuzz
@given(data=st.data())
def test_a_table_is_read_as_it_stands_or_refused_by_name(folder, corpus, data):
    load, name, header, row = TABLES[corpus]
    content = data.draw(tables(header, row))
    path = written(folder, name, content)
    frame, error = outcome(SchemaError, load, path)
    if error:
        assert f"{path.name}, row {error.row}, field" in str(error)
        assert 1 <= error.row <= content.count(b"\n") + 1
        return
    kept = frame.drop(columns=[c for c in ("partition", "source") if corpus in ("sick", "semeval") and c in frame])
    assert kept.to_numpy().tolist() == expected(corpus, content)
    assert frame.attrs["sample"] is False


RECORD = {
    "language": "spanish", "label_quality": "reliable", "title": "Funda J7", "category": "FUNDAS", "split": "test",
    "tokenized_title": ["funda"], "data": [3], "target": 1, "n_labels": 2, "size": 10,
}  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-3, 10**30) | st.floats() | st.text(max_size=5)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


@st.composite
def records(draw):
    record = RECORD | {"title": draw(st.text(min_size=1, max_size=20))}
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        name = draw(st.sampled_from(MELI_COLUMNS))
        record[name] = draw(JSON)
        if draw(st.integers(0, 4)) == 0:
            del record[name]
    ascii_alone = draw(st.booleans())
    return json.dumps(record, ensure_ascii=ascii_alone)


@fuzz
@given(lines=st.lists(records() | records() | PLAIN, max_size=3), packed=st.booleans(), data=st.data())
def test_titles_are_read_as_they_stand_or_refused_by_name(folder, lines, packed, data):
    content = "".join(f"{line}\n" for line in lines).encode()
    if packed:
        content = data.draw(damaged(gzip.compress(content, mtime=0)))
    path = written(folder, "x.jsonl.gz" if packed else "x.jsonl", content)
    frame, error = outcome(SchemaError, load_meli, path)
    if error:
        assert f"{path.name}, row {error.row}, field" in str(error)
        return
    assert frame.to_dict("records") == [{name: json.loads(line)[name] for name in MELI_COLUMNS} for line in lines]


WORDS, MATRIX = ["de", "Madrid", "ñandú", "."], np.arange(12, dtype=np.float32).reshape(4, 3) / 8 - 1
TEXT_ROWS = "".join(f"{w} {' '.join(map(str, row))}\n" for w, row in zip(WORDS, MATRIX, strict=True)).encode()
BINARY_ROWS = b"".join(w.encode() + b" " + row.tobytes() for w, row in zip(WORDS, MATRIX, strict=True))
VECTOR_FILES = {
    "word2vec.txt": b"4 3\n" + TEXT_ROWS, "glove.txt": TEXT_ROWS, "word2vec.bin": b"4 3\n" + BINARY_ROWS,
}  # fmt: skip
PACKERS = {"": bytes, ".gz": lambda content: gzip.compress(content, mtime=0), ".bz2": bz2.compress}


@fuzz
@given(
    name=st.sampled_from(sorted(VECTOR_FILES)),
    suffix=st.sampled_from(sorted(PACKERS)),
    wanted=st.none() | st.lists(st.sampled_from([*WORDS, "nothing"]), max_size=3),
    data=st.data(),
)
def test_vectors_are_finite_and_one_a_word_or_the_file_is_refused_by_name(folder, name, suffix, wanted, data):
    whole = VECTOR_FILES[name]
    inner = data.draw(damaged(whole))
    content = data.draw(damaged(PACKERS[suffix](inner))) if suffix else inner
    path = written(folder, name + suffix, content)
    found, error = outcome(VectorFileError, read_vectors, path, wanted)
    if error:
        assert path.name in str(error)
        assert (inner, content) != (whole, PACKERS[suffix](whole))
        return
    words, matrix = found
    assert len(set(words)) == len(words) == len(matrix)
    assert np.isfinite(matrix).all()
    assert wanted is None or set(words) <= set(wanted)
    if inner == whole:
        kept = [i for i, word in enumerate(WORDS) if wanted is None or word in wanted]
        assert words == [WORDS[i] for i in kept]
        assert (matrix == MATRIX[kept]).all()


def zipped(method):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo("folder/file.txt"), b"content " * 20, method)
        archive.writestr(zipfile.ZipInfo("ñandú.txt"), b"x", method)
    return memory.getvalue()


def tarred(mode):
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode=mode, format=tarfile.PAX_FORMAT) as archive:
        for name, content in (("folder/file.txt", b"content " * 20), (f"{'ñ' * 60}.txt", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return memory.getvalue()


METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ARCHIVES = [zipped(method) for method in METHODS] + [tarred(f"w:{kind}") for kind in ("", "gz", "bz2", "xz")]


@fuzz
@given(content=st.sampled_from(ARCHIVES).flatmap(damaged))
def test_an_archive_gives_its_member_or_is_refused_and_nothing_else_is_written(folder, content):
    archive, target = written(folder, "archive", content), folder / "taken" / "file.txt"
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    found, error = outcome(ArchiveError, extract, archive, {"file.txt": target})
    if not error:
        assert found == ({"file.txt"} if target.exists() else set())
    assert {path.name for path in target.parent.iterdir()} <= {"file.txt"}


# The text pipeline

ANY = st.text(st.characters(), max_size=40)  # lone surrogates, controls and all
SEEN = "funda samsung j7 WIN £1000 call 08712300220 A dog is running isn't t-shirt <b> 4k ¡ 😀"
KNOWN = st.sampled_from(sorted(tokenize(SEEN, "space")))
TEXTS = st.lists(ANY | st.lists(KNOWN, max_size=8).map(" ".join), min_size=1, max_size=5)


@fuzz
@given(texts=TEXTS, scheme=st.sampled_from(["words", "space", "chars"]), featured=st.booleans())
def test_a_text_is_encoded_alike_alone_and_in_company(texts, scheme, featured):
    tokens = [tokenize(text, scheme) for text in texts[:3]]  # the others bring unknown words
    features = FeatureVocabulary.build(tokens, min_count=1) if featured else None
    vocabulary = Vocabulary.build([[word_form(t) for t in row] for row in tokens] if featured else tokens)
    options = {"scheme": scheme, "features": features, "max_tokens": 20}
    together = EncodedTexts(texts, None, vocabulary, **options).__getitems__(range(len(texts)))
    for i, text in enumerate(texts):
        alone = EncodedTexts([text], None, vocabulary, **options).__getitems__([0])
        length = int(alone.lengths[0])
        assert 1 <= length <= 20
        assert together.lengths[i] == length
        assert together.tokens[i, :length].tolist() == alone.tokens[0].tolist()
        assert not together.tokens[i, length:].any()
        assert alone.tokens.min() > 0
        assert alone.tokens.max() < len(vocabulary)
    if not featured:
        for row in tokens:
            assert vocabulary.decode(vocabulary.encode(row)) == row


def features_of(batch, row, place):
    """Feature ids of a position."""
    ends = [*batch.features.offsets.tolist()[1:], len(batch.features.ids)]
    kind = int(batch.features.index[row, place])
    return batch.features.ids[int(batch.features.offsets[kind]) : ends[kind]].tolist()


@fuzz
@given(titles=TEXTS)
def test_a_title_is_read_alike_alone_and_in_company(titles):
    words = WordTitles(Vocabulary.build(map(clean_tokens, titles[:3])), {"una", "dog"})
    parts = SubwordTitles.build(titles[:3], min_count=1)
    for reader, limit in ((words, len(words.vocabulary)), (parts, len(parts.pairs) + 1)):
        together = reader.encode(titles).__getitems__(range(len(titles)))
        for i, title in enumerate(titles):
            alone = reader.encode([title]).__getitems__([0])
            length = int(alone.lengths[0])
            assert 1 <= length == together.lengths[i] <= MAX_TOKENS
            assert together.tokens[i, :length].tolist() == alone.tokens[0].tolist()
            assert 0 <= alone.tokens.min() <= alone.tokens.max() < limit
            if alone.features is not None:
                for place in range(length):
                    assert features_of(together, i, place) == features_of(alone, 0, place)


@fuzz
@given(title=ANY | TEXTS.map(" ".join))
def test_a_title_is_cleaned_to_words_as_its_steps_say(title):
    assert clean(title).split() == clean_tokens(title) == trace(title)[-1][1].split()
    assert all(len(word) >= 3 and word == word.lower() for word in clean_tokens(title))


@fuzz
@given(sentences=TEXTS, case=st.sampled_from(CASES))
def test_sentences_are_read_in_any_case_and_pairs_have_no_order(sentences, case):
    vocabulary = Vocabulary.build(map(tokenize_sentence, sentences[:3]))
    reader = SentenceReader(vocabulary, case)
    batch = EncodedPairs(sentences, sentences[::-1], reader).__getitems__(range(len(sentences)))
    for i, sentence in enumerate(sentences):
        ids = reader.ids(sentence).tolist()
        assert ids
        assert all(0 < number < len(vocabulary) for number in ids)
        assert batch.tokens[i, : batch.lengths[i]].tolist() == ids
        assert pair_key(sentence, sentences[0]) == pair_key(sentences[0], sentence)
        assert normalize_sentence(normalize_sentence(sentence)) == normalize_sentence(sentence)


# Augmentation


@fuzz
@given(text=ANY | st.lists(KNOWN, max_size=8).map(" ".join), data=st.data())
def test_words_are_put_and_left_out_in_any_text(text, data):
    words = words_of(text)
    if not words:
        return
    old = data.draw(st.sampled_from(words))
    assert words_of(replace_word(text, old, old)) is not None
    put, left = replace_word(text, old, "zebra"), delete_word(text, old)
    if old in text.lower().split():
        assert "zebra" in words_of(put)
        assert words_of(put).count(old) <= words.count(old) - 1
        assert len(words_of(left)) < len(words)


@pytest.fixture(scope="module")
def pairs():
    frame = load_sick()
    train, test = (frame[frame["partition"] == part].reset_index(drop=True) for part in ("train", "test"))
    return train, test.head(20), Resources.load(train)


def changed_sentences(train, changes):
    """Some of the pairs, with odd words put into their sentences."""
    frame = train.iloc[[row % len(train) for row, *_ in changes]].reset_index(drop=True)
    for i, (_, side, place, odd) in enumerate(changes):
        words = frame.loc[i, side].split(" ")
        words[place % (len(words) + 1) : place % (len(words) + 1)] = [odd]
        frame.loc[i, side] = " ".join(words)
    return frame


CHANGES = st.tuples(
    st.integers(0, 10**6), st.sampled_from(["sentence_a", "sentence_b"]), st.integers(0, 30),
    st.text(max_size=6) | st.sampled_from(["not", "Black", "cat's", "a", "an", "-", "\\1", "(", "[a", "dog-", "’"]),
)  # fmt: skip


@fuzz
@given(technique=st.sampled_from(sorted(TECHNIQUES)), changes=st.lists(CHANGES, min_size=1, max_size=8))
def test_new_pairs_of_odd_sentences_keep_the_rules(pairs, technique, changes):
    train, test, resources = pairs
    frame = changed_sentences(train, changes)
    before = frame.copy(deep=True)
    new, error = outcome(ValueError, partial(augment, frame, technique, seed=1, test=test, resources=resources))
    if error:
        assert "training pairs differ by an antonym alone" in str(error)
        return
    pd.testing.assert_frame_equal(frame, before)
    assert list(new.columns) == COLUMNS
    assert new["relatedness"].between(1, 5).all()
    assert new["source_pair_id"].isin(frame["pair_id"]).all()
    assert (new["sentence_a"].str.strip() != "").all()
    assert (new["sentence_b"].str.strip() != "").all()


# The models


@pytest.fixture(scope="module")
def spam_model():
    config = replace(
        sms.BEST, epochs=2, anneal=False, hidden_size=8, embedding_dim=8, dense=6, batch_size=8, dropout=0.0
    )
    return sms.fit(config, sms.load(80), None, seed=0)[0]


@pytest.fixture(scope="module")
def title_models():
    frame = meli.load()
    small = {"embedding_dim": 8, "hidden_size": 4, "batch_size": 32}
    config = replace(meli.BEST, **small, epochs=2)
    trained = meli.fit(config, frame.iloc[::4], None, seed=1, categories=meli.categories(frame))[0]
    words = WordTitles(Vocabulary.build(map(clean_tokens, frame["title"])))
    return trained, MeliModel(meli.MeliConfig(**small), words, trained.categories)


@pytest.fixture(scope="module")
def pair_model():
    config = replace(sick.DISTRIBUTION, hidden_size=6, head_size=4, batch_size=8, lr=0.02)
    return sick.train(config, model_seed=0, evaluate_on="trial", rows=40, epochs=2).model


def assert_in_order_and_alone(answer, texts, chosen):
    """The answer to a text does not depend on what stands beside it, or where; given back."""
    together = answer(texts)
    assert len(together) == len(texts)
    assert together == pytest.approx(answer(texts[::-1])[::-1], abs=1e-5)
    assert together[chosen] == pytest.approx(answer([texts[chosen]])[0], abs=1e-5)
    return together


def one_of(data, texts):
    return data.draw(st.integers(0, len(texts) - 1))


@fuzz
@given(texts=TEXTS, data=st.data())
def test_messages_get_a_probability_each(spam_model, texts, data):
    probabilities = assert_in_order_and_alone(spam_model.predict_proba, texts, one_of(data, texts))
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert probabilities.sum(1) == pytest.approx(1, abs=1e-5)
    assert spam_model.predict(texts).tolist() == [int(p >= spam_model.config.threshold) for p in probabilities[:, 1]]


@fuzz
@given(texts=TEXTS, which=st.integers(0, 1), data=st.data())
def test_titles_get_probabilities_that_sum_to_one(title_models, texts, which, data):
    model = title_models[which]
    probabilities = assert_in_order_and_alone(model.predict_proba, texts, one_of(data, texts))
    k = data.draw(st.integers(1, len(model.categories)))
    assert (probabilities >= 0).all()
    assert probabilities.sum(1) == pytest.approx(1, abs=1e-5)
    assert [model.categories[place] for place in probabilities.argmax(1)] == model.predict(texts).tolist()
    for row, best in zip(probabilities, model.top(texts, k=k), strict=True):
        assert len({name for name, _ in best}) == k
        assert [p for _, p in best] == sorted(row.tolist(), reverse=True)[:k]
        assert all(row[model.categories.index(name)] == pytest.approx(p) for name, p in best)


@fuzz
@given(first=TEXTS, data=st.data())
def test_pairs_get_a_relatedness_that_has_no_order(pair_model, first, data):
    second = data.draw(st.permutations(first)) if data.draw(st.booleans()) else [data.draw(ANY) for _ in first]
    found = pair_model.similarity(first, second)
    assert ((found >= 1) & (found <= 5)).all()
    assert found == pytest.approx(pair_model.similarity(second, first), abs=1e-5)
    chosen = one_of(data, first)
    assert found[chosen] == pytest.approx(pair_model.similarity(first[chosen], second[chosen]), abs=1e-4)
    assert pair_model.similar(first, second).tolist() == (found >= pair_model.threshold).tolist()


NO_TEXT = st.none() | st.integers() | st.floats() | st.binary(max_size=3) | st.lists(st.text(max_size=2), max_size=2)


@fuzz
@given(texts=TEXTS, wrong=NO_TEXT, data=st.data())
def test_what_is_no_text_is_refused_with_its_place(spam_model, title_models, pair_model, texts, wrong, data):
    place = data.draw(st.integers(0, len(texts)))
    texts[place:place] = [wrong]
    for ask in (spam_model.predict, *(model.predict for model in title_models), pair_model.encode):
        with pytest.raises(TypeError, match=f" {place} is {type(wrong).__name__}, not a string"):
            ask(texts)
