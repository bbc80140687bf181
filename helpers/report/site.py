"""The site: a page per notebook, as committed, and an index; nothing on it asks the network for anything."""

import html
import json
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import NamedTuple

from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from helpers import settings
from helpers.files import write_text
from helpers.report.notebooks import read_notebook
from helpers.report.readme import readme_table
from helpers.report.rules import FENCE, headings

PAGES = files("helpers.report") / "pages"
TITLE = "Redes recurrentes para texto, en siete cuadernos"
LICENCES = "Licences of the data"  # README's heading
COVER = "portada"  # tag of the code cell whose figure the index shows
NO_DESCRIPTION = "No description has been provided for this image"  # what nbconvert writes
CODE_SPAN = re.compile(r"(`+).+?\1", re.DOTALL)
# as in pandoc: no space inside the dollars, no digit after them: an amount of money is no formula; code, by then marked
# with \0, is in none
FORMULA = re.compile(r"\$\$(?P<block>[^\0]+?)\$\$|(?<![\\$\w])\$(?=\S)(?P<inline>[^$\n\0]+?)(?<=\S)\$(?![\d\w])")
TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
LINK = re.compile(r"\[(?P<text>[^\]]+)\]\(notebooks/(?P<name>\w+)\.ipynb\)")
OUTSIDE = re.compile(r'<(img|script|link|iframe)\b[^>]*\b(?:src|href)="(?!data:)([^"]*)"')
REPRODUCE = """## Cómo se reproduce

Con Python 3.11 y GNU make, en una copia del repositorio:

```bash
make notebooks     # los cuadernos en miniatura, en build/notebooks
make test          # las pruebas, y otra vez los cuadernos en miniatura
make deliverable   # todo con datos reales, en su lugar
```

Los datos se descargan de sus direcciones oficiales y se verifican antes de usarlos; ninguno está en el repositorio.
"""


class Page(NamedTuple):
    """A rendered notebook and what the index shows of it."""

    name: str  # of the file, without extension
    title: str
    body: str
    question: str
    lesson: str
    figure: str  # a data address, or empty

    @property
    def label(self) -> str:
        """The title up to its colon."""
        return self.title.partition(":")[0]


def build_site(
    paths: Iterable[str | Path], out_dir: str | Path, *, results_dir: str | Path | None = None
) -> list[Path]:
    """Write index.html and <notebook>.html for every notebook, as it stands.

    Returns:
        The pages, the index first.

    Raises:
        NotebookError: a notebook that cannot be read.
        WrongValue: no notebooks, one without a title, a formula that cannot be read, an image that lies elsewhere.
    """
    pages = [read_page(path) for path in sorted(map(Path, paths), key=lambda path: path.name)]
    if not pages:
        raise settings.WrongValue("no notebooks: there is no site to build")
    written = [_write(out_dir, "index", TITLE, _index(pages, results_dir), pages)]
    for number, page in enumerate(pages):
        body = _contents(page) + page.body + _turn(pages, number)
        written.append(_write(out_dir, page.name, page.title, body, pages))
    return written


