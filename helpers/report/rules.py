"""The rules that a committed notebook keeps, one function each, and the check that applies them all.

A rule takes a notebook and yields (cell number or None, message) for every fault. An answer is a Markdown cell that
begins with `**Respuesta.**`; its section begins at the nearest label above it (a heading or a bold line start with a
question id).
"""

import ast
import base64
import html
import io
import json
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from PIL import Image

from helpers import settings
from helpers.report.readme import readme_problems

Finding = tuple[int | None, str]  # cell number as a reader counts (from 1; None: the notebook as a whole), message

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$", re.MULTILINE)
INVISIBLE = re.compile(r"<(style|script)\b.*?</\1>", re.DOTALL | re.IGNORECASE)
TAG = re.compile(r"</?[a-zA-Z][^>]*>")
MAX_BYTES = 1_000_000
MAX_CELL_LINES = 15
MAX_FUNCTION_LINES = 12
SAMPLE_MARK = "MUESTRA SINT"  # of the banner that settings prints when a corpus is synthetic
CLOSING = ("qué aprendimos", "qué falló", "límites")
MAY_FOLLOW = ("referencias",)
ABSOLUTE_PATH = re.compile(
    r"/(?:home|root|work|tmp|Users|opt|mnt)/[^\s'\"<>]*"
    r"|(?<![\w/.<])/(?:home|root|work|tmp|Users|opt|mnt)\b"
    r"|\b[A-Z]:\\(?!n)\S+"  # not the "Q:\nA:" of a printed repr
)
PROGRESS_BAR = re.compile(r"it/s\]|s/it\]|B/s\]|█|\d+%\|[█-▏#]")
MEMORY_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")
ALWAYS_SHOW = {"print", "display", "show", "banner", "subplots", "figure"}
SHOW_WHEN_LAST = {"head", "tail", "describe", "sample", "value_counts", "to_frame", "round"}
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


