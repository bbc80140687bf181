"""The notebook rules, each broken once; execution and pages; and the committed notebooks themselves."""

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from helpers import settings
from helpers.report import notebooks, rules, site
from helpers.report.notebooks import NotebookError
from helpers.report.readme import readme_problems

BANNER = "perfil     full\ndatos      sms: 5,574 filas · datos reales · sha256 7d039a24a608\n"
ANSWER = (
    "**Respuesta.** El F1 medio es 0.9618, p. ej. con `C=2.5` y $\\alpha = 0.25$. Sube a 0.97 con 80 unidades. "
    "Deja de valer fuera de estos 5,574 mensajes (arXiv 1301.3781)."
)
TABLE_HTML = "<style>td {width: 0.33em}</style><table><tr><td>0.9<b></b></td><td>0.97</td></tr></table>"


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def table(html=TABLE_HTML):
    return new_output("display_data", data={"text/html": html, "text/plain": "f1 0.9618"})


def renumber(notebook):
    for count, (_, cell) in enumerate(rules.code_cells(notebook), start=1):
        cell.execution_count = count


def clean():
    """A small notebook that keeps every rule; positions are used by the mutations below."""
    cells = [
        new_markdown_cell("# Spam\n\n¿Qué recuerda una red?"),
        new_code_cell("from helpers import settings\n\nsettings.banner()", outputs=[stream(BANNER)]),
        new_markdown_cell("## R1 Los embeddings"),
        new_code_cell("tabla = 1\ntabla", outputs=[table()]),
        new_markdown_cell(ANSWER),
        new_markdown_cell("**R2.1 Parámetros y datos**"),
        new_code_cell("print(0.5)", outputs=[stream("0.5\n")]),
        new_markdown_cell("**Respuesta.** No dependen. La tabla da 0.5. Solo importa el vocabulario."),
        new_markdown_cell("## Qué aprendimos\nAlgo.\n## Qué falló\nAlgo.\n## Límites\nAlgo.\n## Referencias"),
    ]
    notebook = new_notebook(cells=cells)
    renumber(notebook)
    return notebook


def save(notebook, folder, name="04_prueba.ipynb"):
    path = folder / name
    nbformat.write(notebook, path)
    return path


def problems_of(notebook, tmp_path, ids=("R1", "R2.1")):
    return rules.check_notebook(save(notebook, tmp_path), ids)


def outputs(position, *values):
    def change(notebook):
        notebook.cells[position].outputs = list(values)

    return change


def source(position, text):
    def change(notebook):
        notebook.cells[position].source = text

    return change


def drop(position):
    def change(notebook):
        del notebook.cells[position]
        renumber(notebook)

    return change


def attribute(position, name, value):
    def change(notebook):
        notebook.cells[position][name] = value

    return change


def widgets(notebook):
    notebook.metadata["widgets"] = {"state": {}}


