"""The command line: every command with its options. What a command needs is imported when it runs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import typer

from helpers import settings
from helpers.settings import WrongValue

PROGRAM = "python -m helpers"
MODELS = ("meli-titles", "sms-spam", "sick-similarity")  # that can be registered
MAX_SEED = 2**32 - 1  # NumPy's
SHOWN = 5  # categories per title
COURSE = "full"  # as many rows as the course's files have
DEMO_PORT, SERVE_PORT = 7860, 5001


def _folder(text: str):
    return Annotated[Path | None, typer.Option(metavar="FOLDER", help=text)]


def _number(text: str, low: int = 0, high: int | None = None, kind=int):
    return Annotated[kind, typer.Option(min=low, max=high, metavar="N", help=text)]


def _argument(name: str, text: str = "", kind=str):
    return Annotated[kind, typer.Argument(metavar=name, help=text)]


def _flag(name: str, text: str):
    return Annotated[bool, typer.Option(name, help=text)]


Task = _argument("TASK", kind=Literal["sms", "meli", "sick"])
Config = Annotated[str, typer.Option(metavar="NAME", help="a name in the task's CONFIGS")]
ModelSeed = _number("initial weights, batches, dropout; default: the split seed, or 0", 0, MAX_SEED, int | None)
Port = _number(f"on {settings.HOST}", 1, 65535)
Big = _flag("--big", "those over 50 MB too")
Notebooks = _argument("PATH", "default: all in notebooks/", list[Path] | None)


def command():
    """The command of all commands, as click knows it: --help lists them."""
    plain = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}
    names = {"help_option_names": ["-h", "--help"]}
    app = typer.Typer(help="Recurrent networks for text.", context_settings=names, **plain)
    data = typer.Typer(help="Fetch and verify the files of the catalogue.", **plain)
    data.callback(invoke_without_command=True)(data_or_fetch)
    for each in (fetch, verify, cut):
        data.command()(each)
    data.command("list")(print_catalogue)
    app.add_typer(data, name="data")
    for each in (study, train, predict, train_distributed):
        app.command()(each)
    notebooks = typer.Typer(help="Execute, check or render the notebooks.", **plain)
    for each in (execute, check, render):
        notebooks.command()(each)
    app.add_typer(notebooks, name="notebooks")
    for each in (site, readme, scale, register, serve, demo):
        app.command()(each)
    return typer.main.get_command(app)


def data_or_fetch(context: typer.Context, big: Big = False) -> int | None:
    """Fetch and verify the files of the catalogue; `data` alone fetches."""
    return fetch(big) if context.invoked_subcommand is None else None


def fetch(big: Big = False) -> int:
    """Fetch what is not here yet.

    Status 1 where a required file cannot be had.
    """
    from helpers.data.sources import fetch_all

    rows = fetch_all(big=big)
    print(f"{sum(row.origin is not None for row in rows)} of {len(rows)} files verified")
    return int(any(row.required and row.origin is None for row in rows))


def verify(
    names: _argument("NAME", "default: every small file that has an address", list[str] | None) = None,
) -> int:
    """Download from the official addresses, keep nothing.

    Status 1 where one does not serve what it should.
    """
    from helpers.data.sources import verify_official

    rows = verify_official(names or None)
    print(f"{sum(row.origin is not None for row in rows)} of {len(rows)} files verified")
    if left_out := set(names or ()) - {row.name for row in rows}:
        print(f"over 50 MB or without an official address: {', '.join(sorted(left_out))}", file=sys.stderr)
    return int(bool(left_out) or any(row.origin is None for row in rows))


def cut(name: _argument("NAME", "of an excerpt in the catalogue")) -> None:
    """Make an excerpt from its whole archive."""
    from helpers.data.excerpts import cut as cut_excerpt

    for path in cut_excerpt(name):
        print(path)


def print_catalogue() -> None:
    """Print what the catalogue holds, and what is here."""
    from helpers.data import sources

    for source in sources.SOURCES.values():
        kinds = {"required": source.required, "big": source.big, "excerpt": bool(source.excerpt_of), "optional": True}
        kind = next(name for name, applies in kinds.items() if applies)
        here = "cached" if sources.cached(source.name) else "-"
        print(f"{source.name:<30} {here:<7} {source.size / 1e6:>9,.2f} MB  {kind:<9} {source.licence}")


def study(
    name: _argument("NAME", "of a study", str | None) = None,
    names: _flag("--list", "name the studies") = False,
    limit: _number("run at most N rows now", kind=int | None) = None,
) -> None:
    """Run the missing rows of a table of trainings."""
    from helpers import tasks

    if names == (name is not None):
        raise typer.BadParameter("give either the NAME of a study or --list")
    if names:
        print("\n".join(tasks.STUDIES))
        return
    if name not in tasks.STUDIES:
        raise WrongValue(f"study {name!r} is not one of {', '.join(tasks.STUDIES)}")
    from threadpoolctl import threadpool_limits

    from helpers.tasks import studies

    set_threads()
    with threadpool_limits(settings.threads()):  # those of numpy and scikit-learn decide last digits too
        studies.run_study(tasks.STUDIES[name], limit=limit)
    print(studies.table_path(name))


def train(
    task: Task,
    config: Config = "best",
    split_seed: _number("of sms and meli, several: N N …; default: 0", 0, MAX_SEED, list[int] | None) = None,
    model_seed: ModelSeed = None,
    grouped: _flag("--grouped", "of sms: keep near-duplicates on one side of the split") = False,
    evaluate_on: Annotated[
        str | None, typer.Option(metavar="SIDE", help="of sick: test (default), trial, or a fold, cv0 to cv4")
    ] = None,
    save: _folder("for the model; several seeds: FOLDER/split-N") = None,
) -> None:
    """Train a configuration and print its metrics.

    Once per split seed; sick has partitions of its own.
    """
    if grouped and task != "sms":
        raise WrongValue(f"--grouped belongs to sms; {task} has no such split")
    if evaluate_on and task != "sick":
        raise WrongValue(f"--evaluate-on belongs to sick; {task} is split by --split-seed")
    if split_seed and task == "sick":
        raise WrongValue("--split-seed belongs to sms and meli; sick has partitions of its own: see --evaluate-on")
    if task == "sick":
        seed = settings.SEED if model_seed is None else model_seed
        runs = {seed: {"model_seed": seed, "evaluate_on": evaluate_on or "test"}}
    else:
        kind = {"kind": "grouped"} if grouped else {}
        runs = {seed: {"split_seed": seed, "model_seed": model_seed} | kind for seed in split_seed or [settings.SEED]}
    _train(task, config, runs, save)


def _train(task: str, config: str, runs: dict[int, dict], save: Path | None) -> None:
    from helpers.tasks.base import named

    set_threads()
    module = import_module(f"helpers.tasks.{task}")
    named(config, module.CONFIGS)
    settings.device()  # a wrong one is told before anything is read
    rows, before = len(module.load()), origin()
    print(f"{task}: {rows:,} {'pairs' if task == 'sick' else 'texts'}, {before}; configuration {config}", flush=True)
    scores = {}
    for seed, seeds in runs.items():
        result = module.train(config, **seeds)
        scores[seed] = result.metrics
        if save:
            save_model(result.model, save / f"split-{seed}" if len(runs) > 1 else save)
    print(metrics_table(scores, "model" if task == "sick" else "split"))
    if origin() != before:  # vectors, say, that training alone reads
        print(origin())


def set_threads() -> None:
    """Give torch the threads of THREADS."""
    import torch

    torch.set_num_threads(settings.threads())


def origin() -> str:
    """Whether anything that was read so far in this process is synthetic."""
    from helpers.data.sources import sampled

    return f"SYNTHETIC SAMPLE ({', '.join(sampled())}): the numbers are no result" if sampled() else "real data"


def save_model(model, folder: Path) -> None:
    """Save, say where, and mark what synthetic data made: no such model is registered."""
    from helpers.data.sources import sampled
    from helpers.model.checkpoints import SAMPLE_MARK

    folder = Path(model.save(folder))
    if sampled():
        (folder / SAMPLE_MARK).write_text(f"{origin()}\n", encoding="utf8")
    print(f"saved: {folder}", flush=True)


def metrics_table(scores: dict[int, dict[str, float]], kind: str = "split") -> str:
    """One line per metric, one column per seed of that kind; for several seeds also mean and standard deviation."""
    from statistics import fmean, stdev

    rows = [["", *(f"{kind} {seed}" for seed in scores), *(("mean", "std") if len(scores) > 1 else ())]]
    for name in dict.fromkeys(name for metrics in scores.values() for name in metrics):
        found = [metrics[name] for metrics in scores.values() if name in metrics]
        cells = [metrics.get(name, float("nan")) for metrics in scores.values()]
        if len(scores) > 1:
            cells += [fmean(found), stdev(found) if len(found) > 1 else float("nan")]
        rows.append([name, *(str(cell) if isinstance(cell, int) else f"{cell:.4f}" for cell in cells)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<", *">" * (len(widths) - 1)]
    return "\n".join("  ".join(map(format, row, map("{}{}".format, sides, widths))) for row in rows)


def predict(
    task: Task,
    model: Annotated[Path, typer.Option(metavar="FOLDER", help="which `train --save` wrote")],
    texts: _argument("TEXT", "sick: two by two", list[str]),
) -> None:
    """Ask a saved model about texts.

    It answers with the probability of spam, the likeliest categories, or how related two sentences are.
    """
    if task == "sick" and len(texts) % 2:
        raise WrongValue(f"sick compares sentences two by two, and {len(texts)} are given: give an even number")
    set_threads()
    {"sms": _predict_sms, "meli": _predict_meli, "sick": _predict_sick}[task](model, texts)


def _predict_sms(folder: Path, texts: list[str]) -> None:
    from helpers.tasks.sms import SpamModel

    model = SpamModel.load(folder)
    for text, probability in zip(texts, model.predict_proba(texts)[:, 1], strict=True):
        print(f"{probability:.4f}  {'spam' if probability >= model.config.threshold else 'ham':<4}  {text}")


def _predict_meli(folder: Path, texts: list[str]) -> None:
    from helpers.tasks.meli import MeliModel

    model = MeliModel.load(folder)
    for text, best in zip(texts, model.top(texts, min(SHOWN, len(model.categories))), strict=True):
        print(text)
        for category, probability in best:
            print(f"  {probability:.4f}  {category}")


def _predict_sick(folder: Path, texts: list[str]) -> None:
    from helpers.tasks.sick import SimilarityModel

    model, first, second = SimilarityModel.load(folder), texts[::2], texts[1::2]
    for relatedness, one, other in zip(model.similarity(first, second), first, second, strict=True):
        similar = "similar" if relatedness >= model.threshold else "not similar"
        print(f"{relatedness:.2f}  {similar:<11}  {one} | {other}")
        if unknown := model.reader.unknown(one, other):
            print(f"      unknown to the model, so the answer may be far off: {', '.join(unknown)}")


def train_distributed(
    task: Task,
    config: Config = "best",
    split_seed: _number("of sms and meli; 0 is for development", 0, MAX_SEED) = settings.SEED,
    model_seed: ModelSeed = None,
    cpu: _flag("--cpu", "leave GPUs alone") = False,
    mixed_precision: Annotated[Literal["no", "bf16"], typer.Option(help="on GPUs")] = "no",
    save: _folder("for the model") = None,
) -> None:
    """Train on several devices or hosts.

    torchrun --nproc-per-node N -m helpers train-distributed …
    """
    from helpers.model import distributed
    from helpers.tasks.base import named

    module = import_module(f"helpers.tasks.{task}")
    chosen = named(config, module.CONFIGS)
    model_seed = split_seed if model_seed is None else model_seed
    sides = {"evaluate_on": "test"} if task == "sick" else {"split_seed": split_seed}
    engine = distributed.start(cpu=cpu, mixed_precision=mixed_precision)
    with engine.local_main_process_first():  # one process of every host fetches and prepares what the others read
        module.load()
        if task == "meli":
            module.word_reader(chosen, split_seed, None)
    first = engine.is_main_process
    params = {"config": config, "model_seed": model_seed} | sides
    params |= {"processes": engine.num_processes, "mixed_precision": mixed_precision}
    with _tracked(f"{task}-distributed", f"{config} {split_seed}", params, first) as tracked:
        result = module.train(
            chosen, model_seed=model_seed, trainer=partial(distributed.fit_on, engine),
            on_epoch=tracked and tracked.epoch, verbose=first, **sides,
        )  # fmt: skip
        if tracked is not None:
            tracked.metrics(result.metrics)
    if first:
        if save:
            save_model(result.model, save)
        print(metrics_table({split_seed: result.metrics}))
        print(origin())
    engine.end_training()


@contextmanager
def _tracked(experiment: str, name: str, params: dict, first: bool) -> Iterator:
    """A run in MLflow, opened by the first process alone; None in the others."""
    if not first:
        yield None
        return
    from helpers.report import tracking

    with tracking.run(experiment, name, params=params) as run:
        yield run


def execute(
    paths: Notebooks = None,
    profile: Annotated[Literal["quick", "full"] | None, typer.Option(help="default: PROFILE")] = None,
    out: _folder("for executed copies and their pages") = None,
) -> None:
    """Execute from top to bottom.

    In place only with profile full and real data.
    """
    from helpers.report import notebooks

    notebooks.execute(_chosen(paths), profile=profile or settings.profile(), out_dir=out)


def check(paths: Notebooks = None) -> int:
    """Name every rule that is broken.

    Without paths also in README's table and in the studies' tables.
    """
    from helpers.report.rules import check as check_rules

    problems = check_rules(_chosen(paths)) if paths else check_rules() + _table_problems()
    print("\n".join(problems) or "no fault")
    return int(bool(problems))


def render(paths: Notebooks = None, out: _folder("default: build/notebooks") = None) -> None:
    """Turn them into HTML pages, as they stand."""
    from helpers.report import notebooks

    for page in notebooks.render(_chosen(paths), out or settings.ROOT / "build" / "notebooks"):
        print(page)


def _chosen(paths: list[Path] | None) -> list[Path]:
    from helpers.report.rules import committed_notebooks

    if missing := [str(path) for path in paths or () if not path.is_file()]:
        raise FileNotFoundError(f"no such notebook: {', '.join(missing)}")
    if not (chosen := paths or committed_notebooks()):
        print("notebooks/ holds no notebook yet")
    return list(chosen)


def _table_problems() -> list[str]:
    """Faults of the studies' tables; none where the real data that they were made on cannot be had."""
    from helpers.data.sources import SourceError
    from helpers.tasks import STUDIES
    from helpers.tasks.studies import table_problems

    os.environ["PROFILE"] = "full"  # the hash of a sample would call every committed row stale
    try:
        return table_problems(STUDIES, settings.ROOT / "results" / "studies")
    except SourceError as error:
        print(f"studies not compared with the data of today: {error}", file=sys.stderr)
        return []


