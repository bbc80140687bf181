"""The house rules that a reader relies on: who imports whom, pins that agree, documents that are true."""

import ast
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from helpers import settings
from helpers.__main__ import spread
from helpers.apps import cli

ROOT = settings.ROOT
ROOMS = ("settings", "files", "data", "augment", "model", "report", "tasks", "lessons", "apps", "__main__")
MODULES = sorted((ROOT / "helpers").rglob("*.py"))
FOLDERS = ("helpers", "tests", "tools", "data/sample", "notebooks", "results", ".ci", ".github")
TEXT = {".py", ".md", ".toml", ".txt", ".yml", ".json", ".ipynb", ".csv", ""}
MACHINE = re.compile(
    r"(?<![\w.~<(|])/(?:work|root|opt|home/(?!ana/)\w+|Users/\w+)(?:/\w|\b)"
)  # /home/ana: an example of tests
PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> int:
    inside = path.relative_to(ROOT / "helpers").parts[0].removesuffix(".py")
    return len(ROOMS) if inside == "__init__" else ROOMS.index(inside)


def rooms_imported(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, room) of every import of our own, inside functions too."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides which room it goes to"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return [(line, name.split(".")[1]) for line, name in found if name.startswith("helpers.")]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_to_the_own_room_or_an_earlier_one(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    later = [(line, room) for line, room in rooms_imported(tree) if ROOMS.index(room) > room_of(path)]
    assert later == []


def test_import_rule_sees_every_kind_of_import():
    code = (
        "import helpers.apps\nfrom helpers import model\ndef f():\n    from helpers.tasks.sms import train\nimport os\n"
    )
    assert sorted(rooms_imported(ast.parse(code))) == [(1, "apps"), (2, "model"), (4, "tasks")]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_only_define(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    ] == []
    assert [node.lineno for node in tree.body if not only_defines(node)] == []


def only_defines(node: ast.stmt) -> bool:
    definitions = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    entry = isinstance(node, ast.If) and ast.unparse(node.test) in ("__name__ == '__main__'", "TYPE_CHECKING")
    script = isinstance(node, ast.Expr) and ast.unparse(node).startswith("set_model(")  # MLflow's models from code
    return isinstance(node, definitions) or docstring or entry or script


@pytest.mark.parametrize("path", [path for path in MODULES if path.stat().st_size], ids=name_of)
def test_public_definitions_say_what_they_are(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"]
    assert [node.name for node in nodes if not ast.get_docstring(node)] == []
    assert ast.get_docstring(tree)


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = [PIN.fullmatch(line) for line in lines if line and not line.startswith(("#", "-e"))]
    assert all(found), f"{file}: every line pins one exact version"
    return {match[1].lower().replace("_", "-"): match[2] for match in found}


def test_requirements_are_what_constraints_hold():
    constraints = pins("constraints.txt")
    assert {name: constraints.get(name) for name in pins("requirements.txt")} == pins("requirements.txt")


def test_every_dependency_of_the_package_is_pinned():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["dependencies"]) <= set(pins("requirements.txt"))


def committed_texts() -> list[Path]:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.iterdir())
    return sorted(path for path in files if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts)


def test_no_file_names_a_folder_of_the_machine_it_was_made_on():
    others = [path for path in committed_texts() if path != Path(__file__)]
    found = {name_of(path): MACHINE.search(path.read_text(encoding="utf-8")) for path in others}
    assert {name: match[0] for name, match in found.items() if match} == {}


@pytest.mark.parametrize("text", ["see /root/x", "'/home/luis/data'", "cd /work", "=/opt/venv/bin"])
def test_machine_folders_are_recognised(text):
    assert MACHINE.search(text)


def documented(command: str) -> list[str]:
    """What README's code says after a command, a line each."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"(?:^|`){command} ([^`\n#]+)", readme, re.MULTILINE)


@pytest.mark.parametrize(("options", "quick"), [((), False), (("QUICK=1",), True)])
def test_make_bench_is_quick_only_when_asked(options, quick):
    told = subprocess.run(("make", "-n", "bench", *options), cwd=ROOT, capture_output=True, text=True, check=True)
    assert "-m benchmarks" in told.stdout
    assert ("--quick" in told.stdout) == quick


def test_readme_names_targets_that_make_has():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    used = {line.split()[0] for line in documented("make")}
    assert {"notebooks", "test"} <= used <= targets


def test_readme_names_commands_that_the_command_line_has():
    commands = documented("python -m helpers")
    assert commands
    for command in commands:
        parse(shlex.split(command.replace("…", "NAME")))
    with pytest.raises(typer.TyperException):
        parse(["train", "sms", "--epochs", "3"])


def parse(arguments: list[str]) -> None:
    """Read a command as the command line does, without running it."""
    command, context, rest = cli.command(), None, spread(arguments)
    while command is not None:
        context = command.make_context(cli.PROGRAM, list(rest), parent=context)
        rest = [*context._protected_args, *context.args]
        command = command.resolve_command(context, rest)[1] if getattr(command, "commands", None) and rest else None
        rest = rest[1:]


def test_readme_links_lead_somewhere():
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_readme_links_every_notebook():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [p.name for p in (ROOT / "notebooks").glob("*.ipynb") if f"](notebooks/{p.name})" not in readme] == []