def strip_all(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []


def big(notebook):
    notebook.cells[3].outputs.append(new_output("display_data", data={"text/plain": "A" * 1_000_001}))


WIDGET = new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "a"}})
LONG_FUNCTION = "def largo(x):\n" + "    x += 1\n" * 12 + "    return x"
SIX_MORE = " Y una más." * 6
BROKEN = {
    "out of order": (attribute(6, "execution_count", 7), "cell 7: execution count 7, expected 3"),
    "not executed": (attribute(1, "execution_count", None), "cell 2: execution count None, expected 1"),
    "error": (
        outputs(3, table(), new_output("error", ename="ValueError", evalue="no", traceback=["x"])),
        "cell 4: error output: ValueError: no",
    ),
    "stderr": (outputs(3, table(), stream("UserWarning: x\n", "stderr")), "cell 4: stderr output: UserWarning: x"),
    "empty cell": (source(3, "  \n"), "cell 4: empty code cell"),
    "stripped cell": (outputs(6), "cell 7: prints, draws or ends in a value"),
    "stripped notebook": (strip_all, "no code cell has an output"),
    "widget state": (widgets, "widget state in the metadata"),
    "widget output": (outputs(3, table(), WIDGET), "cell 4: widget output"),
    "home": (outputs(6, stream("0.5 en /home/ana/x.csv\n")), "cell 7: absolute path in the output: /home/ana/x.csv"),
    "windows": (outputs(6, stream("0.5 en C:\\datos\\x.csv\n")), "cell 7: absolute path in the output: C:\\datos"),
    "repository": (outputs(6, stream(f"0.5 {settings.ROOT}\n")), "cell 7: absolute path"),
    "bar": (outputs(6, stream("0.5 40%|████  | 4/10 [00:01, 3.1it/s]\n")), "cell 7: progress bar"),
    "carriage return": (outputs(6, stream("0.5\rya\n")), "cell 7: progress bar"),
    "address": (outputs(6, stream("0.5 <Line2D at 0x7f12ab34cd>\n")), "cell 7: memory address"),
    "size": (big, "1.00 MB, at most 1 MB"),
    "sample": (
        outputs(1, stream("*** MUESTRA SINTÉTICA ***\nperfil     full\n")),
        "ran on the synthetic sample",
    ),
    "data unnamed": (outputs(1, stream("perfil     full\n")), "no output says that it ran on real data"),
    "quick": (outputs(1, stream(BANNER.replace("full", "quick"))), "did not run with PROFILE=full"),
    "long cell": (source(3, "x = 1\n" * 15 + "x"), "cell 4: 16 lines of code, at most 15"),
    "no title": (source(0, "Spam"), "cell 1: the first cell is not a Markdown title"),
    "no banner": (source(1, "import torch"), "cell 2: the first code cell does not call settings.banner"),
    "no limits": (source(8, "## Qué aprendimos\n## Qué falló"), "no closing section límites"),
    "closing order": (source(8, "## Límites\n## Qué aprendimos\n## Qué falló"), "closing sections out of order"),
    "after closing": (
        source(8, "## Qué aprendimos\n## Qué falló\n## Límites\n## Anexo"),
        "section 'anexo' after the closing sections",
    ),
    "machinery": (source(3, LONG_FUNCTION + "\nlargo(1)"), "cell 4: defines largo() in more than 12 lines"),
    "no label": (source(5, "Otra cosa"), "question R2.1 has no heading or bold label"),
    "no answer": (drop(7), "question R2.1 has no Markdown cell that begins with **Respuesta.**"),
    "answer inside a cell": (
        source(7, "Vemos. **Respuesta.** No. Da 0.5. Fin."),
        "question R2.1 has no Markdown cell that begins with **Respuesta.**",
    ),
    "no evidence": (drop(6), "cell 7: the answer to R2.1 has no output or table above it"),
    "short answer": (source(7, "**Respuesta.** No. Da 0.5."), "cell 8: the answer to R2.1 has 2 sentences"),
    "long answer": (
        source(7, f"**Respuesta.** No. Da 0.5. Fin.{SIX_MORE}"),
        "cell 8: the answer to R2.1 has 9 sentences",
    ),
    "number from nowhere": (
        source(7, "**Respuesta.** No. Da 0.51, no 0.5. Fin."),
        "cell 8: not in an output of R2.1: 0.51",
    ),
    "number of another section": (
        source(7, "**Respuesta.** No. Da 0.9618. Fin."),
        "cell 8: not in an output of R2.1: 0.9618",
    ),
    "number of a style": (
        source(4, "**Respuesta.** No. Da 0.33. Fin."),
        "cell 5: not in an output of R1: 0.33",
    ),
    "decimal comma": (source(7, "**Respuesta.** No. Da 0,5. Fin."), "cell 8: write a decimal point"),
    "wall clock": (
        source(7, "**Respuesta.** No. Da 0.5. Tarda 12 s o 3 minutos."),
        "cell 8: a wall-clock time in the answer to R2.1: 12 s, 3 minutos",
    ),
}
# What a reader loses with the output: the same fault seen by other rules.
NO_EVIDENCE = ("the answer to R2.1 has no output or table", "not in an output of R2.1: 0.5")
ALSO = {
    "stripped cell": NO_EVIDENCE,
    "no evidence": NO_EVIDENCE[1:],
    "stripped notebook": (
        "no output says that it ran on real data",
        "did not run with PROFILE=full",
        "the answer to R1 has no output or table",
        "not in an output of R1: 0.9618, 0.97",
        *NO_EVIDENCE,
    ),
}


def test_clean_notebook_keeps_every_rule(tmp_path):
    assert problems_of(clean(), tmp_path) == []


@pytest.mark.parametrize("case", BROKEN)
def test_broken_rule_is_named(case, tmp_path):
    change, message = BROKEN[case]
    notebook = clean()
    change(notebook)
    problems = problems_of(notebook, tmp_path)
    expected = (message, *ALSO.get(case, ()))
    assert len(problems) == len(expected), problems
    assert all(any(fragment in problem for problem in problems) for fragment in expected), problems
    assert all(problem.startswith("04_prueba.ipynb: ") for problem in problems)


