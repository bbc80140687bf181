"""make mutants: break the code on purpose, a line at a time; do the tests notice? python -m tools.mutants [--only WORD]

Every mutant of `tools.mutant_list` is put into a copy of the working tree, and the fingerprints and the test files that
import the changed module are run there until the first failure. A mutant is caught when a test fails, and survives when
none does. Two run at once; what has been run is kept in build/mutants until code or tests change. A copy without any
mutant is run first: its tests must pass. Ends in 1 where less than 95% are caught, or a mutant does not even import.
"""

import argparse
import ast
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path

from helpers import settings
from helpers.files import hash_of, remove, sha256_of, write_text
from tools.mutant_list import MUTANTS, Mutant

ROOT = settings.ROOT
BUILD = ROOT / "build" / "mutants"
REPORT = ROOT / "results" / "mutants.json"
FINGERPRINTS = "tests/test_fingerprints.py"
# of the command line, notebooks and tools, or in need of a git checkout: they say nothing of models
SLOW = {"test_cli", "test_notebooks", "test_verify", "test_fuzz", "test_demo", "test_benchmarks", "test_mutants"}
TASKS = ("sms", "meli", "sick")
GOAL = 0.95
WORKERS = 2
LIMIT = 1800  # seconds; a mutant that hangs is caught


def mutated(text: str, mutant: Mutant) -> str:
    """The file with the mutant in it.

    Raises:
        ValueError: the snippet does not occur exactly once.
    """
    if (count := text.count(mutant.old)) != 1:
        raise ValueError(f"{mutant.file}: occurs {count} times: {mutant.old!r} ({mutant.breaks})")
    return text.replace(mutant.old, mutant.new)


@cache
def related_tests(file: str) -> list[str]:
    """The test file of that module, the fingerprints, then the other test files that import it."""
    module = file.removesuffix(".py").replace("/", ".")
    found = [path for path in sorted((ROOT / "tests").glob("test_*.py")) if path.stem not in SLOW]
    imports = {f"tests/{path.name}": _imported(path.read_text(encoding="utf-8")) for path in found}
    importing = [name for name, names in imports.items() if module in names]
    if not importing:  # what only others import: the tests of those
        importing = [
            name
            for name, names in imports.items()
            if any(n.startswith(module[: module.rindex(".") + 1]) for n in names)
        ]
    own = f"tests/test_{Path(file).stem}.py"
    return list(dict.fromkeys([*([own] if own in importing else []), FINGERPRINTS, *importing]))


