"""python -m helpers study, train, predict."""

import argparse
from pathlib import Path

import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from helpers import settings
from helpers.data.sources import sampled
from helpers.model.checkpoints import SAMPLE_MARK

TASKS = ("sms", "meli", "sick")
SHOWN = 5  # categories shown per title
CONFIRMED = 3  # stale rows that are run again where no --limit says how many


def add_commands(commands) -> None:
    """Add `study`, `train` and `predict` to the command line."""
    _add_study(commands.add_parser("study", help="run the missing rows of a table that needs many trainings"))
    _add_train(commands.add_parser("train", help="train a configuration and score it"))
    _add_predict(commands.add_parser("predict", help="ask a saved model"))


def _add_study(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", metavar="NAME")
    which.add_argument("--list", action="store_true", help="name the studies")
    parser.add_argument("--limit", type=_whole_number, metavar="N", help="run at most N rows now (--confirm: 3)")
    parser.add_argument("--confirm", action="store_true", help="run some stale rows again; if equal, keep the others")
    parser.set_defaults(run=run_one_study)


def _add_train(parser: argparse.ArgumentParser) -> None:
    seed = {"type": _whole_number, "metavar": "N"}
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--config", default="best", metavar="NAME", help="a name in the task's CONFIGS (%(default)s)")
    parser.add_argument("--split-seed", **seed, nargs="+", help="of sms and meli; default: 0, for development")
    parser.add_argument("--model-seed", **seed, help="initial weights, batches, dropout; default: the split seed, or 0")
    parser.add_argument("--grouped", action="store_true", help="of sms: keep near-duplicates on one side of the split")
    parser.add_argument("--evaluate-on", metavar="PART", help="of sick: test (default), trial, or a fold, cv0 to cv4")
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
    with threadpool_limits(settings.threads()):  # those of numpy and scikit-learn decide last digits too
        if options.confirm:
            confirm_study(STUDIES[options.name], sample=options.limit or CONFIRMED)
        else:
            run_study(STUDIES[options.name], limit=options.limit)
    print(table_path(options.name))


def train(options: argparse.Namespace) -> None:
    """Train and score once per split seed (SICK has its own partitions: once), and print the metrics as a table."""
    torch.set_num_threads(settings.threads())
    task, corpus, runs = _task(options)
    unit = "pairs" if options.task == "sick" else "texts"
    before = origin()
    print(f"{options.task}: {len(corpus):,} {unit}, {before}; configuration {options.config}", flush=True)
    scores = {}
    for seed, seeds in runs.items():
        result = task.train(options.config, **seeds)
        scores[seed] = result.metrics
        if options.save:
            folder = options.save / f"split-{seed}" if len(runs) > 1 else options.save
            save(result.model, folder)
    print(metrics_table(scores, "model" if options.task == "sick" else "split"))
    if origin() != before:  # vectors, say, that training alone reads
        print(origin())


def origin() -> str:
    """Whether anything that was read so far in this process is synthetic."""
    return f"SYNTHETIC SAMPLE ({', '.join(sampled())}): the numbers are no result" if sampled() else "real data"


def save(model, folder: Path) -> None:
    """Save, say where, and mark what synthetic data made: no such model is registered."""
    folder = Path(model.save(folder))
    (folder / SAMPLE_MARK).unlink(missing_ok=True)
    if sampled():
        (folder / SAMPLE_MARK).write_text(f"{origin()}\n", encoding="utf8")
    print(f"saved: {folder}", flush=True)


def _task(options: argparse.Namespace) -> tuple:
    """The module of a task, its corpus, and the options of train() for every run, by the seed that heads its column."""
    if options.grouped and options.task != "sms":
        raise ValueError(f"--grouped belongs to sms; {options.task} has no such split")
    if options.task == "sick":
        return _sick(options)
    if options.evaluate_on:
        raise ValueError(f"--evaluate-on belongs to sick; {options.task} is split by --split-seed")
    fixed = options.model_seed
    runs = {
        seed: {"split_seed": seed, "model_seed": seed if fixed is None else fixed}
        for seed in options.split_seed or [settings.SEED]
    }
    if options.task == "sms":
        from helpers.tasks import sms

        split = "grouped" if options.grouped else "random"
        return sms, sms.messages(), {seed: seeds | {"split": split} for seed, seeds in runs.items()}
    from helpers.tasks import meli, meli_titles

    return meli, meli_titles.titles(), runs


def _sick(options: argparse.Namespace) -> tuple:
    from helpers.data.corpora import load_sick
    from helpers.tasks import sick

    if options.split_seed:
        raise ValueError("--split-seed belongs to sms and meli; sick has partitions of its own: see --evaluate-on")
    seed = settings.SEED if options.model_seed is None else options.model_seed
    return sick, load_sick(), {seed: {"model_seed": seed, "evaluate_on": options.evaluate_on or "test"}}


def metrics_table(scores: dict[int, dict[str, float]], kind: str = "split") -> str:
    """One line per metric, one column per seed of that kind; for several seeds also mean and standard deviation."""
    columns = {f"{kind} {seed}": pd.Series(metrics, dtype=object) for seed, metrics in scores.items()}
    names = dict.fromkeys(name for metrics in scores.values() for name in metrics)
    table = pd.DataFrame(columns, index=list(names))
    if len(scores) > 1:
        numbers = table.astype(float)
        table = table.assign(mean=numbers.mean(axis=1), std=numbers.std(axis=1))
    return table.map(lambda value: str(value) if isinstance(value, int) else f"{value:.4f}").to_string()


def predict(options: argparse.Namespace) -> None:
    """Ask a saved model: probability of spam, likeliest categories, or how related two sentences are."""
    torch.set_num_threads(settings.threads())
    {"sms": _predict_sms, "meli": _predict_meli, "sick": _predict_sick}[options.task](options.model, options.texts)


def _predict_sms(folder: Path, texts: list[str]) -> None:
    from helpers.data.corpora import SMS_LABELS
    from helpers.tasks.sms import SpamModel

    model = SpamModel.load(folder)
    probabilities = model.predict_proba(texts)
    for text, probability in zip(texts, probabilities, strict=True):
        print(f"{probability:.4f}  {SMS_LABELS[int(probability >= model.config.threshold)]:<4}  {text}")


def _predict_meli(folder: Path, texts: list[str]) -> None:
    from helpers.tasks.meli import MeliModel

    model = MeliModel.load(folder)
    for text, best in zip(texts, model.predict(texts, k=min(SHOWN, len(model.categories))), strict=True):
        print(text)
        for category, probability in best:
            print(f"  {probability:.4f}  {category}")


def _predict_sick(folder: Path, texts: list[str]) -> None:
    from helpers.apps.serving import unknown_words
    from helpers.tasks.sick import SimilarityModel

    if len(texts) % 2:
        raise ValueError(f"sick compares sentences two by two, and {len(texts)} are given: give an even number")
    model, first, second = SimilarityModel.load(folder), texts[::2], texts[1::2]
    told = zip(model.similarity(first, second), model.similar(first, second), first, second, strict=True)
    for relatedness, similar, one, other in told:
        print(f"{relatedness:.2f}  {'similar' if similar else 'not similar':<11}  {one} | {other}")
        if unknown := unknown_words(model.reader, one, other):
            print(f"      unknown to the model, so the answer may be far off: {', '.join(unknown)}")
