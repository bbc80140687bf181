"""README's tables, made from results/: scores, speed, scale, and what whole trainings cost."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from helpers import settings
from helpers.files import write_text
from helpers.report.results import DECIMALS, committed_results, read_results, results_problems

MARKS = "<!-- {}:begin -->", "<!-- {}:end -->"
EPOCHS = 5  # of the assignment
BATCH_SIZE, DIM, HIDDEN = 128, 300, 128  # of the network that scale trains
CHALLENGE_TITLES, CHALLENGE_CATEGORIES = 20_000_000, 1_588  # of the MeLi Data Challenge 2019
GPU_STEP = 0.002  # seconds that a step takes: some 200 kernels, 10 microseconds each to start; the products take less


class Row(NamedTuple):
    """One row of README's table of scores; `name` is looked up with .mean and .std, else as it stands."""

    task: str
    model: str
    metric: str
    name: str
    to_beat: str


MELI = "[03 · MeLi titles](notebooks/03_meli_bilstm.ipynb)"
MELI_MODELS = (
    ("assignment's baseline (BiLSTM 128)", "baseline", "MLP"),
    ("MLP over averaged embeddings", "mlp", "(reference)"),
    ("assignment's final model (BiLSTM 256)", "seed_final", "0.92 with the whole course set"),
    ("best BiLSTM", "best", "0.945 and the best peer"),
    ("averaged subwords (fastText style)", "averaged", "(peer)"),
    ("word TF-IDF, linear (SGD)", "peer.word_sgd", "(peer)"),
    ("character TF-IDF, linear (SGD)", "peer.char_sgd", "(peer)"),
)
SMS = "[04 · SMS spam](notebooks/04_sms_rnn_vs_lstm.ipynb)"
SMS_MODELS = (
    ("simple RNN", "rnn", "the peers below"),
    ("GRU", "gru", "simple RNN"),
    ("LSTM", "lstm", "simple RNN"),
    ("best recurrent model", "best", "F1 0.975 and the best peer"),
    ("five of them, mean probability", "ensemble", "the best peer"),
    ("word TF-IDF, linear SVM", "peer.word_svm", "(peer)"),
    ("character TF-IDF, linear SVM", "peer.char_svm", "(peer)"),
)
SICK = "[05 · SICK similarity](notebooks/05_siamese_sick.ipynb)"
SICK_METRICS = (
    ("Pearson", "pearson", "0.8822 (Mueller & Thyagarajan 2016)"),
    ("Spearman", "spearman", "0.8345 (the same)"),
    ("mean squared error", "mse", "0.2286 (the same)"),
)
SICK_MODELS = (
    ("mean GloVe vectors, cosine, untrained", "reference.mean_cosine_glove"),
    ("assignment's ranking loss, BiLSTM", "ranking_loss"),
    ("best siamese BiLSTM, SICK alone", "best_alone"),
    ("best siamese BiLSTM", "best"),
)
AUGMENTED = "[06 · augmentation](notebooks/06_augmentation.ipynb)"
RATED = "best siamese BiLSTM, first on pairs that three like it rated"
ROWS = (
    *(Row(MELI, label, "balanced accuracy", f"meli.{name}.test_bacc", beat) for label, name, beat in MELI_MODELS),
    Row(MELI, "best BiLSTM", "balanced accuracy, out of fold", "meli.best.oof_bacc", "0.946 and the best peer"),
    *(
        Row(MELI, label, "balanced accuracy, out of fold", f"meli.{name}.oof_bacc", "(peer)")
        for label, name, _ in MELI_MODELS
        if name in ("averaged", "peer.char_sgd")
    ),
    *(
        Row(SMS, label, metric, f"sms.{name}.{key}", to_beat)
        for metric, key in (("spam F1", "f1"), ("accuracy", "accuracy"))
        for label, name, to_beat in SMS_MODELS
    ),
    *(
        Row(SICK, label, metric, f"sick.{name}.{key}", "(reference)" if "untrained" in label else to_beat)
        for metric, key, to_beat in SICK_METRICS
        for label, name in SICK_MODELS
    ),
    *(
        Row(AUGMENTED, RATED, metric, f"sick.augment.rated.{key}", to_beat)
        for metric, key, to_beat in SICK_METRICS
    ),
)  # fmt: skip


def readme_table(results_dir: str | Path | None = None, rows: tuple[Row, ...] = ROWS) -> str:
    """The scores in Markdown, from results/*.json; a row without its metric is left out."""
    folder = Path(results_dir or settings.ROOT / "results")
    metrics = {}
    for notebook in committed_results(folder):
        metrics |= read_results(notebook, folder)["metrics"]
    lines = ["| Notebook | Model | Metric | Value | To beat |", "|---|---|---|---|---|"]
    for row in rows:
        value = metrics.get(f"{row.name}.mean", metrics.get(row.name))
        if value is None:
            continue
        shown = f"{value:.{DECIMALS}f}"
        if (spread := metrics.get(f"{row.name}.std")) is not None:
            shown += f" ± {spread:.{DECIMALS}f}"
        lines.append(f"| {row.task} | {row.model} | {row.metric} | {shown} | {row.to_beat} |")
    return "\n".join(lines)


