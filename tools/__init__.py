"""What maintains the project and is not installed with it: `python -m tools.NAME` from the root; `--help` says more."""

import argparse
from collections.abc import Collection

from helpers.files import hash_of


def positive(text: str) -> int:
    """A whole number from 1 up, as an option of a command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def sample(keys: Collection[str], count: int, seed: int = 0) -> list[str]:
    """So many of the keys, drawn by a seed; a table that grows keeps most of its sample."""
    drawn = sorted(keys, key=lambda key: hash_of({"seed": seed, "key": key}))[:count]
    return [key for key in keys if key in drawn]
