"""What whole trainings cost, by the largest set of results/scale.json: measured or in proportion; a GPU is guessed."""

import json
from collections.abc import Mapping
from pathlib import Path

from helpers import settings

EPOCHS = 5  # of the assignment
BATCH_SIZE, DIM, HIDDEN = 128, 300, 128  # of the network that scale trains
CHALLENGE_TITLES, CHALLENGE_CATEGORIES = 20_000_000, 1_588  # of the MeLi Data Challenge 2019
GPU_STEP = 0.002  # seconds that a step takes: some 200 kernels, 10 microseconds each to start; the products take less


def operations(tokens: float, categories: int) -> float:
    """Multiplications and additions of a title's matrix products in training: forward, and twice that backward.

    Args:
        tokens: mean length of a title.
        categories: size of the output layer.
    """
    recurrent = 2 * tokens * 2 * 4 * HIDDEN * (DIM + HIDDEN)
    return 3 * (recurrent + 2 * 2 * HIDDEN * categories)


def cost_table(results_dir: Path | None = None) -> str:
    """The course's set beside the original challenge: an epoch and five of them; empty without scale.json."""
    path = (results_dir or settings.ROOT / "results") / "scale.json"
    if not path.is_file():
        return ""
    entry = list(json.loads(path.read_text(encoding="utf-8"))["sizes"].values())[-1]
    tokens, titles = entry["words"]["tokens"] / entry["rows"]["train"], entry["rows"]["train"]
    sets = {titles: entry["categories"], CHALLENGE_TITLES: CHALLENGE_CATEGORIES}
    work = {n: operations(tokens, categories) for n, categories in sets.items()}
    ready = {n: _preparation(entry["stages"]) * n / titles for n in sets}
    epoch = {n: n * work[n] / work[titles] / entry["stages"]["training"]["titles_per_second"] for n in sets}
    on_gpu = {n: n / BATCH_SIZE * GPU_STEP for n in sets}
    rows = {
        "Titles to train on, categories": [f"{n:,}, {categories:,}" for n, categories in sets.items()],
        "Products per title": [f"{work[n] / 1e6:.1f} million operations" for n in sets],
        "Reading to encoding, once": [_time(ready[n]) for n in sets],
        "One epoch": [_time(epoch[n]) for n in sets],
        f"All of it, {EPOCHS} epochs": [_time(ready[n] + EPOCHS * epoch[n]) for n in sets],
        f"{EPOCHS} epochs on one GPU (estimate)": [_time(EPOCHS * on_gpu[n]) for n in sets],
    }
    head = ["| | The course's set | The original challenge |", "|---|---|---|"]
    return "\n".join(head + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()])


def _preparation(stages: Mapping[str, Mapping]) -> float:
    """Seconds of the stages between the downloaded file and training."""
    return sum(stages[name]["seconds"] for name in ("reading", "cleaning", "dictionary", "encoding"))


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3600:.1f} h"