def site(out: _folder("default: build/site") = None) -> None:
    """Make a page per notebook, as committed, and an index."""
    from helpers.report.rules import committed_notebooks
    from helpers.report.site import build_site

    print(build_site(committed_notebooks(), out or settings.ROOT / "build" / "site")[0])


def readme() -> None:
    """Rewrite README's results table from results/."""
    from helpers.report.readme import update_readme

    print("README.md: tables rewritten" if update_readme() else "README.md: tables are up to date")


def scale(
    rows: Annotated[
        list[str], typer.Option(metavar="N …", help=f'of all sides together; "{COURSE}": as many as the course has')
    ] = ("63680",),
    epochs: _number("of training", 1) = 1,
    seed: _number("of everything", 0, MAX_SEED) = settings.SEED,
    out: _folder("for the files; default: scale in the cache") = None,
) -> None:
    """Measure time and memory on sets of the course's size.

    Every stage, from files to scores, into results/scale.json.
    """
    sizes = [number_of_rows(text) for text in rows]
    from helpers.tasks.scale import merge_entry, run, stage_table

    set_threads()
    for size in sizes:
        print(f"{size:,} rows", flush=True)
        entry = run(size, epochs=epochs, seed=seed, folder=out, say=lambda line: print(f"  {line}", flush=True))
        source = "SYNTHETIC SAMPLE: no measure of the real titles" if entry["source"]["sample"] else "real titles"
        law, words = entry["heaps"], entry["words"]
        print(f"{source}; Heaps: {law['factor']:.1f} * tokens ** {law['exponent']:.3f}", flush=True)
        print(f"{words['distinct']:,} distinct words, {words['expected_by_heaps']:,.0f} by that law", flush=True)
        print(stage_table(entry).to_string(float_format=lambda value: f"{value:,.1f}"))
        print(f"peak {entry['peak_mib']:,.0f} MiB; {merge_entry(entry)}", flush=True)


