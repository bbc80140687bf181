"""How quickly the command line starts, against an earlier commit: help, two lists, one prediction."""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.harness import Outcome, Row, Side, Sizes, alternate, details
from helpers import settings
from helpers.tasks import sms

COMMANDS = {  # name -> what is typed, and by which factor it should start faster
    "help": (["--help"], 10),
    "data_list": (["data", "list"], 5),
    "study_list": (["study", "--list"], 5),
    "predict": (["predict", "sms", "--model", "MODEL", "WINNER! Claim your prize now"], 2),
}


def checked_out(commit: str, folder: Path) -> Path:
    """The package as it was at a commit, in this folder.

    Raises:
        WrongValue: this clone does not have the commit.
    """
    command = ["git", "-C", str(settings.ROOT), "archive", "--format=tar", commit, "helpers"]
    archive = subprocess.run(command, capture_output=True)
    if archive.returncode:
        reason = archive.stderr.decode(errors="replace").strip().splitlines()[-1]
        raise settings.WrongValue(f"--against {commit}: {reason} (a shallow clone? git fetch --unshallow)")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def side(root: Path, arguments: list[str], used: list[float]) -> Side:
    """A round: a process that runs one command; its seconds of CPU are added to `used`."""
    environment = os.environ | {"PYTHONPATH": str(root), "DATA_CACHE": str(settings.cache_dir()), "DEVICE": "cpu"}

    def run() -> int:
        before = os.times()
        command = [sys.executable, "-m", "helpers", *arguments]
        subprocess.run(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        used.append(sum(after[2:4]) - sum(before[2:4]))  # user and system time of finished children
        return 1

    return run


def compared(name: str, roots: Mapping[str, Path], model: Path, sizes: Sizes) -> tuple[Row, dict]:
    """The row of a command, with its rounds; "ours" is this tree, "reference" the earlier commit."""
    arguments, goal = COMMANDS[name]
    arguments = [str(model) if argument == "MODEL" else argument for argument in arguments]
    used: dict[str, list[float]] = {which: [] for which in roots}
    rounds = alternate({which: side(root, arguments, used[which]) for which, root in roots.items()}, sizes)
    cpu = {which: median(seconds[sizes.warm_up :]) for which, seconds in used.items()}
    seconds = {which: 1 / found.rate for which, found in rounds.items()}
    what = f"helpers {' '.join(COMMANDS[name][0][:2])}, from start to end"
    row = Row(f"startup.{name}", what, "s", seconds["ours"], seconds["reference"], goal, lower_is_better=True)
    return row, details(rounds) | {"cpu_seconds": cpu}


def run(sizes: Sizes) -> Outcome:
    """Time every command with the package of `sizes.against` and with this one, in turn."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        roots = {"ours": settings.ROOT, "reference": checked_out(sizes.against, folder / "then")}
        model = sms.train("best", split_seed=1, rows=sizes.rows, epochs=1).model.save(folder / "model")
        found = {name: compared(name, roots, model, sizes) for name in COMMANDS}
    cpu = {name: more["cpu_seconds"] for name, (_, more) in found.items()}
    shown = ", ".join(f"{name} {each['reference']:.2f} -> {each['ours']:.2f}" for name, each in cpu.items())
    return Outcome(
        [row for row, _ in found.values()],
        {"against": sizes.against} | {name: more for name, (_, more) in found.items()},
        notes=[f"start-up against {sizes.against}; seconds of CPU: {shown}"],
    )
