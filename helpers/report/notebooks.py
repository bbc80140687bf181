"""Execute and render notebooks; the rules that they keep are in rules.py."""

import base64
import hashlib
import io
import os
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import nbformat.reader
import nbformat.validator
from nbformat import NotebookNode

from helpers import settings
from helpers.files import write_text
from helpers.report.rules import SAMPLE_MARK, all_output_text, code_cells

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
}
# A page must read the same without network: no require.js (only widgets need it), MathJax never in the way.
PAGE = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{{ super() | replace('<script src', '<script async src') }}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""


class NotebookError(settings.UserError):
    """Notebooks that cannot be read or written, or did not run; one line each."""


def read_notebook(path: str | Path, *, outputs: bool = True) -> NotebookNode:
    """A notebook with plain metadata and without widgets, which a page cannot show without network.

    Args:
        outputs: False drops all of them.

    Raises:
        NotebookError: unreadable, or not a valid notebook (names the cell).
    """
    path = Path(path)
    try:
        notebook = nbformat.convert(nbformat.reader.reads(path.read_text(encoding="utf-8")), 4)
        _plain_metadata(notebook)
        for _, cell in code_cells(notebook):
            for output in cell.outputs:
                for mime in [mime for mime in output.get("data", ()) if "widget-view" in mime]:
                    del output.data[mime]
            cell.outputs = [output for output in cell.outputs if outputs and output.get("data") != {}]
    except (OSError, ValueError, AttributeError) as error:
        raise NotebookError(f"{path.name}: not a readable notebook: {str(error).splitlines()[0]}") from None
    for fault in nbformat.validator.iter_validate(notebook):
        cell = "".join(f"cell {place + 1}: " for place in list(fault.absolute_path)[1:2])
        raise NotebookError(f"{path.name}: {cell}not a valid notebook: {fault.message.splitlines()[0]}")
    return notebook


def _plain_metadata(notebook: NotebookNode) -> None:
    """Metadata as every notebook has it; of a cell's own only tags stay (Colab writes what nbconvert trips over)."""
    notebook.metadata, notebook.nbformat_minor = nbformat.from_dict(METADATA), 5
    for number, cell in enumerate(notebook.cells):
        cell.metadata = nbformat.from_dict({name: value for name, value in cell.metadata.items() if name == "tags"})
        cell.setdefault("id", f"cell-{number}")


def execute(
    paths: Iterable[str | Path], *, profile: str, out_dir: str | Path | None = None, timeout: float | None = None
) -> list[Path]:
    """Execute notebooks from top to bottom, each in a fresh kernel in its own folder, and print one line for each.

    A notebook is written only if all its cells succeeded; the others are executed all the same.

    Args:
        profile: "quick" or "full"; full runs on the CPU, whose numbers are those committed.
        out_dir: for executed copies and their pages; None executes in place: profile full, on real data.
        timeout: seconds for one cell; None for no limit.

    Returns:
        The notebooks written.

    Raises:
        NotebookError: a cell failed, or in place a notebook ran on the synthetic sample.
        WrongValue: in place with another profile than full.
    """
    if profile not in settings.PROFILES:
        raise settings.WrongValue(f"profile {profile!r} is none of {', '.join(settings.PROFILES)}")
    if out_dir is None and profile != "full":
        raise settings.WrongValue(
            f"profile {profile} would overwrite the committed notebooks: name a folder, or use full"
        )
    written, problems = [], []
    for path in map(Path, paths):
        try:
            written.append(_execute_one(path, profile, out_dir, timeout))
        except NotebookError as error:
            print(f"{path.name}  FAILED", flush=True)
            problems.append(str(error))
    if problems:
        raise NotebookError("\n".join(problems))
    return written


def _execute_one(path: Path, profile: str, out_dir: Path | None, timeout: float | None) -> Path:
    started = time.perf_counter()
    notebook = run_notebook(path, profile=profile, timeout=timeout)
    data = data_used(notebook)
    if out_dir is None and data == "sample":
        raise NotebookError(f"{path.name}: ran on the synthetic sample; not written (make data gets the data)")
    target = path if out_dir is None else Path(out_dir) / path.name
    write_text(target, nbformat.writes(notebook) + "\n")
    shown = target if out_dir is None else render([target], Path(out_dir))[0]
    print(f"{path.name}  {time.perf_counter() - started:.0f} s  {data}  {_relative(shown)}", flush=True)
    return target


