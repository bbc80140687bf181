"""Kill a training with SIGKILL at random moments, resume it each time, and compare its end with an unbroken run.

    PROFILE=full THREADS=1 python benchmarks/kills.py --kills 20

trains the assignment's baseline on part of the MeLi titles, prints one line per kill and whether weights and metrics
came out identical, and writes results/kills.json. Exit status 1 where they did not.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS, EPOCHS = 20_000, 4


def train(folder: Path) -> None:
    """The process that is killed: train, then write weights and metrics."""
    from helpers.tasks import meli

    result = meli.train("baseline", split_seed=1, model_seed=1, rows=ROWS, epochs=EPOCHS, verbose=True)
    metrics = {name: value for name, value in result.metrics.items() if "seconds" not in name}
    rows = [{k: v for k, v in row.items() if "second" not in k} for row in result.history.rows]
    result.model.save(folder / "model")
    (folder / "end.json").write_text(json.dumps({"metrics": metrics, "history": rows}, indent=1), encoding="utf8")


def start(folder: Path) -> subprocess.Popen:
    """Start a child that trains, with its checkpoints in folder/artifacts."""
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"ARTIFACTS_DIR": str(folder / "artifacts"), "CHECKPOINT_SECONDS": "0.5"}
    with (folder / "log.txt").open("a", encoding="utf8") as log:
        command = [sys.executable, __file__, "--child", str(folder)]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def outcome(folder: Path) -> tuple[str, str]:
    """Hash of the weights, and the metrics file."""
    from helpers.files import sha256_of

    return sha256_of(folder / "model" / "model.safetensors"), (folder / "end.json").read_text(encoding="utf8")


def checkpoints(folder: Path) -> int:
    """Time of the newest checkpoint in nanoseconds; 0 where there is none."""
    files = folder.glob("artifacts/recovery/*/[ab]/model.json")
    return max((path.stat().st_mtime_ns for path in files), default=0)


def kill_often(folder: Path, kills: int, rng: random.Random) -> int:
    """Kill children a moment after their first checkpoint, then let one finish; how many were killed."""
    killed = 0
    while not (folder / "end.json").exists():
        before, child = checkpoints(folder) if folder.exists() else 0, start(folder)
        while killed < kills and child.poll() is None and checkpoints(folder) == before:
            time.sleep(0.01)
        if killed < kills:
            time.sleep(rng.uniform(0, 1))
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
                killed += 1
                print(f"kill {killed:2}", flush=True)
        if child.wait() not in (0, -signal.SIGKILL):
            sys.exit(f"the training failed: {(folder / 'log.txt').read_text(encoding='utf8')[-2000:]}")
    return killed


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        train(options.child)
        return
    from helpers import settings
    from helpers.files import write_text

    with tempfile.TemporaryDirectory() as place:
        whole, broken = Path(place) / "whole", Path(place) / "broken"
        if start(whole).wait():
            sys.exit((whole / "log.txt").read_text(encoding="utf8")[-2000:])
        killed = kill_often(broken, options.kills, random.Random(options.seed))
        resumed = (broken / "log.txt").read_text(encoding="utf8").count("entrenamiento retomado")
        same_weights, same_metrics = (a == b for a, b in zip(outcome(whole), outcome(broken), strict=True))
    found = {"kills": killed, "resumed": resumed, "same_weights": same_weights, "same_metrics": same_metrics}
    print(json.dumps(found))
    content = found | {"rows": ROWS, "epochs": EPOCHS, "threads": settings.threads(), "versions": settings.versions()}
    write_text(settings.results_dir() / "kills.json", json.dumps(content, indent=2) + "\n")
    sys.exit(0 if same_weights and same_metrics and killed == options.kills else 1)


if __name__ == "__main__":
    main()
