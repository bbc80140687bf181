"""The cleaning of titles: each step alone, the whole chain, the stop words."""

import re
import zipfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nltk.tokenize import word_tokenize

from helpers.data.sources import SourceError
from helpers.data.text import STEPS, clean, clean_tokens, stopwords_es, trace

ORDER = [
    "lower_case", "strip_tags", "split_alphanumerics", "punctuation_to_spaces", "drop_other_signs", "collapse_spaces",
    "drop_digits", "drop_short",
]  # fmt: skip

# what the one-pass cleaning could get wrong, in every order that hypothesis thinks of
ODD = [
    *"aZñÉİßſµªº²½ΣςΩ_-<>'&;®¡´ \t\n\x1c\x85\u00a0\u2028", "\u0307", "\u200d", "\x00", "٣", "१", "Ⅷ", "漢", "ﬁ", "😀",
    "\ud800", *"0123", "ab", "con", "<b>", "</b>", "k", "\u212a", "10",
]  # fmt: skip
odd_texts = st.lists(st.sampled_from(ODD), max_size=12).map("".join)
CUT_BY_NLTK = ("cannot", "gimme", "gonna", "gotta", "lemme", "wanna")  # as contractions: "can", "not"; …
CASES = [
    "İstanbul", "straße STRASSE", "ΟΔΟΣ ΟΔΟΣα", "cafe\u0301s", "a<b c<d>e", "sin fin <abierto", "<>nada<>", "<<dos>>",
    "é1é á12b c3ñ", "ñ1ñ2ñ", "٣1٣ 1٣1", "abc_def__ghi", "x²y³ ½kg", "tab\tuno\x1cdos\x85tres",
    "tv55x4k100cm", "\u212a9mm",
]  # fmt: skip


def by_steps(title):
    return trace(title)[-1][1]


@given(st.one_of(st.text(max_size=60), odd_texts))
def test_one_pass_gives_what_the_steps_of_gensim_give(title):
    assert clean(title) == by_steps(title)
    assert clean_tokens(title) == by_steps(title).split()


@pytest.mark.parametrize("title", CASES)
def test_one_pass_and_steps_agree_on_chosen_cases(title):
    assert clean_tokens(title) == by_steps(title).split()


@given(st.one_of(st.text(max_size=60), odd_texts))
@example("I cannot say")
def test_nltks_tokens_are_ours_but_for_english_contractions(title):
    tokens = clean_tokens(title)
    if not set(CUT_BY_NLTK).intersection(tokens):
        assert word_tokenize(by_steps(title), preserve_line=True) == tokens


@pytest.mark.parametrize("word", CUT_BY_NLTK)
def test_nltk_cuts_english_contractions_that_the_steps_leave_whole(word):
    cut = word_tokenize(f"{word} say", preserve_line=True)
    assert "".join(cut[:-1]) == word
    assert len(cut) == 3
    assert clean_tokens(f"{word} say") == [word, "say"]


def test_steps_stand_in_the_order_of_the_assignment():
    assert [name for name, _ in STEPS] == ORDER


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ("lower_case", "Heladera NOFROST Ñandú", "heladera nofrost ñandú"),
        ("strip_tags", "silla <b>gamer</b>", "silla gamer"),
        ("split_alphanumerics", "tv55 500gb", "tv 55 500 gb"),
        ("punctuation_to_spaces", "c/barral, rosa_negro", "c barral  rosa negro"),
        ("drop_other_signs", "hop® ¡oferta", "hop   oferta"),
        ("collapse_spaces", "a  b\t\nc", "a b c"),
        ("drop_digits", "100x200cm", "xcm"),
        ("drop_short", "tv de led 4k", "led"),
    ],
)
def test_each_step_does_its_part_and_no_more(step, before, after):
    assert dict(STEPS)[step](before) == after


def test_trace_shows_the_title_after_every_step():
    stages = trace("Notebook <i>HP</i> 15.6'' i5 8GB, Envío Gratis®")
    assert [name for name, _ in stages] == ORDER
    assert stages[0][1] == "notebook <i>hp</i> 15.6'' i5 8gb, envío gratis®"
    assert stages[2][1].split() == ["notebook", "hp", "15.6''", "i", "5", "8", "gb,", "envío", "gratis®"]
    assert stages[-1][1] == "notebook envío gratis"


def test_every_tag_goes_and_an_open_one_stays():
    assert clean_tokens("<strong>mesa</strong>ratona <span>roble</span> <abierto") == ["mesaratona", "roble", "abierto"]


def test_stop_words_and_accents_stay():
    assert clean_tokens("Lámpara Para El Baño Con Sobre") == ["lámpara", "para", "baño", "con", "sobre"]


def test_a_skipped_step_is_not_done():
    without = {"split_alphanumerics", "drop_other_signs"}
    assert clean("Mesa 140x78cm Hop®", skip=without) == "mesa xcm hop®"
    assert clean("Mesa 140x78cm Hop®") == "mesa hop"
    assert clean("As Is!", skip=ORDER) == "As Is!"
    assert clean("PEN\u0303A", skip=["lower_case"]) == "PEÑA"  # the Unicode form is no step


@pytest.mark.parametrize("title", ["", "   ", "4k 55 tv", "¡¡!!", "😀😀"])
def test_nothing_left_is_an_empty_list(title):
    assert clean_tokens(title) == []


@pytest.mark.parametrize("title", [None, 7, b"bytes", float("nan")])
def test_no_text_is_refused(title):
    with pytest.raises(TypeError, match="a title must be text"):
        clean(title)


def test_an_unknown_step_is_refused():
    with pytest.raises(ValueError, match="no such step: stemming; the steps are lower_case"):
        clean("x", skip=["stemming"])


@given(st.text(max_size=80))
def test_tokens_are_lower_case_letters_of_three_or_more(title):
    tokens = clean_tokens(title)
    assert all(len(token) >= 3 and not re.search(r"[0-9\s_<>!-/:-@]", token) for token in tokens)
    assert " ".join(tokens) == clean(title)


@given(st.lists(st.sampled_from(["mesa", "Ratona®", "100x200cm", "tv55", "<b>", "de", "ñandú,"]), max_size=8))
def test_cleaning_twice_changes_nothing(words):
    once = clean(" ".join(words))
    assert clean(once) == once


def test_stop_words_come_from_the_sample_in_quick_and_stop_full(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_CACHE", str(tmp_path))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    assert {"para", "con", "más"} <= stopwords_es()
    monkeypatch.setenv("PROFILE", "full")
    with pytest.raises(SourceError, match=r"stopwords\.zip cannot be had"):
        stopwords_es()


def test_stop_words_are_the_lines_of_the_spanish_list(monkeypatch, tmp_path):
    archive = tmp_path / "stopwords.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("stopwords/spanish", "de\nmás\n\nqué\n")
        opened.writestr("stopwords/english", "the\n")
    monkeypatch.setattr("helpers.data.sources.obtain_or_sample", lambda name: ({"stopwords": archive}[name], False))
    assert stopwords_es() == {"de", "más", "qué"}