def read_page(path: str | Path) -> Page:
    """Render one notebook; formulas become MathML."""
    path, notebook = Path(path), read_notebook(path)
    titles = [text for _, level, text in headings(notebook) if level == 1]
    if not titles:
        raise settings.WrongValue(f"{path.name}: no title (a heading of level 1 in its first cell)")
    question = _paragraph(notebook, "**La pregunta.**")
    lesson = _first_point(notebook, "Qué aprendimos")
    figure = _cover(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_mathml(cell.source)
    # nbconvert's own embed_images breaks MathML; attachments it embeds anyway
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    if elsewhere := OUTSIDE.search(body):
        kind, address = {"img": "image"}.get(elsewhere[1], elsewhere[1]), elsewhere[2]
        raise settings.WrongValue(f"{path.name}: {kind} {address!r} lies outside the notebook: attach it to its cell")
    body = body.replace(NO_DESCRIPTION, "Figura; la describe el texto que la acompaña")
    return Page(path.stem, titles[0], scrolling_tables(body), question, lesson, figure)


def with_mathml(source: str) -> str:
    """Markdown with its formulas as MathML, code spans and fenced code left alone.

    Raises:
        WrongValue: a formula that cannot be read.
    """
    kept: list[str] = []

    def keep(text: str) -> str:
        kept.append(text)
        return f"\0{len(kept) - 1}\0"

    def code(match: re.Match) -> str:
        return keep(match[0])

    def formula(match: re.Match) -> str:
        text, display = (match["block"], "block") if match["block"] else (match["inline"], "inline")
        try:
            return keep(convert(text.strip(), display=display))
        except Exception as error:
            raise settings.WrongValue(f"formula {text!r}: {error}") from error

    clean = source.replace("\0", "\ufffd")  # as CommonMark wants it
    hidden = FORMULA.sub(formula, CODE_SPAN.sub(code, FENCE.sub(code, clean)))

    def shown(text: str) -> str:
        return re.sub("\0(\\d+)\0", lambda match: shown(kept[int(match[1])]), text)

    return shown(hidden)


def scrolling_tables(body: str) -> str:
    """Wide tables scroll within the page, which does not."""
    return TABLE.sub(lambda match: f'<div class="scroll">{match[0]}</div>', body)


def _paragraph(notebook: NotebookNode, start: str) -> str:
    """The first Markdown paragraph with that beginning, as HTML."""
    for cell in notebook.cells:
        for paragraph in cell.source.split("\n\n") if cell.cell_type == "markdown" else ():
            if paragraph.startswith(start):
                return _html(paragraph)
    return ""


def _first_point(notebook: NotebookNode, heading: str) -> str:
    """The first point of the list under a heading of level 2, as HTML."""
    for cell in notebook.cells:
        found = re.search(rf"^## {heading}\n+- (.+)$", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown" and found:
            return _html(found[1])
    return ""


def _cover(notebook: NotebookNode) -> str:
    """The figure of the cell tagged COVER, else the largest one, as a data address."""
    figures = [
        (COVER in cell.metadata.get("tags", []), len(output.data["image/png"]), output.data["image/png"])
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    return f"data:image/png;base64,{max(figures)[2].strip()}" if figures else ""


def _html(markdown: str) -> str:
    return scrolling_tables(markdown2html(with_mathml(markdown)))


def _index(pages: list[Page], results_dir: Path | None) -> str:
    results = _html(_in_spanish(_linked(readme_table(results_dir), pages)))
    parts = [f"<h1>{TITLE}</h1>", *map(_card, pages), "<h2>Resultados</h2>", f'<div class="results">{results}</div>']
    parts += [
        '<p class="note">Media ± desviación típica sobre las semillas que nombra cada cuaderno.</p>',
        _html(REPRODUCE),
        _html(_licences()),
    ]
    return "\n".join(parts)


def _linked(table: str, pages: list[Page]) -> str:
    """Links to notebooks become links to their pages, by their short titles; without a page only the text stays."""
    names = {page.name: page.label for page in pages}

    def link(match: re.Match) -> str:
        return f"[{names[match['name']]}]({match['name']}.html)" if match["name"] in names else match["text"]

    return LINK.sub(link, table)


def _in_spanish(table: str) -> str:
    """A Markdown table with README's cells in Spanish, as far as pages/spanish.json has them."""
    words = json.loads((PAGES / "spanish.json").read_text(encoding="utf8"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return "\n".join(f"| {' | '.join(words.get(cell, cell) for cell in row)} |" for row in rows)


def _card(page: Page) -> str:
    picture = f'<img src="{page.figure}" alt="Una figura de {html.escape(page.title)}">' if page.figure else ""
    heading = f'<h2><a href="{page.name}.html">{html.escape(page.title)}</a></h2>'
    return f'<section class="card">{heading}{page.question}{page.lesson}{picture}</section>'


def _licences() -> str:
    """README's table of the licences, as the publishers state them."""
    text = (settings.ROOT / "README.md").read_text(encoding="utf8")
    section = re.search(rf"^## {LICENCES}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if section is None or not (rows := re.findall(r"^\| (?!Data |-).*\|$", section[1], re.MULTILINE)):
        raise settings.WrongValue(f"README.md: no table under the heading {LICENCES!r}")
    table = _in_spanish("\n".join(["| Datos | Licencia |", "|---|---|", *rows]))
    return f"## Licencias de los datos\n\n{table}"


def _contents(page: Page) -> str:
    """Links to the sections of a page."""
    found = re.findall(r'<h([23]) id="([^"]+)">(.*?)<a class="anchor-link"', page.body, re.DOTALL)
    links = "".join(f'<li><a href="#{anchor}">{text}</a></li>' for _, anchor, text in found)
    return f'<details class="contents"><summary>Contenido</summary><ul>{links}</ul></details>' if links else ""


def _turn(pages: list[Page], number: int) -> str:
    """Links to the notebook before and the one after."""
    before = pages[number - 1] if number else None
    after = pages[number + 1] if number + 1 < len(pages) else None
    left = f'<a href="{before.name}.html">← {html.escape(before.title)}</a>' if before else "<span></span>"
    right = f'<a href="{after.name}.html">{html.escape(after.title)} →</a>' if after else "<span></span>"
    return f'<nav class="turn" aria-label="Anterior y siguiente">{left}{right}</nav>'


def _write(out_dir: str | Path, name: str, title: str, body: str, pages: list[Page]) -> Path:
    style = (PAGES / "style.css").read_text(encoding="utf8")
    style += HtmlFormatter(style="default").get_style_defs(".highlight")
    links = [("index", "Inicio"), *((page.name, page.label) for page in pages)]
    navigation = "\n".join(
        f'<li><a href="{target}.html"{" aria-current=page" if target == name else ""}>{html.escape(label)}</a></li>'
        for target, label in links
    )
    page = Template((PAGES / "page.html").read_text(encoding="utf8")).substitute(
        title=html.escape(title), style=style, kind="index" if name == "index" else "notebook", navigation=navigation,
        body=body,
    )  # fmt: skip
    return write_text(Path(out_dir) / f"{name}.html", page)