def test_rules_let_pass_what_is_allowed(tmp_path):
    module = "from torch import nn\nclass Base(nn.Module):\n    pass\nclass Hija(Base):\n    def forward(self, x):\n"
    notebook = clean()
    notebook.cells[3:3] = [
        new_code_cell(module + "        x = x\n" * 9),  # 13 lines with its head, inside a module
        new_code_cell("# nota\n\n" * 20 + "x = 1\nif x > 2:\n    print(x)\ndef f():\n    print(1)\nf()\nx;"),
    ]
    renumber(notebook)
    styled = {"text/html": "<b>1</b>", "text/plain": "<Styler at 0x7f12ab34cd>"}  # only the HTML is shown
    notebook.cells[5].outputs.append(new_output("display_data", data=styled))
    notebook.cells[5].outputs.append(stream("Q:\nA: 'P:\\nR' y/o trabajo https://ejemplo.org/tmpl\n"))
    assert problems_of(notebook, tmp_path) == []


def test_unreadable_notebook_is_a_problem(tmp_path):
    path = tmp_path / "04_roto.ipynb"
    path.write_text('{"cells": [', encoding="utf-8")
    assert rules.check_notebook(path, [])[0].startswith("04_roto.ipynb: not a valid notebook")


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Una. Dos. Tres.", 3),
        ("Sube de 0.95 a 0.9618 (p. ej. en R2.3). Baja luego.", 2),
        ("Véase Fig. 3 y Hochreiter et al. (1997). Vale aprox. 4. ¿Por qué? «Porque sí.»", 4),
        ("Usa `a. B. C` y $x. Y$. Fin sin punto", 2),
        ("Primera.\n\n- Segunda.\n- Tercera.\n\n| a. B | c. D |", 3),
        ("", 0),
    ],
)
def test_count_sentences(text, sentences):
    assert rules.count_sentences(text) == sentences


@given(st.lists(st.floats(0.001, 999, allow_nan=False).map(lambda number: f"{number:.3f}"), min_size=1, max_size=12))
def test_decimals_end_no_sentence(numbers):
    assert rules.count_sentences("".join(f"Mide {number}. " for number in numbers)) == len(numbers)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("F1 0.96, torch 2.13.0 y R2.3, sección `4.5`", ["0.96"]),
        ("de 1,234.5 a -0.25 (98.6%) ±1.5e-05", ["1,234.5", "0.25", "98.6", "1.5e-05"]),
        ("[tabla](a/1.5.html) en https://x.org/2.5", []),
    ],
)
def test_decimals_in_prose(text, found):
    assert rules.PROSE_DECIMAL.findall(rules.prose(text)) == found


def test_question_list_has_every_notebook_and_wellformed_ids():
    questions = json.loads((Path(__file__).parent / "questions.json").read_text(encoding="utf-8"))
    assert sorted(questions) == list(questions)
    assert len(questions) == 7
    for name, ids in questions.items():
        assert rules.question_ids(name) == list(ids)
        labels = [new_markdown_cell(f"### {key} {text}") for key, text in ids.items()]
        assert [key for _, key in rules.labels(new_notebook(cells=labels))] == list(ids)


def test_check_names_faults_of_every_given_notebook(tmp_path):
    first, second = clean(), clean()
    source(0, "x")(first)
    outputs(6)(second)
    paths = [save(first, tmp_path, "80_uno.ipynb"), save(second, tmp_path, "81_dos.ipynb")]
    problems = rules.check(paths)
    assert [problem[:2] for problem in problems] == ["80"] * 2 + ["81"] * 4  # no output: no evidence either
    assert sum("names no question" in problem for problem in problems) == 2


@pytest.mark.parametrize(("dpi", "faults"), [(100, 0), (72, 1)])
def test_figures_have_100_dpi(tmp_path, dpi, faults):
    file = io.BytesIO()
    Figure(figsize=(1, 1)).savefig(file, format="png", dpi=dpi)
    notebook = clean()
    png = base64.b64encode(file.getvalue()).decode()
    notebook.cells[3].outputs.append(new_output("display_data", data={"image/png": png}))
    problems = rules.check_notebook(save(notebook, tmp_path), ["R1"])
    assert len(problems) == faults
    assert all("a figure at 72 dpi" in problem for problem in problems)


