"""Execute and render the notebooks; the rules they keep are in notebook_rules."""

import base64
import hashlib
import io
import os
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from PIL import Image

from helpers import settings
from helpers.files import write_text
from helpers.report.rules import SAMPLE_MARK, all_output_text

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
    """Notebooks that did not run or may not be written; one line each."""


def execute(
    paths: Iterable[Path], *, profile: str, out_dir: Path | None = None, timeout: float | None = None
) -> list[Path]:
    """Execute notebooks from top to bottom, each in a fresh kernel in its own folder, and print one line for each.

    A notebook is written only if all its cells succeeded; the others are executed all the same.

    Args:
        paths: the notebooks.
        profile: "quick" or "full".
        out_dir: where executed copies and their pages go; the originals stay as they are. None executes in place,
            which is for deliverables: profile full, on real data.
        timeout: seconds for one cell; None for no limit.

    Returns:
        The notebooks written.

    Raises:
        NotebookError: a cell failed, or in place a notebook ran on the synthetic sample.
        ValueError: in place with another profile than full.
    """
    if profile not in settings.PROFILES:
        raise settings.WrongValue(f"profile {profile!r} is none of {', '.join(settings.PROFILES)}")
    if out_dir is None and profile != "full":
        raise ValueError(f"profile {profile} would overwrite the committed notebooks: name a folder, or use full")
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


def run_notebook(path: Path, *, profile: str, timeout: float | None = None) -> NotebookNode:
    """Execute one notebook in memory and tidy it: by this Python, whatever kernel it names, in its own folder.

    Raises:
        NotebookError: which notebook, which cell, its first line, and what it raised.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError) as error:
        raise NotebookError(f"{path.name}: not a readable notebook: {error}") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    current = []  # positions of the cells started so far
    client = NotebookClient(
        notebook,
        timeout=timeout,
        coalesce_streams=True,
        record_timing=False,
        extra_arguments=["--log-level=CRITICAL"],  # what a cell raises is in its output; the rest is noise at Ctrl-C
        resources={"metadata": {"path": str(path.resolve().parent)}},
        on_cell_start=lambda cell, cell_index: current.append(cell_index),
    )
    # without a look at the installed kernels: one called python3 may be another Python's
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
    """This process's environment for a kernel: figures go inline whatever backend is set here, bars are off."""
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return environment | {"PROFILE": profile, "TQDM_DISABLE": "1"}


def _failure(path: Path, notebook: NotebookNode, current: list[int], reason: str) -> str:
    source = notebook.cells[current[-1]].source.strip() if current else ""
    return f"{path.name}: cell {current[-1] + 1 if current else 0} ({source.partition(chr(10))[0]}): {reason}"


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Reduce an executed notebook to what is the same in every run: metadata, cell metadata (tags stay) and cell ids.

    A cell's id is a hash of its source, so that a cell put in between changes no other id. Figures are packed tighter,
    without loss.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat_minor = 5
    seen = Counter()
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({name: value for name, value in cell.metadata.items() if name == "tags"})
        digest = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = repacked(output.data["image/png"])
    nbformat.validate(notebook)
    return notebook


def repacked(png: str) -> str:
    """A PNG in base64 in fewer bytes: the same pixels, without an alpha channel that hides nothing; else as it is."""
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


def render(paths: Iterable[Path], out_dir: Path) -> list[Path]:
    """Turn notebooks into HTML pages that hold their figures and styles; only formulas ask the network for MathJax.

    Returns:
        The pages, <out_dir>/<notebook>.html.
    """
    exporter = HTMLExporter(raw_template=PAGE, embed_images=True, language_code="es")
    pages = []
    for path in map(Path, paths):
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"name": path.stem, "path": str(path.resolve().parent)}}
        page, _ = exporter.from_notebook_node(notebook, resources=resources)
        pages.append(write_text(Path(out_dir) / f"{path.stem}.html", page))
    return pages


def _relative(path: Path) -> str:
    """A path as a reader at the repository root would type it."""
    path = path.resolve()
    return str(path.relative_to(settings.ROOT)) if path.is_relative_to(settings.ROOT) else str(path)
