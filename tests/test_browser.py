"""The site and the demo as a browser shows them: headless Chromium, by itself (pytest -m browser)."""

import os
import shutil
import socket
from dataclasses import replace

import nbformat
import pytest
from nbformat import v4

from helpers.report.rules import committed_notebooks
from helpers.report.site import build_site

pytestmark = pytest.mark.browser
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1100, "height": 900}
PATIENCE = 120_000  # milliseconds; a busy machine is no fault of the page
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FORMULAS = r"""# 99 · Fórmulas

**La pregunta.** ¿Cuánto mide $\sqrt{x^2}$?

### M9.1 Una fórmula larga

$$\mathcal{L} = \sum_{i=1}^{N} \left( y_i - \frac{e^{-\lVert u_i - v_i \rVert_1}}{1 + e^{-z_i}} \right)^2
+ \lambda_1 + \lambda_2 + \lambda_3 + \lambda_4 + \lambda_5 + \lambda_6 + \lambda_7 + \lambda_8 + \lambda_9$$

El tamaño es $g(dh + h^2 + 2h)$.

## Qué aprendimos

- Que $a_1 \ge 0$."""
MEASURE = """() => ({
    width: document.documentElement.scrollWidth,
    blank: [...document.images].filter(image => !image.complete || !image.naturalWidth).length,
    flat: [...document.querySelectorAll('math, math *')].filter(
        part => !part.closest('details') && !part.getBoundingClientRect().height
            && !['mspace', 'mrow', 'mo'].includes(part.localName)).map(part => part.outerHTML),
    hollow: [...document.querySelectorAll('math')].filter(formula => !formula.textContent.trim()).length,
    loose: [...document.querySelectorAll('mi, mn, mo, msup')].filter(part => !part.closest('math')).length,
})"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium on this machine (Debian, Ubuntu: apt-get install chromium)")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []  # root has no sandbox to enter
    with playwright.sync_playwright() as engine:
        launched = engine.chromium.launch(executable_path=program, args=options)
        yield launched
        launched.close()


@pytest.fixture
def page(browser):
    """An empty page; at the end it must have said nothing wrong and asked nothing of the network."""
    opened = browser.new_page(viewport=DESKTOP, locale="es")
    opened.set_default_timeout(PATIENCE)
    wrong = []
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("requestfailed", lambda asked: None if is_given_up(asked) else wrong.append(f"failed: {asked.url[:200]}"))
    opened.on("request", lambda asked: None if is_local(asked.url) else wrong.append(f"outside: {asked.url[:200]}"))
    yield opened
    opened.close()
    assert wrong == []


def is_given_up(asked):
    """A stream of events that the page itself ends."""
    return asked.failure == "net::ERR_ABORTED"


def is_local(address):
    return address.startswith(("file:", "data:", "blob:", "http://127.0.0.1:", "ws://127.0.0.1:"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages of the committed notebooks, and of one with hard formulas; the index first."""
    folder = tmp_path_factory.mktemp("site")
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell(FORMULAS)]), folder / "99_formulas.ipynb")
    return build_site([*committed_notebooks(), folder / "99_formulas.ipynb"], folder / "site")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_every_page_is_drawn_whole_and_scrolls_downwards_only(site, page, size):
    page.set_viewport_size(size)
    for path in site:
        page.goto(path.as_uri())
        found = page.evaluate(MEASURE)
        assert found == {"width": size["width"], "blank": 0, "flat": [], "hollow": 0, "loose": 0}, path.name
    assert page.locator("math").count() == 4, "the formulas of the last page"


def test_a_formula_is_laid_out_and_not_a_row_of_letters(site, page):
    page.goto(site[-1].as_uri())
    power, base = (page.locator(f"msup > {part}").last.bounding_box() for part in ("mn", "mi"))
    assert power["y"] + power["height"] < base["y"] + base["height"]
    assert page.locator("mfrac").bounding_box()["height"] > 2 * base["height"]


