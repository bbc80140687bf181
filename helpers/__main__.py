"""One command line over all of it: python -m helpers, followed by a command; --help lists them."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.apps import (
    cli_data,
    cli_demo,
    cli_distributed,
    cli_models,
    cli_notebooks,
    cli_scale,
    cli_serving,
    cli_verify,
)

ROOMS = (
    cli_data, cli_models, cli_distributed, cli_notebooks, cli_scale, cli_serving, cli_demo, cli_verify,
)  # fmt: skip
OWN_CODE = str(Path(__file__).resolve().parent)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what its user can mend ends in one line and exit status 1, without a traceback.

    Returns:
        The exit status: 0, 1 after an error, 130 after Ctrl-C.
    """
    options = build_parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads the output (head, less) has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not is_users(error):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Every command with its options; `run` holds the function that carries it out."""
    parser = argparse.ArgumentParser(prog="python -m helpers", description="Recurrent networks for text.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for room in ROOMS:
        room.add_commands(commands)
    return parser


def is_users(error: Exception) -> bool:
    """Whether an error is the user's to mend (a file, a name, a value), and not a fault of the program.

    A ValueError counts where our own code raised it: one out of a library is a bug that wants its traceback.
    """
    from helpers.data.sources import ArchiveError, SourceError
    from helpers.model.checkpoints import CheckpointError
    from helpers.model.training import NonFiniteLoss
    from helpers.report.notebooks import NotebookError
    from helpers.tasks.meli_titles import ArtifactError

    if isinstance(error, SourceError | ArchiveError | CheckpointError | NonFiniteLoss | NotebookError | ArtifactError):
        return True
    if isinstance(error, OSError):
        return isinstance(error, FileNotFoundError) or error.filename is not None
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    return isinstance(error, ValueError) and trace.tb_frame.f_code.co_filename.startswith(OWN_CODE)


if __name__ == "__main__":
    sys.exit(main())
