"""One command line over all of it: python -m helpers, followed by a command; --help lists them."""

import gc
import os
import re
import sys
from collections.abc import Sequence

import typer

from helpers.apps import cli
from helpers.settings import UserError

REPEATED = {"train": "--split-seed", "scale": "--rows"}  # options that take several values: --split-seed 1 2 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what its user can mend ends in one line on stderr, without a traceback.

    Returns:
        The exit status: 0, 1 after an error, 2 after wrong usage, 130 after Ctrl-C.
    """
    try:
        command = cli.command()
        with command.make_context(cli.PROGRAM, spread(sys.argv[1:] if arguments is None else arguments)) as context:
            status = command.invoke(context) or 0
            sys.stdout.flush()
            return status
    except typer.Exit as ended:  # --help
        return ended.exit_code
    except typer.TyperException as error:
        return _failed(usage(error), error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads the output (head, less) has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UserError as error:
        return _failed(str(error))
    except OSError as error:
        if not isinstance(error, FileNotFoundError) and error.filename is None:
            raise
        return _failed(str(error))


def spread(arguments: Sequence[str]) -> list[str]:
    """Several values after an option, as click reads them: `--split-seed 1 2` as `--split-seed 1 --split-seed 2`."""
    option, spread, repeats = REPEATED.get(next(iter(arguments), "")), [], False
    for argument in arguments:
        repeats = repeats and re.fullmatch(rf"[\d_]+|{cli.COURSE}", argument) is not None
        if repeats and spread[-1] != option:
            spread.append(option)
        spread.append(argument)
        repeats = repeats or argument == option
    return spread


def usage(error: typer.TyperException) -> str:
    """What is wrong with a command as typed, and what there is."""
    message, context = error.format_message() if getattr(error, "param", None) else error.message, error.ctx
    if hasattr(error.__cause__, "errors"):  # pydantic's: it says what is wrong with a value, and keeps the value
        message = message.replace(": ", f" {error.__cause__.errors()[0]['input']!r}: ", 1).replace("Value error, ", "")
    elif not getattr(error, "param", None) and context is not None:
        options = [name for option in context.command.get_params(context) for name in option.opts if name[:2] == "--"]
        there_is = ", ".join(getattr(context.command, "commands", options))
        message = f"{message.rstrip('.')} ({context.command_path} has {there_is})"
    return " ".join(message.split())


def _failed(message: str, status: int = 1) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    status = main()
    gc.freeze()  # the interpreter's last collections would walk all that torch has imported, for 0.4 s
    sys.exit(status)
