"""Titles per second of training: equal-length batches and SparseAdam against the course's recipe."""

from collections.abc import Iterator
from functools import partial

import torch
from torch.utils.data import DataLoader

from benchmarks import references
from benchmarks.corpus import Titles, titles, word_config
from benchmarks.harness import Outcome, Row, Side, Sizes, alternate, details, windows
from helpers import settings
from helpers.data.batching import make_loader
from helpers.model.networks import num_trainable_parameters
from helpers.model.training import train_epoch
from helpers.tasks import meli

GOALS = {"trainable": 6.0, "frozen": 2.5}


def our_windows(known: Titles, model, sizes: Sizes) -> Iterator[DataLoader]:
    """Windows of equal-length batches, made as meli.fit makes them."""
    generator = torch.Generator().manual_seed(settings.SEED)
    side = known.frame.iloc[known.split.train]
    data = model.dataset(side["title"].to_numpy(), side["target"])
    loader = make_loader(data, model.config.batch_size, strategy="equal", generator=generator)
    return windows(loader, loader.dataset.lengths, sizes.batches, seed=settings.SEED)


def our_side(known: Titles, sizes: Sizes, *, freeze: bool) -> Side:
    """A round of ours: a window of batches."""
    model = known.model(word_config(freeze=freeze))
    optimizers, _ = meli.make_optimizers(model.config, model.network, 1)
    step, drawn = meli.titles_step(0.0), our_windows(known, model, sizes)

    return lambda: len(train_epoch(model.network, next(drawn), step, optimizers)[0].targets)


def course_side(known: Titles, sizes: Sizes, *, freeze: bool) -> Side:
    """A round of the recipe: as many batches."""
    model = known.course_model(freeze=freeze)
    train = known.frame.iloc[known.split.train]
    encoded = known.reader.encode(train["title"].to_numpy())
    sequences = [ids.tolist() for ids in map(encoded.tokens.__getitem__, range(len(encoded)))]
    data = references.CourseTitles(sequences, train["target"].tolist())
    loader = references.course_loader(data, generator=torch.Generator().manual_seed(settings.SEED))
    drawn = windows(loader, encoded.lengths, sizes.batches, seed=settings.SEED)
    optimizer = references.course_adam(model)
    return lambda: references.train_batches(model, next(drawn), optimizer)


def compare(kind: str, sizes: Sizes) -> Outcome:
    """BiLSTM 128 on titles, embeddings "trainable" or "frozen"."""
    known, freeze = titles(sizes.titles), kind == "frozen"
    sides = {"ours": our_side, "reference": course_side}
    rounds = alternate({name: side(known, sizes, freeze=freeze) for name, side in sides.items()}, sizes)
    row = Row(
        f"meli.training_{kind}", f"training, BiLSTM 128, {kind} 300-d embeddings", "titles/s", rounds["ours"].rate,
        rounds["reference"].rate, goal=GOALS[kind],
    )  # fmt: skip
    facts = {
        "words": len(known.reader.vocabulary),
        "categories": len(known.categories),
        "parameters": num_trainable_parameters(known.course_model(freeze=freeze)),
        "optimizers": "ours: Adam, SparseAdam (row-sparse) for the embeddings; reference: dense Adam",
    }
    return Outcome([row], details(rounds) | facts, known.data)


trainable = partial(compare, "trainable")
frozen = partial(compare, "frozen")