def small(*sources):
    notebook = new_notebook(cells=[new_markdown_cell("# x"), *map(new_code_cell, sources)])
    notebook.metadata["widgets"] = {"a": 1}
    notebook.cells[1].metadata = {"tags": ["setup"], "execution": {"a": 1}, "collapsed": True}
    notebook.cells[1].execution_count = 41
    return notebook


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """One run of a good notebook into a folder, next to one that fails."""
    folder = tmp_path_factory.mktemp("cuadernos")
    look = "import os\nprint('datos reales', os.environ['PROFILE'], os.environ['TQDM_DISABLE'], os.getcwd())"
    good = save(small(look, "print('uno')\nprint('dos')", "40 + 2"), folder, "01_bueno.ipynb")
    bad = save(small("x = 1", "# nota\nx / 0\nx"), folder, "02_malo.ipynb")
    before = {path: path.read_bytes() for path in (good, bad)}
    with pytest.raises(NotebookError) as failure:
        notebooks.execute([bad, good], profile="quick", out_dir=folder / "build", timeout=60)
    assert {path: path.read_bytes() for path in (good, bad)} == before
    return folder, str(failure.value)


def test_execute_writes_a_tidy_copy(executed):
    folder, _ = executed
    notebook = nbformat.read(folder / "build" / "01_bueno.ipynb", as_version=4)
    cells = notebook.cells
    assert [cell.execution_count for cell in cells[1:]] == [1, 2, 3]
    assert cells[1].outputs[0].text == f"datos reales quick 1 {folder}\n"
    assert [output.text for output in cells[2].outputs] == ["uno\ndos\n"]
    assert cells[3].outputs[0].data["text/plain"] == "42"
    assert notebook.metadata == notebooks.METADATA
    assert cells[1].metadata == {"tags": ["setup"]}
    assert notebooks.data_used(notebook) == "real data"


def test_failing_cell_is_named_and_nothing_is_written(executed):
    folder, message = executed
    assert message == "02_malo.ipynb: cell 3 (# nota): ZeroDivisionError: division by zero"
    assert sorted(path.name for path in (folder / "build").iterdir()) == ["01_bueno.html", "01_bueno.ipynb"]


