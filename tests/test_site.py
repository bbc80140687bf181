import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nbformat import v4

from helpers import settings
from helpers.report import readme, site
from helpers.report.readme import ROWS

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def figure(data=PIXEL, tags=()):
    output = v4.new_output("display_data", data={"image/png": data, "text/plain": "<Figure>"})
    return v4.new_code_cell("figure()", outputs=[output], metadata={"tags": list(tags)})


@pytest.fixture
def folder(tmp_path):
    for number, cells in ((1, [figure(PIXEL + "AAAA"), figure(tags=["portada"])]), (2, [])):
        notebook = v4.new_notebook()
        table = v4.new_output("execute_result", data={"text/html": "<table><tr><td>ancha</td></tr></table>"})
        notebook.cells = [
            v4.new_markdown_cell(f"# 0{number} · Cuaderno: <b> y $x^2$\n\n**La pregunta.** ¿Cuánto es $a_{number}$?"),
            v4.new_markdown_cell("### M1.1 Una sección\n\n**Respuesta.** `$no` y cuesta $140 o $150; $b$ vale $b$."),
            v4.new_code_cell("tabla", outputs=[table], execution_count=1),
            *cells,
            v4.new_markdown_cell(f"## Qué aprendimos\n\n- La **lección** {number}.\n- Otra."),
        ]
        nbformat.write(notebook, tmp_path / f"0{number}_uno.ipynb")
    return tmp_path


@pytest.fixture
def pages(folder, tmp_path):
    written = site.build_site(folder.glob("*.ipynb"), tmp_path / "site", results_dir=tmp_path / "none")
    return {path.stem: path.read_text(encoding="utf8") for path in written}


class Links(HTMLParser):
    """Every address that a page asks for, and every anchor that it has."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors.add(attributes.get("id"))
        self.addresses += [attributes[name] for name in ("href", "src") if attributes.get(name)]


def test_every_link_leads_somewhere_and_nothing_is_asked_of_the_network(pages):
    assert sorted(pages) == ["01_uno", "02_uno", "index"]
    anchors = {name: Links(text).anchors for name, text in pages.items()}
    for name, text in pages.items():
        for address in Links(text).addresses:
            target, _, anchor = address.partition("#")
            if target.startswith("data:"):
                continue
            page = target.removesuffix(".html") or name
            assert page in pages, address
            assert not anchor or anchor in anchors[page], address
        assert "<script" not in text
        assert "No description" not in text


def test_the_index_says_of_every_notebook_its_question_its_lesson_and_the_figure_chosen(pages):
    index = pages["index"]
    assert index.index("01_uno.html") < index.index("02_uno.html")
    assert "¿Cuánto es <math" in index
    assert "La <strong>lección</strong> 1." in index
    assert "Otra." not in index
    assert re.findall(r'<img src="data:image/png;base64,([^"]+)"', index) == [PIXEL]


def test_formulas_become_mathml_and_code_and_money_stay(pages):
    page = pages["01_uno"]
    assert re.search(r"<math [^>]*><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>", page)
    assert re.search(r"vale <math [^>]*><mrow><mi>b</mi></mrow></math>", page)
    assert "$no" in page
    assert "cuesta $140 o $150;" in page


def test_tables_scroll_and_neighbours_are_linked(pages):
    assert '<div class="scroll"><table><tr><td>ancha' in pages["01_uno"]
    assert '<a href="02_uno.html">02 · Cuaderno' in pages["01_uno"].split("nav class=")[-1]
    assert '<a href="#M1.1' in pages["01_uno"]


def test_the_real_index_has_the_results_and_the_licences(folder, tmp_path):
    index = site.build_site(folder.glob("*.ipynb"), tmp_path / "site")[0].read_text(encoding="utf8")
    value = re.search(r"\| (\d\.\d{4}) ±", readme.readme_table(settings.ROOT / "results"))[1]
    assert value in index
    assert "CC BY-NC-SA 3.0" in index
    assert "no la dicen quienes los publican" in index


def test_the_index_has_every_row_of_the_results_in_spanish():
    words = json.loads((site.PAGES / "spanish.json").read_text(encoding="utf8"))
    english = {text for row in ROWS for text in (row.model, row.metric, row.to_beat)}
    assert not english - set(words), "pages/spanish.json lacks what the index calls these"


def test_a_row_of_a_notebook_leads_to_its_page_where_there_is_one(folder, tmp_path):
    row = "| [02 · Titles](notebooks/02_uno.ipynb) | GRU | accuracy | 0.9 | [07 · x](notebooks/07_x.ipynb) |"
    pages = [site.read_page(path) for path in sorted(folder.glob("*.ipynb"))]
    linked = site._in_spanish(site._linked(row, pages))
    assert linked == "| [02 · Cuaderno](02_uno.html) | GRU | exactitud | 0.9 | 07 · x |"


def test_an_image_that_is_not_in_the_notebook_is_refused(tmp_path):
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# Uno\n\n![una](otra/figura.png)")])
    nbformat.write(notebook, tmp_path / "01_uno.ipynb")
    with pytest.raises(ValueError, match=r"01_uno\.ipynb: image 'otra/figura\.png' lies outside"):
        site.read_page(tmp_path / "01_uno.ipynb")


def test_what_cannot_be_built_says_why(tmp_path):
    with pytest.raises(ValueError, match="no notebooks"):
        site.build_site([], tmp_path)
    nbformat.write(v4.new_notebook(), tmp_path / "03_mudo.ipynb")
    with pytest.raises(ValueError, match=r"03_mudo\.ipynb: no title"):
        site.build_site([tmp_path / "03_mudo.ipynb"], tmp_path / "site")
    assert not Path(tmp_path / "site").exists()


@example("$`b a\n a`a$")
@example("`a`1`b`")
@given(st.text(alphabet="ab $`\\\n\0 1", max_size=40))
def test_text_without_formulas_passes_as_it_is(text):
    try:
        found = site.with_mathml(text)
    except ValueError as error:
        message = str(error)
    else:
        message = "formula"
        assert "<math" in found or found == text.replace("\0", "\ufffd")
    assert message.startswith("formula")
