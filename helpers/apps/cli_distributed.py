"""python -m helpers train-distributed, for torchrun: `train` on several devices or machines."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from helpers import settings
from helpers.apps.cli_models import metrics_table, origin, save

TASKS = ("meli", "sms")
PRECISIONS = ("no", "bf16")


def add_commands(commands) -> None:
    """Add `train-distributed` to the command line."""
    parser = commands.add_parser(
        "train-distributed",
        help="train on several devices or hosts: torchrun --nproc-per-node N -m helpers train-distributed …",
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--config", default="best", metavar="NAME", help="a name in the task's CONFIGS (%(default)s)")
    parser.add_argument("--split-seed", type=int, default=settings.SEED, metavar="N", help="default: 0, development")
    parser.add_argument("--model-seed", type=int, metavar="N", help="default: the split seed")
    parser.add_argument("--cpu", action="store_true", help="leave GPUs alone")
    parser.add_argument("--mixed-precision", choices=PRECISIONS, default="no", help="on GPUs (%(default)s)")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="for the model")
    parser.set_defaults(run=train)


def train(options: argparse.Namespace) -> None:
    """Train and score in all processes; the first one prints, tracks and saves. A lost process ends in one line."""
    from helpers.model.distributed import LostProcess

    try:
        _train(options)
    except LostProcess as error:
        raise SystemExit(f"error: {error}") from error


def _train(options: argparse.Namespace) -> None:
    from helpers.model import distributed

    model_seed = options.split_seed if options.model_seed is None else options.model_seed
    if min(options.split_seed, model_seed) < 0:
        raise ValueError(f"split seed {options.split_seed}, model seed {model_seed}: seeds are whole numbers from 0 up")
    engine = distributed.start(cpu=options.cpu, mixed_precision=options.mixed_precision)
    with engine.local_main_process_first():  # one process of every host fetches and prepares what the others read
        run = _prepared(options)
    first = engine.is_main_process
    with _tracked(options, model_seed, engine) as tracked:
        result = run(
            split_seed=options.split_seed, model_seed=model_seed, trainer=partial(distributed.fit_on, engine),
            on_epoch=tracked and tracked.epoch, verbose=first,
        )  # fmt: skip
        if tracked is not None:
            tracked.metrics(result.metrics)
    if first:
        if options.save:
            save(result.model, options.save)
        print(metrics_table({options.split_seed: result.metrics}))
        print(origin())
    engine.end_training()


def _prepared(options: argparse.Namespace) -> Callable:
    """train() of the task with its configuration; whatever it reads is there."""
    from helpers.tasks import meli, meli_titles, sms
    from helpers.tasks.base import named

    if options.task == "sms":
        sms.messages()
        return partial(sms.train, named(options.config, sms.CONFIGS))
    config = named(options.config, meli.CONFIGS)
    meli_titles.titles()
    meli.word_reader(config, options.split_seed, None)
    return partial(meli.train, config)


@contextmanager
def _tracked(options: argparse.Namespace, model_seed: int, engine) -> Iterator:
    """A run in MLflow, opened by the first process alone; None in the others."""
    from helpers.report import tracking

    if not engine.is_main_process:
        yield None
        return
    params = {"config": options.config, "split_seed": options.split_seed, "model_seed": model_seed}
    params |= {"processes": engine.num_processes, "mixed_precision": options.mixed_precision}
    with tracking.run(f"{options.task}-distributed", f"{options.config} {options.split_seed}", params=params) as run:
        yield run