def test_a_reader_gets_from_the_index_to_every_page_and_back(site, page):
    index, *pages = site
    page.goto(index.as_uri())
    for path in pages:
        page.locator(f"section.card h2 a[href='{path.name}']").click()
        assert page.url == path.as_uri()
        assert page.locator("nav.top [aria-current]").get_attribute("href") == path.name
        page.get_by_role("link", name="Inicio").click()
        assert page.url == index.as_uri()
    page.goto(pages[0].as_uri())
    for path in pages[1:]:
        page.locator("nav.turn a").last.click()
        assert page.url == path.as_uri()
    page.locator("nav.turn a").first.click()
    assert page.url == pages[-2].as_uri()


def test_the_contents_lead_to_their_sections(site, page):
    page.goto(site[1].as_uri())
    page.locator("details.contents summary").click()
    link = page.locator("details.contents a").last
    name = link.inner_text()
    link.click()
    heading = page.locator(":target")
    assert heading.inner_text().startswith(name)
    assert 0 <= heading.bounding_box()["y"] < DESKTOP["height"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The demo with tiny models of the synthetic sample for titles and messages, and for sentences none."""
    from helpers import settings
    from helpers.apps import demo
    from helpers.tasks import meli, sms
    from helpers.tasks.meli import BEST as TITLES
    from helpers.tasks.sms import BEST as MESSAGES

    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_CACHE", str(folder / "cache"))
        patch.setenv("ARTIFACTS_DIR", str(folder))
        patch.delenv("DATA_MIRROR", raising=False)
        tiny = replace(TITLES, embedding_dim=16, hidden_size=8, batch_size=32, sparse_lr=2e-2, lr=1e-2)
        meli.train(tiny, split_seed=1, rows=600, epochs=6).model.save(folder / "meli-titles")
        sms.train(replace(MESSAGES, hidden_size=8, embedding_dim=8), split_seed=1, rows=300, epochs=6).model.save(
            folder / "sms-spam"
        )
        served = demo.build_page()
    with socket.socket() as probe:
        probe.bind((settings.HOST, 0))
        port = probe.getsockname()[1]
    yield demo.serve(served, port, wait=False)
    served.close()


def open_tab(page, address, name):
    page.goto(address)
    page.get_by_role("tab", name=name).click()


def test_the_demo_answers_titles_with_categories_and_weighed_words(page, address):
    open_tab(page, address, "Títulos")
    page.locator("#titulo textarea").fill("Funda para celular negra")
    page.get_by_role("button", name="Clasificar").click()
    page.wait_for_function("() => document.querySelector('#titulo-palabra textarea').value")
    assert page.locator("#titulo-palabra textarea").input_value().startswith(("Sin «", "Ninguna palabra"))
    assert page.locator("#categorias").inner_text().count("%") == 5
    assert "celular" in page.locator("#titulo-pesos").inner_text()
    assert page.evaluate("document.documentElement.lang") == "es"


def test_an_example_of_the_demo_fills_and_answers(page, address):
    open_tab(page, address, "Mensajes")
    page.get_by_text("see you at six").click()
    page.wait_for_function("() => document.querySelector('#mensaje-palabra textarea').value")
    assert page.locator("#mensaje textarea").input_value().startswith("see you at six")
    assert page.locator("#spam").inner_text().count("%") == 2


def test_the_demo_says_what_is_wrong_with_a_text_and_goes_on(page, address):
    open_tab(page, address, "Mensajes")
    page.get_by_role("button", name="¿Es spam?").click()
    page.get_by_text("Falta el texto.").wait_for()
    page.locator("#mensaje textarea").fill("free prize")
    page.get_by_role("button", name="¿Es spam?").click()
    page.wait_for_function("() => document.querySelector('#mensaje-palabra textarea').value")


def test_a_tab_without_model_says_how_to_train_it_also_on_a_phone(page, address):
    page.set_viewport_size(PHONE)
    open_tab(page, address, "Oraciones")
    page.get_by_text("python -m helpers train sick --model-seed 1 --save").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
