"""What there is to read in a notebook: its headings and the text of its outputs."""

import html
import json
import re
from collections.abc import Iterator

from nbformat import NotebookNode

Finding = tuple[int | None, str]  # cell number as a reader counts (from 1; None: the notebook as a whole), message

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$", re.MULTILINE)
INVISIBLE = re.compile(r"<(style|script)\b.*?</\1>", re.DOTALL | re.IGNORECASE)
TAG = re.compile(r"</?[a-zA-Z][^>]*>")


def code_cells(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    """(number, cell) of the code cells; numbers count every cell from 1."""
    return ((number, cell) for number, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code")


def headings(notebook: NotebookNode) -> list[tuple[int, int, str]]:
    """(cell number, level, text) of every Markdown heading."""
    return [
        (number, len(match[1]), match[2])
        for number, cell in enumerate(notebook.cells, start=1)
        if cell.cell_type == "markdown"
        for match in HEADING.finditer(FENCE.sub("", cell.source))
    ]


def output_text(output: NotebookNode) -> str:
    """Everything written in one output, markup included; pictures hold no text, SVG does."""
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return "\n".join(output.traceback)
    parts = (value for mime, value in output.data.items() if not mime.startswith("image/") or mime == "image/svg+xml")
    return "\n".join(part if isinstance(part, str) else json.dumps(part, ensure_ascii=False) for part in parts)


def readable(text: str) -> str:
    """HTML as a reader sees it: no styles, no tags, no entities."""
    return html.unescape(TAG.sub(" ", INVISIBLE.sub(" ", text)))


def all_output_text(notebook: NotebookNode) -> str:
    """The text of every output, in order."""
    return "\n".join(output_text(output) for _, cell in code_cells(notebook) for output in cell.outputs)
