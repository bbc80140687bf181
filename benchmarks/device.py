"""Titles per second on a CUDA device against this machine's CPU: training and inference, baseline and best."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from benchmarks.corpus import Titles, best_model, titles, word_config
from benchmarks.harness import Outcome, Row, Side, Sizes, alternate, details, windows
from helpers import settings
from helpers.data.batching import make_loader
from helpers.model.training import train_epoch
from helpers.tasks import meli
from helpers.tasks.meli import MeliModel

BATCHES = (128, 512, 2_048)
MODELS = {"baseline": lambda known: known.model(word_config(freeze=True)), "best": best_model}


def missing() -> str | None:
    """Why there is nothing to compare, in a line; None where DEVICE is a CUDA device."""
    try:
        device = settings.device()
    except settings.WrongValue as error:
        return str(error)
    if device.type == "cuda":
        return None
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return f"DEVICE={device}: nothing to compare the CPU with; torch finds {found} CUDA devices on this machine"


def training(model: MeliModel, data, batch: int, count: int) -> Side:
    """A round: about so many titles trained on, in batches of equal length."""
    loader = make_loader(data, batch, strategy="equal", generator=torch.Generator().manual_seed(settings.SEED))
    drawn = windows(loader, data.lengths, max(1, count // batch), seed=settings.SEED)
    optimizers, _ = meli.make_optimizers(model.config, model.network, 1)
    step = meli.titles_step(model.config.label_smoothing)
    return lambda: len(train_epoch(model.network, next(drawn), step, optimizers)[0].targets)


def inference(model: MeliModel, texts, batch: int) -> Side:
    """A round: these raw titles, from text to classes."""

    def side() -> int:
        model.batch_size = batch
        return len(model.predict(texts))

    return side


def compared(known: Titles, name: str, device: torch.device, sizes: Sizes) -> Iterator[tuple[Row, dict]]:
    """Rows of a model, with the rounds of each; "ours" is the CUDA device, "reference" the CPU."""
    models = {"ours": MODELS[name](known).to(device), "reference": MODELS[name](known).to("cpu")}
    train = known.frame.iloc[known.split.train]
    data = models["reference"].dataset(train["title"].to_numpy(), train["target"])
    raw = known.valid_titles(sizes.inferred).to_numpy()
    for batch in BATCHES:
        train_on = partial(training, data=data, count=sizes.trained)
        kinds = {"training": train_on, "inference": partial(inference, texts=raw)}
        for kind, side in kinds.items():
            rounds = alternate({where: side(model, batch=batch) for where, model in models.items()}, sizes)
            what = f"{kind}, {name}, batches of {batch:,}: CUDA against the CPU"
            rates = (rounds["ours"].rate, rounds["reference"].rate)
            yield Row(f"meli.device_{name}_{kind}_{batch}", what, "titles/s", *rates), details(rounds)


def run(sizes: Sizes) -> Outcome:
    """Both models on both devices, at every batch size; under 8 minutes with the default sizes."""
    device, known = settings.device(), titles(sizes.titles)
    sizes = replace(sizes, rounds=min(sizes.rounds, 3))
    found = [measured for name in MODELS for measured in compared(known, name, device, sizes)]
    facts = {"device": str(device), "name": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"}
    measured = {row.name: rounds for row, rounds in found}
    return Outcome([row for row, _ in found], facts | measured, known.data, [f"device: {facts['name']}"])