def test_ctrl_c_ends_without_a_traceback_and_writes_nothing(tmp_path):
    started, source = tmp_path / "started", tmp_path / "sleeper.ipynb"
    cell = f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\ntime.sleep(600)"
    nbformat.write(new_notebook(cells=[new_code_cell(cell)]), source)
    command = [*(sys.executable, "-m", "helpers", "notebooks", "execute", str(source)), "--profile", "quick"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_page_is_self_contained(executed):
    folder, _ = executed
    page = (folder / "build" / "01_bueno.html").read_text(encoding="utf-8")
    assert '<html lang="es">' in page
    assert "dos" in page
    loaded = re.findall(r"<(?:script|img|link)\b[^>]*(?:src|href)=\"(?!data:)[^>]*>", page)
    assert len(loaded) == 1  # MathJax, which must not hold up the page
    assert "async" in loaded[0]
    assert "import(" not in page


def test_in_place_refuses_the_sample(tmp_path, capsys):
    path = save(small("print('*** MUESTRA SINTÉTICA ***')"), tmp_path)
    before = path.read_bytes()
    with pytest.raises(NotebookError, match=r"04_prueba\.ipynb: ran on the synthetic sample"):
        notebooks.execute([path], profile="full", timeout=60)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert capsys.readouterr().out == "04_prueba.ipynb  FAILED\n"


@pytest.mark.parametrize(("profile", "message"), [("quick", "overwrite the committed"), ("fast", "is none of")])
def test_in_place_needs_profile_full(profile, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        notebooks.execute([save(clean(), tmp_path)], profile=profile)


def test_execute_in_place_writes_and_reports(tmp_path, monkeypatch, capsys):
    path = save(clean(), tmp_path)
    monkeypatch.setattr(notebooks, "run_notebook", lambda path, **_: notebooks.tidy(clean()))
    assert notebooks.execute([path], profile="full") == [path]
    assert re.fullmatch(r"04_prueba\.ipynb  0 s  real data  .*04_prueba\.ipynb\n", capsys.readouterr().out)
    assert nbformat.read(path, as_version=4).metadata == notebooks.METADATA


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_figures_are_repacked_without_loss(alpha):
    figure = Figure(figsize=(3, 2), facecolor=(1, 1, 1, alpha))
    figure.add_subplot().plot(range(9))
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=100)
    png = base64.b64encode(written.getvalue()).decode()
    packed = notebooks.repacked(png)
    before, after = (Image.open(io.BytesIO(base64.b64decode(text))) for text in (png, packed))
    assert len(packed) < len(png)
    assert after.convert("RGBA").tobytes() == before.tobytes()
    assert after.info["dpi"] == before.info["dpi"]
    assert notebooks.repacked(packed) == packed


def test_full_runs_on_the_cpu_whatever_device_is_set(tmp_path, monkeypatch):
    monkeypatch.setenv("DEVICE", "cuda:7")
    path = save(small("import os\nprint(os.environ['DEVICE'])"), tmp_path)
    devices = [notebooks.run_notebook(path, profile=p, timeout=60).cells[1].outputs[0].text for p in ("full", "quick")]
    assert devices == ["cpu\n", "cuda:7\n"]


def test_a_notebook_of_another_environment_runs_here_and_under_make_test(tmp_path):
    notebook = small("import sys\nassert sys.prefix == " + repr(sys.prefix))
    notebook.metadata["kernelspec"] = {"name": "conda-env-nlp-py", "display_name": "Python [conda env:nlp]"}
    path = save(notebook, tmp_path, "01_otro.ipynb")
    assert notebooks.run_notebook(path, profile="quick", timeout=60).cells[1].execution_count == 1
    flags = re.search(r"-m pytest (--nbmake.*?) notebooks", (settings.ROOT / "Makefile").read_text())[1].split()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *flags, str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def from_colab():
    """A notebook with a progress bar, as Colab saves it: a widget's view beside its text, and no state of widgets."""
    notebook = small("for _ in tqdm(range(9)): pass", "print(1)")
    bar = {"application/vnd.jupyter.widget-view+json": {"model_id": "a", "version_major": 2}}
    notebook.cells[1].outputs = [
        new_output("display_data", data=bar | {"text/plain": "  0%|          | 0/9"}),
        new_output("display_data", data=bar),
    ]
    notebook.cells[2].outputs = [stream("visto\n")]
    for cell in notebook.cells:
        del cell["id"]
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"a": {"model_name": "HBoxModel"}}}
    return notebook


def test_a_notebook_back_from_colab_is_rendered(tmp_path):
    path = tmp_path / "04_colab.ipynb"
    path.write_text(json.dumps(from_colab()), encoding="utf-8")
    (page,) = notebooks.render([path], tmp_path / "pages")
    for text in (page.read_text(encoding="utf-8"), site.read_page(path).body):
        assert "0/9" in text
        assert "visto" in text
        assert "widget-view" not in text


def test_a_notebook_that_cannot_be_rendered_is_refused_in_a_line_that_names_the_cell(tmp_path):
    content = json.loads(nbformat.writes(clean()))
    del content["cells"][3]["outputs"][0]["data"]
    path = tmp_path / "05_raro.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    for make in (lambda: notebooks.render([path], tmp_path / "pages"), lambda: site.read_page(path)):
        with pytest.raises(NotebookError, match=r"^05_raro\.ipynb: cell 4: not a valid notebook: .*data.*$"):
            make()
    path.write_text('{"cells": [', encoding="utf-8")
    with pytest.raises(NotebookError, match=r"^05_raro\.ipynb: not a readable notebook: .*$"):
        notebooks.render([path], tmp_path / "pages")


def test_cell_ids_follow_the_source():
    def ids(*sources):
        return [cell.id for cell in notebooks.tidy(new_notebook(cells=[new_code_cell(text) for text in sources])).cells]

    before, after = ids("a", "b", "b"), ids("a", "nuevo", "b", "b")
    assert len(set(before)) == 3
    assert before == [after[0], after[2], after[3]]


@pytest.mark.parametrize("path", rules.committed_notebooks(), ids=lambda path: path.stem)
def test_committed_notebooks_pass_check(path):
    assert rules.check([path]) == []


def test_readme_table_and_committed_results_agree():
    assert readme_problems(settings.ROOT / "README.md", settings.ROOT / "results") == []


def test_every_committed_notebook_has_its_results():
    written = {path.stem for path in (settings.ROOT / "results").glob("*.json")}
    assert {path.stem for path in rules.committed_notebooks()} <= written
