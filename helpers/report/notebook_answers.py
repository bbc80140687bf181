"""Rules on answers: every question under its id, in a few sentences, with numbers from the outputs above.

An answer is a Markdown cell that begins with `**Respuesta.**`. Its section reaches from the nearest label above it
(a heading or a bold line start that bears a question id) down to the answer itself.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from nbformat import NotebookNode

from helpers.report.notebook_text import Finding, output_text, readable

OPENING = "**Respuesta.**"
SENTENCES = range(3, 9)
LABEL = re.compile(r"^(?:#{1,6}\s+(?:\*\*)?|\*\*)([MR]\d+(?:\.\d+[a-z]?)?)(?!\.?\w)", re.MULTILINE)
NOT_PROSE = re.compile(
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]+\$|\]\([^)]*\)|https?://\S+|arXiv[:\s]*\d{4}\.\d{4,5}",
    re.DOTALL | re.IGNORECASE,
)
TABLE_LINE = re.compile(r"^\s*\|.*$", re.MULTILINE)
ABBREVIATION = re.compile(
    r"\b(?:p\. ?ej|et al|vs|cf|figs?|ecs?|aprox|núm|págs?|cap|secc?|EE\. ?UU|Sra?|Dra?|máx|mín)\.", re.IGNORECASE
)
SENTENCE_END = re.compile(r"[.!?…]+[\"'»”)\]*_]*(?=\s+[\"'«“(\[*_¿¡\-\s]*[A-ZÁÉÍÓÚÑ0-9]|\s*$)|\n\s*\n")
DECIMAL = r"(?:\d{1,3}(?:,\d{3})+|\d+)\.\d+(?:e[-+]?\d+)?"
PROSE_DECIMAL = re.compile(rf"(?<![\w.,]){DECIMAL}(?!\.?\d)")
OUTPUT_DECIMAL = re.compile(DECIMAL)
DECIMAL_COMMA = re.compile(r"(?<![\d.,])\d+,(?!\d{3}(?!\d))\d+")
WALL_CLOCK = re.compile(
    r"(?<![\w.,])\d[\d.,]*\s*(?:ms|s|seg|segundos?|min|minutos?|horas?|it/s|(?:iteraciones|lotes|pasos)/s)\b"
)


class Answer(NamedTuple):
    """A Respuesta cell and where its section begins (positions in notebook.cells)."""

    question: str | None
    start: int
    position: int
    text: str


def labels(notebook: NotebookNode) -> list[tuple[int, str]]:
    """(cell position, id) of every heading or bold line start that bears a question id."""
    return [
        (position, match[1])
        for position, cell in enumerate(notebook.cells)
        if cell.cell_type == "markdown"
        for match in LABEL.finditer(cell.source)
    ]


def answers(notebook: NotebookNode) -> list[Answer]:
    """Every Respuesta cell with the question it stands under."""
    found = []
    marks = labels(notebook)
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and cell.source.strip().startswith(OPENING):
            above = [mark for mark in marks if mark[0] < position]
            start, question = above[-1] if above else (0, None)
            found.append(Answer(question, start, position, cell.source.strip().removeprefix(OPENING)))
    return found


def prose(text: str) -> str:
    """Markdown without what is no prose: code, formulas, addresses, arXiv numbers (each leaves an X behind)."""
    return NOT_PROSE.sub("X", text)


def count_sentences(text: str) -> int:
    """Sentences of a Spanish text; decimals, abbreviations and table lines end none."""
    text = ABBREVIATION.sub("", TABLE_LINE.sub("", prose(text)))
    return sum(bool(re.search(r"\w", piece)) for piece in SENTENCE_END.split(text))


def every_question_answered(notebook: NotebookNode, ids: Collection[str]) -> Iterator[Finding]:
    """Each id has a label of its own and, before the next label, a Respuesta cell."""
    labelled = {name for _, name in labels(notebook)}
    answered = {answer.question for answer in answers(notebook)}
    for name in ids:
        if name not in labelled:
            yield None, f"question {name} has no heading or bold label of its own"
        elif name not in answered:
            yield None, f"question {name} has no Markdown cell that begins with {OPENING} before the next id"


def answers_have_evidence(notebook: NotebookNode) -> Iterator[Finding]:
    """Between label and answer stands an output or a Markdown table."""
    for answer in answers(notebook):
        section = notebook.cells[answer.start : answer.position]
        if not any(cell.get("outputs") or _holds_table(cell) for cell in section):
            yield answer.position + 1, f"the answer to {answer.question} has no output or table above it"


def _holds_table(cell: NotebookNode) -> bool:
    return cell.cell_type == "markdown" and bool(TABLE_LINE.search(cell.source))


def answers_have_three_to_eight_sentences(notebook: NotebookNode) -> Iterator[Finding]:
    """Three to eight sentences an answer."""
    for answer in answers(notebook):
        count = count_sentences(answer.text)
        if count not in SENTENCES:
            yield answer.position + 1, f"the answer to {answer.question} has {count} sentences: three to eight"


def numbers_stand_in_outputs(notebook: NotebookNode) -> Iterator[Finding]:
    """Every decimal number of an answer stands, digit for digit, in an output of its section.

    Signs and whole numbers are not compared; numbers in code spans and formulas are not read.
    """
    for answer in answers(notebook):
        outputs = [
            readable(output_text(output))
            for cell in notebook.cells[answer.start : answer.position]
            for output in cell.get("outputs", [])
        ]
        known = set(OUTPUT_DECIMAL.findall("\n".join(outputs)))
        text = prose(answer.text)
        unknown = [number for number in dict.fromkeys(PROSE_DECIMAL.findall(text)) if number not in known]
        if unknown:
            yield answer.position + 1, f"not in an output of {answer.question}: {', '.join(unknown)}"
        if commas := DECIMAL_COMMA.findall(text):
            yield answer.position + 1, f"write a decimal point as in the outputs: {', '.join(commas)}"


def no_wall_clock_in_answers(notebook: NotebookNode) -> Iterator[Finding]:
    """Times differ from run to run: tables hold them, prose does not."""
    for answer in answers(notebook):
        if times := [match[0] for match in WALL_CLOCK.finditer(prose(answer.text))]:
            yield answer.position + 1, f"a wall-clock time in the answer to {answer.question}: {', '.join(times)}"
