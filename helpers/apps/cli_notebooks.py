"""python -m helpers notebooks, site, readme: execute, check and render what is committed, and README's table."""

import argparse
import os
import sys
from pathlib import Path

from helpers import settings
from helpers.data.sources import SourceError


def add_commands(commands) -> None:
    """Add `notebooks`, `site` and `readme` to the command line."""
    parser = commands.add_parser("notebooks", help="execute, check or render the notebooks")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    execute = actions.add_parser("execute", help="from top to bottom; in place only with profile full and real data")
    execute.add_argument("--profile", choices=settings.PROFILES, help="default: PROFILE")
    execute.add_argument("--out", type=Path, metavar="FOLDER", help="for executed copies and their pages")
    execute.set_defaults(run=execute_notebooks)
    check = actions.add_parser("check", help="name every rule that is broken")
    check.set_defaults(run=check_notebooks)
    render = actions.add_parser("render", help="turn them into HTML pages, as they stand")
    render.add_argument("--out", type=Path, metavar="FOLDER", default=settings.ROOT / "build" / "notebooks")
    render.set_defaults(run=render_notebooks)
    for action in (execute, check, render):
        action.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="default: all in notebooks/")
    site = commands.add_parser("site", help="a page per notebook, as committed, and an index: build/site")
    site.add_argument("--out", type=Path, metavar="FOLDER", default=settings.ROOT / "build" / "site")
    site.set_defaults(run=make_site)
    readme = commands.add_parser("readme", help="rewrite README's results table from results/")
    readme.set_defaults(run=rewrite_readme)


def execute_notebooks(options: argparse.Namespace) -> None:
    """Execute copies into a folder, or the notebooks in place."""
    from helpers.report import notebooks

    notebooks.execute(_chosen(options), profile=options.profile or settings.profile(), out_dir=options.out)


def render_notebooks(options: argparse.Namespace) -> None:
    """Make a page of every notebook and print where it is."""
    from helpers.report import notebooks

    for page in notebooks.render(_chosen(options), options.out):
        print(page)


def make_site(options: argparse.Namespace) -> None:
    """Build the site and print where it begins."""
    from helpers.report.rules import committed_notebooks
    from helpers.report.site import build_site

    print(build_site(committed_notebooks(), options.out)[0])


def check_notebooks(options: argparse.Namespace) -> int:
    """Print every fault; without paths also those of README's table and of the studies' tables."""
    from helpers.report.rules import check

    problems = check(_chosen(options)) if options.paths else check() + _table_problems()
    print("\n".join(problems) or "no fault")
    return int(bool(problems))


def rewrite_readme(options: argparse.Namespace) -> None:
    """Bring README's tables up to date."""
    from helpers.report.readme import update_readme

    print("README.md: tables rewritten" if update_readme() else "README.md: tables are up to date")


def _chosen(options: argparse.Namespace) -> list[Path]:
    from helpers.report.rules import committed_notebooks

    if missing := [str(path) for path in options.paths if not path.is_file()]:
        raise FileNotFoundError(f"no such notebook: {', '.join(missing)}")
    if not (paths := options.paths or committed_notebooks()):
        print("notebooks/ holds no notebook yet")
    return paths


def _table_problems() -> list[str]:
    """Faults of the studies' tables; none where the real data that they were made on cannot be had."""
    from helpers.tasks import STUDIES
    from helpers.tasks.studies import table_problems

    os.environ["PROFILE"] = "full"  # the hash of a sample would call every committed row stale
    try:
        return table_problems(STUDIES, settings.ROOT / "results" / "studies")
    except SourceError as error:
        print(f"studies not compared with the data of today: {error}", file=sys.stderr)
        return []