def code_cells(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    """(number, cell) of the code cells; numbers count every cell from 1."""
    return ((number, cell) for number, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code")


def outputs(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    """(cell number, output) of every output, in order."""
    return ((number, output) for number, cell in code_cells(notebook) for output in cell.outputs)


def headings(notebook: NotebookNode) -> list[tuple[int, int, str]]:
    """(cell number, level, text) of every Markdown heading."""
    return [
        (number, len(match[1]), match[2])
        for number, cell in enumerate(notebook.cells, start=1)
        if cell.cell_type == "markdown"
        for match in HEADING.finditer(FENCE.sub("", cell.source))
    ]


def output_text(output: NotebookNode) -> str:
    """All text of one output, markup and SVG included, other pictures left out."""
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return "\n".join(output.traceback)
    parts = (value for mime, value in output.data.items() if not mime.startswith("image/") or mime == "image/svg+xml")
    return "\n".join(part if isinstance(part, str) else json.dumps(part, ensure_ascii=False) for part in parts)


def readable(text: str) -> str:
    """The visible text of HTML."""
    return html.unescape(TAG.sub(" ", INVISIBLE.sub(" ", text)))


def all_output_text(notebook: NotebookNode) -> str:
    """The text of every output, in order."""
    return "\n".join(output_text(output) for _, output in outputs(notebook))


class Answer(NamedTuple):
    """A Respuesta cell and where its section begins (positions in notebook.cells)."""

    question: str | None
    start: int
    position: int
    text: str


def labels(notebook: NotebookNode) -> list[tuple[int, str]]:
    """(cell position, id) of every heading or bold line start with a question id."""
    return [
        (position, match[1])
        for position, cell in enumerate(notebook.cells)
        if cell.cell_type == "markdown"
        for match in LABEL.finditer(cell.source)
    ]


def answers(notebook: NotebookNode) -> list[Answer]:
    """Every Respuesta cell with its question."""
    found = []
    marks = labels(notebook)
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and cell.source.strip().startswith(OPENING):
            above = [mark for mark in marks if mark[0] < position]
            start, question = above[-1] if above else (0, None)
            found.append(Answer(question, start, position, cell.source.strip().removeprefix(OPENING)))
    return found


def prose(text: str) -> str:
    """Markdown with code, formulas, addresses and arXiv numbers replaced by X."""
    return NOT_PROSE.sub("X", text)


def count_sentences(text: str) -> int:
    """Sentences of a Spanish text; decimals and abbreviations end none, table lines do not count."""
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
        section = notebook.cells[answer.start : answer.position]
        shown = [readable(output_text(output)) for cell in section for output in cell.get("outputs", [])]
        known = set(OUTPUT_DECIMAL.findall("\n".join(shown)))
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


def committed_notebooks() -> list[Path]:
    """The notebooks of the repository, in order."""
    return sorted((settings.ROOT / "notebooks").glob("*.ipynb"))


def executed_in_order(notebook: NotebookNode) -> Iterator[Finding]:
    """Execution counts are 1..n, as after one run from top to bottom."""
    for count, (number, cell) in enumerate(code_cells(notebook), start=1):
        if cell.execution_count != count:
            yield number, f"execution count {cell.execution_count}, expected {count}: execute the notebook in one run"
            return


def no_error_output(notebook: NotebookNode) -> Iterator[Finding]:
    """No cell ended in an exception."""
    for number, output in outputs(notebook):
        if output.output_type == "error":
            yield number, f"error output: {output.ename}: {output.evalue}"


def no_stderr(notebook: NotebookNode) -> Iterator[Finding]:
    """No warning or log line reaches the reader."""
    for number, output in outputs(notebook):
        if output.get("name") == "stderr":
            yield number, f"stderr output: {output.text.strip().splitlines()[0]}"


def no_empty_code_cell(notebook: NotebookNode) -> Iterator[Finding]:
    """Every code cell holds code."""
    for number, cell in code_cells(notebook):
        if not cell.source.strip():
            yield number, "empty code cell"


def no_stripped_output(notebook: NotebookNode) -> Iterator[Finding]:
    """A cell that prints, draws or ends in a value has an output.

    Calls inside definitions and branches need not run, and a last call may return None: of those only calls known to
    show something count. A trailing semicolon silences the last value.
    """
    cells = list(code_cells(notebook))
    if cells and not any(cell.outputs for _, cell in cells):
        yield None, "no code cell has an output"
        return
    for number, cell in cells:
        if not cell.outputs and _should_show(cell.source):
            yield number, "prints, draws or ends in a value, but has no output"


def _should_show(source: str) -> bool:
    tree = _parse(source)
    if any(_called(call) in ALWAYS_SHOW for call in _calls_that_run(tree)):
        return True
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or source.rstrip().endswith(";"):
        return False
    return _called(last.value) in SHOW_WHEN_LAST if isinstance(last.value, ast.Call) else True


def _parse(source: str) -> ast.Module:
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return ast.Module([], [])


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", None) or getattr(call.func, "id", "")


def _calls_that_run(node: ast.AST) -> Iterator[ast.Call]:
    """Calls that run whenever the cell does."""
    may_not_run = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.IfExp, ast.Try)
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, may_not_run):
            if isinstance(child, ast.Call):
                yield child
            yield from _calls_that_run(child)


def no_widget(notebook: NotebookNode) -> Iterator[Finding]:
    """No widget state and no output that needs it."""
    if "widgets" in notebook.metadata:
        yield None, "widget state in the metadata"
    for number, cell in code_cells(notebook):
        if any("widget-view" in mime for output in cell.outputs for mime in output.get("data", {})):
            yield number, "widget output"


def no_absolute_path(notebook: NotebookNode) -> Iterator[Finding]:
    """Outputs name no folder of the machine they were made on."""
    for number, cell in code_cells(notebook):
        text = "\n".join(output_text(output) for output in cell.outputs)
        if match := ABSOLUTE_PATH.search(text):
            yield number, f"absolute path in the output: {match[0]}"
        elif str(settings.ROOT) in text:
            yield number, "absolute path of the repository in the output"


def no_debris(notebook: NotebookNode) -> Iterator[Finding]:
    """Outputs hold no progress bar, carriage return or memory address."""
    for number, output in outputs(notebook):
        text = output_text(output)
        if PROGRESS_BAR.search(text) or ("\r" in text and output.output_type == "stream"):
            yield number, "progress bar in the output (TQDM_DISABLE=1 silences it)"
        hidden = "text/html" in output.get("data", {})  # then nobody sees the plain text, which has the address
        if not hidden and (match := MEMORY_ADDRESS.search(text)):
            yield number, f"memory address in the output: {match[0]}; end the cell with a semicolon"


def real_data_full_profile(notebook: NotebookNode) -> Iterator[Finding]:
    """The banner says profile full and real data."""
    text = all_output_text(notebook)
    if SAMPLE_MARK in text.upper():
        yield None, "ran on the synthetic sample, not on real data"
    elif "datos reales" not in text:
        yield None, "no output says that it ran on real data (settings.banner(name=corpus) does)"
    if not re.search(r"^perfil\s+full\s*$", text, re.MULTILINE):
        yield None, "did not run with PROFILE=full"


def short_cells(notebook: NotebookNode) -> Iterator[Finding]:
    """A code cell has at most 15 lines; blank lines and comment lines do not count."""
    for number, cell in code_cells(notebook):
        lines = [line for line in cell.source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if len(lines) > MAX_CELL_LINES:
            yield number, f"{len(lines)} lines of code, at most {MAX_CELL_LINES}"


def title_first(notebook: NotebookNode) -> Iterator[Finding]:
    """The first cell is Markdown and opens with the title."""
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        yield 1, "the first cell is not a Markdown title (# ...)"


def setup_prints_banner(notebook: NotebookNode) -> Iterator[Finding]:
    """The first code cell is the setup cell and calls settings.banner()."""
    number, cell = next(code_cells(notebook), (1, None))
    if cell is None or not re.search(r"\bbanner\(", cell.source):
        yield number, "the first code cell does not call settings.banner(...)"


def closing_sections(notebook: NotebookNode) -> Iterator[Finding]:
    """The notebook ends with the sections Qué aprendimos, Qué falló, Límites (after them at most Referencias)."""
    titles = [(level, text.casefold()) for _, level, text in headings(notebook)]
    found = [next((i for i, (_, text) in enumerate(titles) if name in text), None) for name in CLOSING]
    if missing := [name for name, place in zip(CLOSING, found, strict=True) if place is None]:
        yield None, f"no closing section {', '.join(missing)}"
    elif found != sorted(found):
        yield None, f"closing sections out of order: {', '.join(CLOSING)}"
    else:
        level = titles[found[0]][0]
        for other, text in titles[found[0] :]:
            if other <= level and not any(name in text for name in CLOSING + MAY_FOLLOW):
                yield None, f"section {text!r} after the closing sections"


def no_machinery(notebook: NotebookNode) -> Iterator[Finding]:
    """Functions of more than 12 lines belong in helpers; the assignment's own nn.Module classes may be defined."""
    modules = {"Module"}
    for number, cell in code_cells(notebook):
        for node in _outside_modules(_parse(cell.source), modules):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES:
                yield number, f"defines {node.name}() in more than {MAX_FUNCTION_LINES} lines: move it to helpers"


def _outside_modules(node: ast.AST, modules: set[str]) -> Iterator[ast.AST]:
    """Nodes not inside a class that derives from nn.Module; the names of such classes are added to `modules`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and any(
            (getattr(base, "attr", None) or getattr(base, "id", "")) in modules for base in child.bases
        ):
            modules.add(child.name)
            continue
        yield child
        yield from _outside_modules(child, modules)


def figures_at_100_dpi(notebook: NotebookNode) -> Iterator[Finding]:
    """Every PNG says 100 dots per inch."""
    for number, output in outputs(notebook):
        if png := output.get("data", {}).get("image/png"):
            dpi = Image.open(io.BytesIO(base64.b64decode(png))).info.get("dpi", (0, 0))
            if round(dpi[0]) != 100:
                yield number, f"a figure at {dpi[0]:.0f} dpi: 100 are wanted (draw it with helpers.report.plots)"


RULES = (
    executed_in_order,
    no_error_output,
    no_stderr,
    no_empty_code_cell,
    no_stripped_output,
    no_widget,
    no_absolute_path,
    no_debris,
    real_data_full_profile,
    short_cells,
    title_first,
    setup_prints_banner,
    closing_sections,
    no_machinery,
    figures_at_100_dpi,
    answers_have_evidence,
    answers_have_three_to_eight_sentences,
    numbers_stand_in_outputs,
    no_wall_clock_in_answers,
)


def question_ids(notebook_name: str) -> list[str]:
    """Ids of the questions a notebook must answer, from tests/questions.json."""
    questions = json.loads((settings.ROOT / "tests" / "questions.json").read_text(encoding="utf-8"))
    return list(questions.get(notebook_name, {}))


def check_notebook(path: str | Path, ids: Collection[str]) -> list[str]:
    """Every fault of one notebook, each as "file: cell n: message"."""
    path = Path(path)
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        return [f"{path.name}: not a valid notebook: {str(error).splitlines()[0]}"]
    findings = [finding for rule in RULES for finding in rule(notebook)]
    findings += every_question_answered(notebook, ids)
    if not ids:
        findings.append((None, "tests/questions.json names no question of a notebook of this name"))
    if (size := path.stat().st_size) > MAX_BYTES:
        findings.append((None, f"{size / 1e6:.2f} MB, at most 1 MB"))
    return [f"{path.name}: " + (f"cell {number}: " if number else "") + message for number, message in findings]


def check(paths: Iterable[str | Path] | None = None) -> list[str]:
    """Every fault of the given notebooks; without paths of all committed ones and of README's tables."""
    problems = [
        problem
        for path in (committed_notebooks() if paths is None else paths)
        for problem in check_notebook(path, question_ids(Path(path).stem))
    ]
    if paths is None:
        problems += readme_problems(settings.ROOT / "README.md", settings.ROOT / "results")
    return problems
