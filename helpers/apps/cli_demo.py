"""python -m helpers demo."""

import argparse
from pathlib import Path

import torch

from helpers import settings

TASKS = {"meli": "artifacts/meli-titles", "sms": "artifacts/sms-spam", "sick": "artifacts/sick-similarity"}


def add_commands(commands) -> None:
    """Add `demo` to the command line."""
    parser = commands.add_parser("demo", help="a page on 127.0.0.1, in Spanish, on which saved models can be asked")
    for task, folder in TASKS.items():
        parser.add_argument(
            f"--{task}", type=Path, metavar="FOLDER", help=f"which `train {task} --save` wrote; default: {folder}"
        )
    parser.add_argument("--port", type=int, default=7860, metavar="N", help="default: %(default)s")
    parser.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> None:
    """Load what is saved and serve the page until Ctrl-C."""
    from helpers.apps import demo

    torch.set_num_threads(settings.threads())
    demo.serve(demo.build_page({task: getattr(options, task) for task in TASKS}), options.port)
