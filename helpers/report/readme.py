"""README's tables, which come out of results/: scores, speed, scale."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from helpers import settings
from helpers.report.costs import cost_table
from helpers.report.readme_rows import ROWS, Row
from helpers.report.results import committed_results, read_results, results_problems, write_text

MARKS = "<!-- {}:begin -->", "<!-- {}:end -->"


def readme_table(results_dir: Path | None = None, rows: tuple[Row, ...] = ROWS) -> str:
    """The scores in Markdown, from results/*.json; a row whose metric is not there is left out."""
    folder = results_dir or settings.ROOT / "results"
    metrics = {}
    for notebook in committed_results(folder):
        metrics |= read_results(notebook, folder)["metrics"]
    lines = ["| Notebook | Model | Metric | Value | To beat |", "|---|---|---|---|---|"]
    for row in rows:
        value = metrics.get(f"{row.name}.mean", metrics.get(row.name))
        if value is None:
            continue
        shown = f"{value:.{row.decimals}f}"
        if (spread := metrics.get(f"{row.name}.std")) is not None:
            shown += f" ± {spread:.{row.decimals}f}"
        lines.append(f"| {row.task} | {row.model} | {row.metric} | {shown} | {row.to_beat} |")
    return "\n".join(lines)


def bench_table(results_dir: Path | None = None) -> str:
    """What was timed, beside its reference and goal, from bench.json; empty where that is not there.

    An asterisk marks what was timed on a machine that was not idle, before or meanwhile.
    """
    folder = results_dir or settings.ROOT / "results"
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


def scale_table(results_dir: Path | None = None) -> str:
    """A line per stage, a column per size: seconds, titles per second, peak memory; empty without scale.json."""
    path = (results_dir or settings.ROOT / "results") / "scale.json"
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


BLOCKS: dict[str, Callable[[Path | None], str]] = {
    "results": readme_table, "bench": bench_table, "scale": scale_table, "costs": cost_table,
}  # fmt: skip


def update_readme(readme: Path | None = None, results_dir: Path | None = None) -> bool:
    """Rewrite the tables between README's markers; True where that changed one.

    Raises:
        ValueError: there is no place for a table.
    """
    readme = readme or settings.ROOT / "README.md"
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
        raise ValueError(f"{readme.name}: the {name} table belongs between the lines {opening} and {closing}; add them")
    return text


def readme_problems(readme: Path, results_dir: Path) -> list[str]:
    """What is wrong with the committed results, or else the tables of README that say otherwise."""
    if problems := results_problems(results_dir):
        return problems
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
