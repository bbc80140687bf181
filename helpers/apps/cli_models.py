"""python -m helpers study, train, predict."""

import argparse
from pathlib import Path

import pandas as pd
import torch

from helpers import settings

TASKS = ("sms",)


def add_commands(commands) -> None:
    """Add `study`, `train` and `predict` to the command line."""
    _add_study(commands.add_parser("study", help="run the missing rows of a table that needs many trainings"))
    _add_train(commands.add_parser("train", help="train a configuration and score it on split seeds of your choice"))
    _add_predict(commands.add_parser("predict", help="ask a saved model"))


def _add_study(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", metavar="NAME")
    which.add_argument("--list", action="store_true", help="name the studies")
    parser.add_argument("--limit", type=_whole_number, metavar="N", help="run at most N rows now")
    parser.add_argument("--confirm", action="store_true", help="run some stale rows again; if equal, keep the others")
    parser.set_defaults(run=run_one_study)


def _add_train(parser: argparse.ArgumentParser) -> None:
    seed = {"type": _whole_number, "metavar": "N"}
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--config", default="best", metavar="NAME", help="a name in the task's CONFIGS (%(default)s)")
    parser.add_argument("--split-seed", **seed, nargs="+", default=[settings.SEED], help="default: 0, for development")
    parser.add_argument("--model-seed", **seed, help="initial weights, batches, dropout; default: the split seed")
    parser.add_argument("--grouped", action="store_true", help="keep near-duplicates on one side of the split")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="for the model; several seeds: FOLDER/split-N")
    parser.set_defaults(run=train)


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="which `train --save` wrote")
    parser.add_argument("texts", nargs="+", metavar="TEXT")
    parser.set_defaults(run=predict)


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def run_one_study(options: argparse.Namespace) -> None:
    """Run a study, or name them all."""
    from helpers.tasks import STUDIES
    from helpers.tasks.studies import confirm_study, run_study, table_path

    if options.list:
        print("\n".join(STUDIES))
        return
    if options.name not in STUDIES:
        raise ValueError(f"study {options.name!r} is not one of {', '.join(STUDIES)}")
    torch.set_num_threads(settings.threads())
    if options.confirm:
        confirm_study(STUDIES[options.name])
    else:
        run_study(STUDIES[options.name], limit=options.limit)
    print(table_path(options.name))


def train(options: argparse.Namespace) -> None:
    """Train and score once per split seed, and print the metrics as a table."""
    from helpers.data.corpora import load_sms
    from helpers.tasks import sms

    torch.set_num_threads(settings.threads())
    corpus = load_sms()
    origin = "SYNTHETIC SAMPLE: the numbers are no result" if corpus.attrs["sample"] else "real data"
    print(f"sms: {len(corpus):,} messages, {origin}; configuration {options.config}", flush=True)
    split, scores = "grouped" if options.grouped else "random", {}
    for seed in options.split_seed:
        model_seed = seed if options.model_seed is None else options.model_seed
        result = sms.train(options.config, split_seed=seed, model_seed=model_seed, split=split)
        scores[seed] = result.metrics
        if options.save:
            several = len(options.split_seed) > 1
            print(
                f"saved: {result.model.save(options.save / f'split-{seed}' if several else options.save)}", flush=True
            )
    print(metrics_table(scores))


def metrics_table(scores: dict[int, dict[str, float]]) -> str:
    """One line per metric, one column per split seed; for several seeds also mean and standard deviation."""
    columns = {f"split {seed}": pd.Series(metrics, dtype=object) for seed, metrics in scores.items()}
    names = dict.fromkeys(name for metrics in scores.values() for name in metrics)
    table = pd.DataFrame(columns, index=list(names))
    if len(scores) > 1:
        numbers = table.astype(float)
        table = table.assign(mean=numbers.mean(axis=1), std=numbers.std(axis=1))
    return table.map(lambda value: str(value) if isinstance(value, int) else f"{value:.4f}").to_string()


def predict(options: argparse.Namespace) -> None:
    """Print probability of spam, label and text of every message."""
    from helpers.data.corpora import SMS_LABELS
    from helpers.tasks.sms import SpamModel

    torch.set_num_threads(settings.threads())
    model = SpamModel.load(options.model)
    probabilities, labels = model.predict_proba(options.texts), model.predict(options.texts)
    for text, probability, label in zip(options.texts, probabilities, labels, strict=True):
        print(f"{probability:.4f}  {SMS_LABELS[label]:<4}  {text}")