@cache
def _imported(source: str) -> set[str]:
    """Every name that a file imports, with dots: "helpers.model.training", "helpers.model.training.fit"."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def copy_tree(folder: Path) -> Path:
    """What git knows of the working tree, and what it does not ignore."""
    listed = subprocess.run(  # noqa: S603
        ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"],  # noqa: S607
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def _selection(file: str) -> list[str]:
    """Options that leave out the fingerprints of the two tasks that a file has nothing to do with."""
    own = next((task for task in TASKS if task in Path(file).stem.replace("siamese", "sick")), None)
    return ["-k", " and ".join(f"not {task}/" for task in TASKS if task != own)] if own else []


def run_tests(tree: Path, tests: Iterable[str], options: Iterable[str] = ()) -> tuple[str, str]:
    """("caught", the test), ("survived", ""), or ("does not run", the last line) of the tests of a tree."""
    own = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "PROFILE": "quick"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not server and not browser"]
    wanted = [name for name in tests if (tree / name).is_file()]
    with subprocess.Popen(  # noqa: S603
        [*command, *options, *wanted],
        cwd=tree,
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        try:
            said, _ = child.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            child.kill()
            return "caught", f"nothing within {LIMIT} s"
        except BaseException:
            child.kill()
            raise
    if child.returncode == 0:
        return "survived", ""
    if failed := re.search(r"^(?:FAILED|ERROR) (tests/\S+::\S+)", said, re.MULTILINE):
        return "caught", failed[1]
    return "does not run", said.strip().rpartition("\n")[2]


def judge(mutant: Mutant | None, tree: Path) -> dict:
    """Put a mutant into a tree, run its tests, take it out again."""
    start = time.perf_counter()
    if mutant is None:
        verdict, test = run_tests(tree, sorted({name for each in MUTANTS for name in related_tests(each.file)}))
    else:
        path = tree / mutant.file
        text = path.read_text(encoding="utf-8")
        write_text(path, mutated(text, mutant))
        try:
            verdict, test = run_tests(tree, related_tests(mutant.file), _selection(mutant.file))
        finally:
            write_text(path, text)
    return {"verdict": verdict, "test": test, "seconds": round(time.perf_counter() - start)}


def run(mutants: list[Mutant], *, fresh: bool = False, say=print) -> list[dict]:
    """Every mutant with what became of it; those that were run before are not run again."""
    state_path, code = BUILD / "state.json", _code()
    state = {} if fresh or not state_path.is_file() else json.loads(state_path.read_text(encoding="utf-8"))
    keys = {mutant: hash_of([code, list(mutant or ())])[:16] for mutant in (None, *mutants)}
    left = [mutant for mutant in mutants if keys[mutant] not in state]
    say(f"{len(mutants)} mutants, {len(mutants) - len(left)} run before", flush=True)

    def keep(mutant: Mutant | None, found: dict) -> None:
        state[keys[mutant]] = found
        write_text(state_path, json.dumps(state, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as folder:
        trees: queue.Queue[Path] = queue.Queue()
        for number in range(WORKERS):
            trees.put(copy_tree(Path(folder) / str(number)))

        def job(mutant: Mutant) -> tuple[Mutant, dict]:
            tree = trees.get()
            try:
                return mutant, judge(mutant, tree)
            finally:
                trees.put(tree)

        if left and keys[None] not in state:
            say("first without any mutant …", flush=True)
            found = judge(None, trees.queue[0])
            if found["verdict"] != "survived":
                raise ValueError(f"the tests fail without any mutant: {found['test']}")
            keep(None, found)
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = [pool.submit(job, mutant) for mutant in left]
            try:
                for number, done in enumerate(as_completed(jobs), start=1):
                    mutant, found = done.result()
                    keep(mutant, found)
                    facts = f"{found['verdict']} {found['test']} ({found['seconds']} s)"
                    say(f"[{number}/{len(left)}] {mutant.file}: {mutant.breaks}: {facts}", flush=True)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [mutant._asdict() | state[keys[mutant]] for mutant in mutants]


def _code() -> str:
    files = [file for folder in ("helpers", "tests", "data/sample") for file in sorted((ROOT / folder).rglob("*.*"))]
    return hash_of([sha256_of(file) for file in files if "__pycache__" not in file.parts])


def main(arguments: list[str] | None = None) -> int:
    """Run them, print the table, write results/mutants.json; 1 under the goal, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="WORD", help="those whose file or description holds this word")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier, interrupted runs have done")
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTANTS if options.only is None or options.only in f"{m.file} {m.breaks}"]
    if not chosen:
        print(f"error: no mutant holds {options.only!r}", file=sys.stderr)
        return 1
    if options.fresh:
        remove(BUILD)
    try:
        results = run(chosen, fresh=options.fresh)
    except KeyboardInterrupt:
        print("stopped; what is done is kept, and the same command goes on from here")
        return 130
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    files, verdicts = Counter(), Counter(found["verdict"] for found in results)
    for found in results:
        files[found["file"], found["verdict"]] += 1
    for file in dict.fromkeys(found["file"] for found in results):
        print(f"{file:35}" + "".join(f"  {files[file, v]:3} {v}" for v in sorted(verdicts)))
    for found in results:
        if found["verdict"] != "caught":
            print(f"{found['verdict'].upper()}  {found['file']}: {found['breaks']} {found['test']}")
    share = verdicts["caught"] / len(results)
    print(f"{verdicts['caught']} of {len(results)} caught ({share:.0%}); the goal is {GOAL:.0%}")
    if options.only is None:
        content = {"commit": settings.commit(), "caught": verdicts["caught"], "of": len(results), "mutants": results}
        write_text(REPORT, json.dumps(content, indent=1) + "\n")
    return int(share < GOAL or verdicts["does not run"] > 0)


if __name__ == "__main__":
    sys.exit(main())