def number_of_rows(text: str) -> int:
    """A number of rows as typed: 600000, 600_000, full."""
    if text == COURSE:
        from helpers.tasks.scale import FULL

        return sum(FULL.values())
    if not text.replace("_", "").isdecimal() or (number := int(text.replace("_", ""))) < 1:
        raise typer.BadParameter(f"--rows {text}: give whole numbers from 1 on, or {COURSE}")
    return number


def register(
    names: _argument("NAME", f"of {', '.join(MODELS)}; default: all", list[str] | None) = None,
    model: _folder("which `train --save` wrote; for one name") = None,
) -> None:
    """Register the models that can be called.

    What is not saved yet is trained first.
    """
    for name in names or ():
        _known(name)
    names = names or MODELS
    if model and len(names) != 1:
        raise WrongValue("--model is the folder of one model: name which")
    registry = _registry()
    for name in names:
        print(f"registered: {registry.register(name, model)}", flush=True)


def serve(
    name: _argument("NAME", f"one of {', '.join(MODELS)}; registered if it is not"), port: Port = SERVE_PORT
) -> None:
    """Answer requests with a registered model.

    Until Ctrl-C.
    """
    _known(name)
    _registry().serve(name, port)


def _known(name: str) -> None:
    if name not in MODELS:
        raise WrongValue(f"model {name!r} is not one of {', '.join(MODELS)}")


def _registry():
    """The registry, for trainings on real data: the synthetic sample makes no model that is worth calling."""
    os.environ |= {"PROFILE": "full", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    set_threads()
    from helpers.apps import serving

    return serving


def demo(
    meli: _folder("default: artifacts/meli-titles") = None,
    sms: _folder("default: artifacts/sms-spam") = None,
    sick: _folder("default: artifacts/sick-similarity") = None,
    port: Port = DEMO_PORT,
) -> None:
    """Serve a page to try the saved models.

    In Spanish, until Ctrl-C.
    """
    set_threads()
    from helpers.apps import demo as page

    page.serve(page.build_page({"meli": meli, "sms": sms, "sick": sick}), port)
