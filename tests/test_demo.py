"""The functions behind the demo's page, and its start; the page itself is tried in test_browser.py."""

import socket
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import requests

from helpers import settings
from helpers.__main__ import main
from helpers.apps import demo
from helpers.data.text import SentenceReader, Vocabulary
from helpers.model.checkpoints import save_checkpoint

NAMES = ["FUNDAS", "MESAS", "SILLAS", "RELOJES", "LIBROS", "MOTOS"]


def titles_model(names=NAMES):
    """Says FUNDAS with probability 0.8 of a title with "funda", MESAS of any other."""

    def predict_proba(texts):
        table = np.full((len(texts), len(names)), 0.2 / (len(names) - 1))
        for row, text in zip(table, texts, strict=True):
            row[0 if "funda" in text else 1] = 0.8
        return table

    def top(texts, k):
        best = np.argsort(-predict_proba(texts), axis=1, kind="stable")[:, :k]
        return [[(names[j], 0.8 if i == 0 else 0.04) for i, j in enumerate(row)] for row in best]

    return SimpleNamespace(categories=names, top=top, predict_proba=predict_proba)


def spam_model(threshold=0.5):
    return SimpleNamespace(
        config=SimpleNamespace(threshold=threshold),
        predict_proba=lambda texts: np.array([[0.1, 0.9] if "WIN!" in text else [0.7, 0.3] for text in texts]),
    )


def similarity_model(relatedness):
    reader = SentenceReader(Vocabulary(["a", "dog", "puppy"]))
    return SimpleNamespace(similarity=lambda first, second: relatedness, threshold=3.5, reader=reader)


def test_a_title_gets_five_categories_and_the_word_that_decides():
    best, weighed, told = demo.categorize(titles_model(), "una funda azul")
    assert best == {"FUNDAS": 0.8, "MESAS": 0.04, "SILLAS": 0.04, "RELOJES": 0.04, "LIBROS": 0.04}
    assert weighed == [("una", 0), (" ", None), ("funda", 1), (" ", None), ("azul", 0)]
    assert told == "Sin «funda», la probabilidad de FUNDAS pasa de 0.800 a 0.040."


def test_a_model_of_few_categories_shows_those():
    assert list(demo.categorize(titles_model(["FUNDAS", "MESAS"]), "mesa")[0]) == ["MESAS", "FUNDAS"]


def test_a_message_is_weighed_for_the_verdict_that_it_gets():
    both, weighed, told = demo.classify(spam_model(), "you WIN! now")
    assert both == pytest.approx({"spam": 0.9, "no es spam": 0.1})
    assert weighed[2] == ("WIN!", 1)
    assert told == "Sin «WIN!», la probabilidad de «spam» pasa de 0.900 a 0.300."
    strict = demo.classify(spam_model(threshold=0.95), "WIN! now")
    assert strict[1][0] == ("WIN!", -1)
    assert strict[2] == "Sin «WIN!», la probabilidad de «no es spam» pasa de 0.100 a 0.700."
    assert demo.classify(spam_model(), "see you")[2] == "Ninguna palabra cambia por sí sola la respuesta."


@pytest.mark.parametrize(("relatedness", "words"), [(4.256, "Dicen casi lo mismo"), (2.0, "No dicen lo mismo")])
def test_two_sentences_get_a_number_and_a_verdict(relatedness, words):
    number, told = demo.compare(similarity_model(relatedness), "a dog", "a puppy")
    assert number == round(relatedness, 2)
    assert told.startswith(words)
    assert "no conoce" not in told


def test_words_that_the_model_does_not_know_are_named():
    _, told = demo.compare(similarity_model(2.0), "a wug is a dog", "A wug")
    assert told.endswith("El modelo no conoce: wug, is; la cifra puede estar lejos.")


@pytest.mark.parametrize(("text", "reason"), [("", "Falta"), (" \n", "Falta"), (None, "Falta"), ("x" * 501, "501")])
def test_what_cannot_be_asked_is_told_why(text, reason):
    asked = [
        lambda: demo.categorize(titles_model(), text),
        lambda: demo.classify(spam_model(), text),
        lambda: demo.compare(similarity_model(1.0), "a dog", text),
    ]
    for ask in asked:
        with pytest.raises(gr.Error, match=reason):
            ask()


def shown(page):
    """All Markdown of a page."""
    return "\n".join(block.value for block in page.blocks.values() if isinstance(block, gr.Markdown))


def test_a_tab_without_model_says_how_to_train_it(tmp_path):
    save_checkpoint(tmp_path / "sms", {}, {"task": "meli"})
    text = shown(demo.build_page({"meli": settings.ROOT / "none", "sms": tmp_path / "sms", "sick": tmp_path / "none"}))
    assert "Todavía no hay ningún modelo en `none`." in text
    assert "python -m helpers train meli --split-seed 1 --save none\n" in text
    assert f"no se puede leer (`{tmp_path / 'sms'} holds no sms model" in text
    assert f"python -m helpers train sick --model-seed 1 --save {tmp_path / 'none'}\n" in text


def test_the_page_reports_to_nobody_and_listens_on_this_machine_alone(monkeypatch, tmp_path):
    page = demo.build_page(dict.fromkeys(demo.TABS, tmp_path))
    assert page.analytics_enabled is False
    launched = {}
    monkeypatch.setattr(page, "launch", lambda **options: launched.update(options))
    assert demo.serve(page, 7861, wait=False) == "http://127.0.0.1:7861"
    assert (launched["server_name"], launched["share"]) == ("127.0.0.1", False)


def test_a_port_that_is_taken_is_one_line(monkeypatch, capsys, tmp_path):
    folders = [f"--{task}={tmp_path}" for task in demo.TABS]
    with socket.socket() as busy:
        busy.bind((settings.HOST, 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert main(["demo", f"--port={port}", *folders]) == 1
    assert capsys.readouterr().err == f"error: port {port} is taken: give another, --port N (make: PORT=N)\n"


def test_the_command_passes_the_folders_on(monkeypatch):
    calls = []
    monkeypatch.setattr(demo, "build_page", lambda folders: calls.append(folders) or "page")
    monkeypatch.setattr(demo, "serve", lambda *given: calls.append(given) or None)
    assert main(["demo", "--sms", "mine"]) == 0
    assert calls == [{"meli": None, "sms": Path("mine"), "sick": None}, ("page", demo.PORT)]
    assert list(demo.TABS) == list(calls[0])


def test_the_page_comes_up_where_a_proxy_is_set_for_everything(monkeypatch, tmp_path):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    page = demo.build_page(dict.fromkeys(demo.TABS, tmp_path))
    with socket.socket() as probe:
        probe.bind((settings.HOST, 0))
        port = probe.getsockname()[1]
    try:
        address = demo.serve(page, port, wait=False)
        assert "Redes recurrentes" in requests.get(address, timeout=60).text
    finally:
        page.close()
