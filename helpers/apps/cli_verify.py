"""python -m helpers verify: make the committed numbers again and compare."""

import argparse
import os

from helpers import settings


def add_commands(commands) -> None:
    """Add `verify` to the command line."""
    parser = commands.add_parser(
        "verify", help="run notebooks and sampled study rows again; compare every number with the committed one"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="notebooks (01_eda), studies (sms-models)"
    )
    parser.add_argument("--rows", type=_positive, default=2, metavar="N", help="of every study (default: %(default)s)")
    parser.add_argument("--threads", type=_positive, metavar="N", help="default: those that the numbers were made with")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier, interrupted runs have done")
    parser.set_defaults(run=verify_all)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def verify_all(options: argparse.Namespace) -> int:
    """Print the table and where the report is; 1 where a number does not stand."""
    from helpers.tasks import STUDIES
    from helpers.tasks.verify import told, verdict_table, verify

    chosen = {"only": options.only, "rows": options.rows, "threads": options.threads, "fresh": options.fresh}
    checks, report = verify(STUDIES, **chosen)
    if not checks:
        raise ValueError("nothing is committed: no notebook, no study")
    print(f"\n{verdict_table(checks)}\n{told(checks)}; report: {os.path.relpath(report, settings.ROOT)}")
    return int(not all(check.passes for check in checks))
