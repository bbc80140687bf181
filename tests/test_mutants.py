"""make mutants: its list fits the code, and it tells a caught fault from one that no test notices."""

import ast
import shutil
from collections import Counter

import pytest

from helpers import settings
from tools import mutants
from tools.mutant_list import MUTANTS, Mutant

SOURCE = "def add(a, b):\n    return a + b\n"
MUTANT = Mutant("helpers/model/toy.py", "a + b", "a - b", "sums are differences")


def test_every_mutant_stands_once_in_its_file_and_is_other_code_that_parses():
    faults = []
    for mutant in MUTANTS:
        text = (settings.ROOT / mutant.file).read_text(encoding="utf-8")
        try:
            same = ast.dump(ast.parse(mutants.mutated(text, mutant))) == ast.dump(ast.parse(text))
            faults += [f"{mutant.file}: {mutant.breaks}: the same code"] if same else []
        except (ValueError, SyntaxError) as error:
            faults.append(str(error))
    assert faults == []


def test_the_list_is_long_and_says_every_fault_once():
    assert len(MUTANTS) >= 70
    assert max(Counter(MUTANTS).values()) == 1
    assert {mutant.file.split("/")[1] for mutant in MUTANTS} == {"data", "model", "tasks"}


def test_every_changed_module_has_tests_beside_the_fingerprints():
    for file in {mutant.file for mutant in MUTANTS}:
        found = mutants.related_tests(file)
        assert mutants.FINGERPRINTS in found
        assert len(found) > 1, file
    assert mutants.related_tests("helpers/model/training.py")[0] == "tests/test_training.py"


def test_a_snippet_that_is_gone_or_twice_there_is_named():
    for text in ("", SOURCE * 2):
        with pytest.raises(ValueError, match=r"toy\.py: occurs [02] times: 'a \+ b'"):
            mutants.mutated(text, MUTANT)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small project under git's eyes, with one function and one test of it."""
    root = tmp_path / "project"
    for name, text in {
        MUTANT.file: SOURCE,
        "tests/test_toy.py": "from helpers.model.toy import add\n\ndef test_add():\n    assert add(2, 2) == 4\n",
        "tests/test_fingerprints.py": "def test_nothing():\n    pass\n",
        "data/sample/x.txt": "x",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    def copied(folder):
        return shutil.copytree(root, folder)

    for name, value in (("ROOT", root), ("BUILD", tmp_path / "build"), ("copy_tree", copied)):
        monkeypatch.setattr(mutants, name, value)
    return root


def test_faults_are_caught_or_survive_and_are_not_run_twice(tree, monkeypatch, capsys):
    harmless = Mutant(MUTANT.file, "a + b", "b + a", "nothing")
    broken = Mutant(MUTANT.file, "    return", "return", "the file does not parse")
    monkeypatch.setattr(mutants, "MUTANTS", [MUTANT, harmless, broken])
    found = mutants.run([MUTANT, harmless, broken])
    assert [each["verdict"] for each in found] == ["caught", "survived", "does not run"]
    assert found[0]["test"] == "tests/test_toy.py::test_add"
    assert (tree / MUTANT.file).read_text() == SOURCE
    monkeypatch.setattr(mutants, "judge", None)
    assert mutants.run([MUTANT, harmless, broken]) == found
    assert "3 mutants, 3 run before" in capsys.readouterr().out
    assert mutants.main(["--only", "nothing"]) == 1
    assert "SURVIVED  helpers/model/toy.py: nothing" in capsys.readouterr().out
    assert mutants.main(["--only", "sums"]) == 0


def test_tests_that_fail_without_a_mutant_are_an_error(tree, monkeypatch, capsys):
    (tree / "tests" / "test_toy.py").write_text("from helpers.model import toy\n\ndef test_it():\n    assert 0\n")
    monkeypatch.setattr(mutants, "MUTANTS", [MUTANT])
    assert mutants.main([]) == 1
    assert "the tests fail without any mutant: tests/test_toy.py::test_it" in capsys.readouterr().err
