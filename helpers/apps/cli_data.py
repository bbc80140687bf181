"""python -m helpers data: fetch, verify, cut and list the files of the catalogue."""

import argparse
import sys
from collections.abc import Sequence

from helpers.data import sources
from helpers.data.sources import Fetched, cached, fetch_all, verify_official


def add_commands(commands) -> None:
    """Add `data` to the command line."""
    parser = commands.add_parser("data", help="fetch and verify the files of the catalogue")
    parser.add_argument("--big", action="store_true", help="those over 50 MB too")
    parser.set_defaults(run=fetch)
    actions = parser.add_subparsers(metavar="ACTION")
    action = actions.add_parser("verify", help="download from the official addresses, verify, keep nothing")
    action.add_argument("names", nargs="*", metavar="NAME", help="default: every small file that has an address")
    action.set_defaults(run=verify)
    action = actions.add_parser("cut", help="make an excerpt from its whole archive")
    action.add_argument("name", metavar="NAME")
    action.set_defaults(run=cut_excerpt)
    actions.add_parser("list", help="what the catalogue holds, and what is here").set_defaults(run=print_catalogue)


def fetch(options: argparse.Namespace) -> int:
    """Fetch all; status 1 where a required file cannot be had."""
    rows = fetch_all(big=options.big)
    _print_count(rows)
    return int(any(row.required and row.origin is None for row in rows))


def verify(options: argparse.Namespace) -> int:
    """Verify the official addresses; status 1 where one of them does not serve what it should."""
    rows = verify_official(options.names or None)
    _print_count(rows)
    if left_out := set(options.names) - {row.name for row in rows}:
        print(f"over 50 MB or without an official address: {', '.join(sorted(left_out))}", file=sys.stderr)
    return int(bool(left_out) or any(row.origin is None for row in rows))


def _print_count(rows: Sequence[Fetched]) -> None:
    print(f"{sum(row.origin is not None for row in rows)} of {len(rows)} files verified")


def cut_excerpt(options: argparse.Namespace) -> None:
    """Make an excerpt and print where it is."""
    from helpers.data.excerpts import cut

    for path in cut(options.name):
        print(path)


def print_catalogue(options: argparse.Namespace) -> None:
    """Print name, whether it is in the cache, size, kind and licence of every source."""
    for source in sources.SOURCES.values():
        kinds = {"required": source.required, "big": source.big, "excerpt": bool(source.excerpt_of), "optional": True}
        kind = next(name for name, applies in kinds.items() if applies)
        here = "cached" if cached(source.name) else "-"
        print(f"{source.name:<30} {here:<7} {source.size / 1e6:>9,.2f} MB  {kind:<9} {source.licence}")