def bench_table(results_dir: str | Path | None = None) -> str:
    """Timings beside their reference and goal, from bench.json; empty without it.

    An asterisk marks timings on a machine that was not idle.
    """
    folder = Path(results_dir or settings.ROOT / "results")
    if not (folder / "bench.json").is_file():
        return ""
    lines = ["| What | Unit | Here | Reference | Factor | Goal |", "|---|---|---|---|---|---|"]
    for comparison in read_results("bench", folder)["info"]["comparisons"].values():
        busy = "" if comparison["machine"]["idle"] else " *"
        for row in comparison["table"]:
            factor = "" if row["factor"] is None else f"{row['factor']:.2f}"
            goal = "" if row["goal"] is None else _goal(row)
            here, reference = _amount(row["ours"]), "" if row["reference"] is None else _amount(row["reference"])
            lines.append(f"| {row['what']}{busy} | {row['unit']} | {here} | {reference} | {factor} | {goal} |")
    return "\n".join(lines)


def _goal(row: Mapping) -> str:
    sign = "≤" if row["factor"] is None and row["lower_is_better"] else "≥"
    return f"{sign} {row['goal']:g}: {'reached' if row['reached'] else '**missed**'}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def scale_table(results_dir: str | Path | None = None) -> str:
    """A line per stage, a column per size: seconds, titles per second, peak memory; empty without scale.json."""
    path = Path(results_dir or settings.ROOT / "results") / "scale.json"
    if not path.is_file():
        return ""
    sizes = json.loads(path.read_text(encoding="utf-8"))["sizes"]
    lines = [f"| Stage | {' | '.join(f'{int(rows):,} titles' for rows in sizes)} |", "|---" * (1 + len(sizes)) + "|"]
    for stage in next(iter(sizes.values()))["stages"]:
        cells = [_stage(entry["stages"][stage]) for entry in sizes.values()]
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    cells = [f"peak {entry['peak_mib']:,.0f} MiB, {entry['bytes'] / 1e6:,.0f} MB on disk" for entry in sizes.values()]
    return "\n".join([*lines, f"| **all** | {' | '.join(cells)} |"])


def _stage(measures: Mapping) -> str:
    return f"{measures['seconds']:,.1f} s, {measures['titles_per_second']:,.0f}/s, {measures['peak_mib']:,.0f} MiB"


def operations(tokens: float, categories: int) -> float:
    """Multiplications and additions of one title's matrix products in training: forward, and twice that backward.

    Args:
        tokens: mean length of a title.
        categories: size of the output layer.
    """
    recurrent = 2 * tokens * 2 * 4 * HIDDEN * (DIM + HIDDEN)
    return 3 * (recurrent + 2 * 2 * HIDDEN * categories)


def cost_table(results_dir: str | Path | None = None) -> str:
    """An epoch and five of the course's set, measured, and of the original challenge, in proportion; a GPU is guessed.

    Empty without results/scale.json, of whose largest size it is made.
    """
    path = Path(results_dir or settings.ROOT / "results") / "scale.json"
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


BLOCKS: dict[str, Callable[[Path | None], str]] = {
    "results": readme_table, "bench": bench_table, "scale": scale_table, "costs": cost_table,
}  # fmt: skip


def update_readme(readme: str | Path | None = None, results_dir: str | Path | None = None) -> bool:
    """Rewrite the tables between README's markers; True where that changed one.

    Raises:
        WrongValue: a table has no markers.
    """
    readme = Path(readme or settings.ROOT / "README.md")
    before = text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    for name, table in BLOCKS.items():
        text = _with_block(readme, text, name, table(results_dir))
    if text != before:
        write_text(readme, text)
    return text != before


def _with_block(readme: Path, text: str, name: str, table: str) -> str:
    opening, closing = (mark.format(name) for mark in MARKS)
    before, begin, rest = text.partition(opening)
    _, end, after = rest.partition(closing)
    if begin and end:
        return f"{before}{begin}\n{table}\n{end}{after}"
    if table:
        raise settings.WrongValue(
            f"{readme.name}: the {name} table belongs between the lines {opening} and {closing}; add them"
        )
    return text


def readme_problems(readme: str | Path, results_dir: str | Path) -> list[str]:
    """Faults of the committed results, or else the tables of README that differ from them."""
    if problems := results_problems(results_dir):
        return problems
    readme = Path(readme)
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    for name, table in BLOCKS.items():
        try:
            if _with_block(readme, text, name, table(results_dir)) != text:
                problems.append(
                    f"{readme.name}: the {name} table is not what results give; `python -m helpers readme` rewrites it"
                )
        except ValueError as error:
            problems.append(str(error))
    return problems
