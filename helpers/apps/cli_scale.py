"""python -m helpers scale: MeLi at any size, up to the course's, with time and memory of every stage."""

import argparse
from pathlib import Path

import torch

from helpers import settings

FULL_SIZE = "full"


def add_commands(commands) -> None:
    """Add `scale` to the command line."""
    parser = commands.add_parser("scale", help="a set of the course's size: seconds and memory of every stage")
    parser.add_argument(
        "--rows", type=number_of_rows, nargs="+", default=[63_680], metavar="N",
        help='of train, validation and test together; "full": as many as the course has (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument("--epochs", type=_from_one, default=1, metavar="N", help="of training (%(default)s)")
    parser.add_argument("--seed", type=int, default=settings.SEED, metavar="N", help="of everything (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for the files; default: scale in the cache")
    parser.set_defaults(run=scale)


def number_of_rows(text: str) -> int:
    """A number of rows as typed: 600000, 600_000, full."""
    from helpers.tasks.scale import FULL

    if text == FULL_SIZE:
        return sum(FULL.values())
    return _from_one(text)


def _from_one(text: str) -> int:
    if not (text.isdecimal() or text.replace("_", "").isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def scale(options: argparse.Namespace) -> None:
    """Run every size, print its stages, and keep them in results/scale.json."""
    from helpers.tasks.scale import merge_entry, run, stage_table

    torch.set_num_threads(settings.threads())
    for rows in options.rows:
        print(f"{rows:,} rows", flush=True)
        entry = run(rows, epochs=options.epochs, seed=options.seed, folder=options.out, say=_say)
        origin = "SYNTHETIC SAMPLE: no measure of the real titles" if entry["source"]["sample"] else "real titles"
        law, words = entry["heaps"], entry["words"]
        print(f"{origin}; Heaps: {law['factor']:.1f} * tokens ** {law['exponent']:.3f}", flush=True)
        print(f"{words['distinct']:,} distinct words, {words['expected_by_heaps']:,.0f} by that law", flush=True)
        print(stage_table(entry).to_string(float_format=lambda value: f"{value:,.1f}"))
        print(f"peak {entry['peak_mib']:,.0f} MiB; {merge_entry(entry)}", flush=True)


def _say(line: str) -> None:
    print(f"  {line}", flush=True)