def run_notebook(path: str | Path, *, profile: str, timeout: float | None = None) -> NotebookNode:
    """Execute one notebook in memory, in its own folder, by this Python whatever kernel it names; then tidy it.

    Raises:
        NotebookError: which notebook, which cell, its first line, and what it raised.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    path = Path(path)
    notebook = read_notebook(path, outputs=False)
    current = []  # positions of the cells started so far
    client = NotebookClient(
        notebook,
        timeout=timeout,
        coalesce_streams=True,
        record_timing=False,
        extra_arguments=["--log-level=CRITICAL"],  # an error is in its cell's output; the rest is noise at Ctrl-C
        resources={"metadata": {"path": str(path.resolve().parent)}},
        on_cell_start=lambda cell, cell_index: current.append(cell_index),
    )
    # looks at no installed kernel: one called python3 may be another Python's
    client.km = AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    try:
        client.execute(env=_kernel_environment(profile), transport_encryption="auto")
    except CellExecutionError as error:
        raise NotebookError(_failure(path, notebook, current, f"{error.ename}: {error.evalue}")) from None
    except CellTimeoutError:
        raise NotebookError(_failure(path, notebook, current, f"ran for more than {timeout:g} s")) from None
    except DeadKernelError:
        raise NotebookError(_failure(path, notebook, current, "the kernel died (out of memory?)")) from None
    except AssertionError:
        if client.km is not None:
            raise
        raise KeyboardInterrupt from None  # nbclient took the signal itself and has put its kernel away
    return tidy(notebook)


def _kernel_environment(profile: str) -> dict[str, str]:
    """This process's environment for a kernel: figures inline whatever backend is set, no bars, full on the CPU."""
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    device = {"DEVICE": "cpu"} if profile == "full" else {}
    return environment | {"PROFILE": profile, "TQDM_DISABLE": "1"} | device


def _failure(path: Path, notebook: NotebookNode, current: list[int], reason: str) -> str:
    source = notebook.cells[current[-1]].source.strip() if current else ""
    return f"{path.name}: cell {current[-1] + 1 if current else 0} ({source.partition(chr(10))[0]}): {reason}"


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Make metadata, cell metadata (tags stay) and cell ids the same in every run, and pack figures without loss.

    A cell's id is a hash of its source, so that a new cell changes no other id.
    """
    _plain_metadata(notebook)
    seen = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = repacked(output.data["image/png"])
    nbformat.validate(notebook)
    return notebook


def repacked(png: str) -> str:
    """A PNG in base64 in fewer bytes: the same pixels, without an opaque alpha channel; as it is if that saves none."""
    from PIL import Image

    content = base64.b64decode(png)
    image = Image.open(io.BytesIO(content))
    if image.mode == "RGBA" and image.getextrema()[3] == (255, 255):
        image = image.convert("RGB")
    packed = io.BytesIO()
    image.save(packed, "PNG", optimize=True, **{name: image.info[name] for name in ("dpi",) if name in image.info})
    return base64.b64encode(packed.getvalue()).decode() if packed.tell() < len(content) else png


def data_used(notebook: NotebookNode) -> str:
    """What the banner says the notebook ran on: "real data", "sample" or "no data"."""
    text = all_output_text(notebook)
    if SAMPLE_MARK in text.upper():
        return "sample"
    return "real data" if "datos reales" in text else "no data"


def render(paths: Iterable[str | Path], out_dir: str | Path) -> list[Path]:
    """Turn notebooks into HTML pages that hold their figures and styles; only formulas ask the network for MathJax.

    Returns:
        The pages, <out_dir>/<notebook>.html.

    Raises:
        NotebookError: as read_notebook.
    """
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(raw_template=PAGE, embed_images=True, language_code="es")
    pages = []
    for path in map(Path, paths):
        notebook = read_notebook(path)
        resources = {"metadata": {"name": path.stem, "path": str(path.resolve().parent)}}
        page, _ = exporter.from_notebook_node(notebook, resources=resources)
        pages.append(write_text(Path(out_dir) / f"{path.stem}.html", page))
    return pages


def _relative(path: Path) -> str:
    """A path as seen from the repository root."""
    path = path.resolve()
    return str(path.relative_to(settings.ROOT)) if path.is_relative_to(settings.ROOT) else str(path)
