"""Training a siamese network: on STS pairs first, then on pairs that its own teachers rated, then on SICK."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from helpers import settings
from helpers.data.batching import make_loader
from helpers.data.new_pairs import candidate_pairs
from helpers.data.sentence_batches import NO_LABEL, EncodedPairs, EncodedSentences
from helpers.data.triplets import make_triplets
from helpers.model.relatedness import Calibration, scores, similar_threshold, to_relatedness, to_similarity
from helpers.model.training import History, Loaders, fit
from helpers.tasks.recoveries import digest, recovery
from helpers.tasks.sick_config import Config
from helpers.tasks.sick_data import Sides, covered, sentences, unseen, words_of
from helpers.tasks.sick_model import CLASSES, EVALUATION_BATCH, SimilarityModel, make_metrics, make_step
from helpers.tasks.studies import hash_of

_KEPT = 8  # pre-trainings that a process remembers: those of other new pairs begin alike
_pretrainings: dict[str, tuple[dict[str, Tensor], History]] = {}


class Fitted(NamedTuple):
    """A trained model, the course of its training and of its pre-training, and the pairs that its teachers rated."""

    model: SimilarityModel
    history: History
    pretraining: History | None
    rated: pd.DataFrame | None


def fit_pairs(
    config: Config, chosen: Sides, sts: pd.DataFrame | None, *, seed: int, on_epoch=None, verbose=False
) -> Fitted:
    """Train on these pairs, on STS pairs first if there are any, then calibrate.

    With config.teachers the network is trained several times over from the same start; what these teachers say on
    average of pairs of training sentences that nobody rated is what it learns next, and SICK comes last (Thakur et al.
    2021, arXiv:2010.08240, with networks of the same kind as teachers).

    A training that was interrupted goes on where it stood.

    Args:
        chosen: train and held; the words of judged are looked up among the pretrained vectors, nothing else.
        sts: as sts_pairs() returns them.
        seed: of words without a vector, initial weights, triplets, new pairs, batches and dropout.
    """
    settings.seed_everything(seed)
    table = words_of(config, chosen, sts, seed)
    model = SimilarityModel(config, table.reader.vocabulary, table.matrix)
    pretraining = None
    if sts is not None:
        kept = covered(sts, table, config.pretrain_coverage)
        rows = EncodedPairs(*sentences(kept), model.reader, targets=kept["similarity"])
        pretraining = _pretrained(config, model, rows, seed=seed, verbose=verbose)
    held = None if config.train_on_held else chosen.held
    run = partial(_fit, config, model, generator=settings.seed_everything(seed), verbose=verbose)
    train = partial(run, encode_training(config, chosen.train, model, seed), held, epochs=config.epochs, lr=config.lr)
    rated = None
    if config.teachers:
        new = candidate_pairs(chosen.train, table.mean_vectors, seed=seed, test=unseen(chosen))
        rated = _rated_by_teachers(config, model, new, train)
        run(_encoded_pairs(rated, model), None, epochs=config.rated_epochs, lr=config.rated_lr, stage="rated")
    history = train(on_epoch=on_epoch)
    if held is not None:
        similarity = model.raw_similarity(*sentences(held))
        model.calibration = Calibration.fit(similarity, held["relatedness"], config.calibration)
        model.threshold = similar_threshold(held["relatedness"], model.calibration(similarity))
    return Fitted(model, history, pretraining, rated)


def _pretrained(config: Config, model: SimilarityModel, rows: EncodedPairs, *, seed: int, verbose: bool) -> History:
    """Train on STS pairs, or take what a training that began alike has left in this process."""
    begins = replace(config, augment=None, teachers=0)
    key = hash_of(asdict(begins) | {"seed": seed, "read": _read(model, rows, None)})
    if key not in _pretrainings:
        generator = settings.seed_everything(seed)
        history = _fit(
            begins, model, rows, None, epochs=config.pretrain_epochs, lr=config.pretrain_lr, generator=generator,
            verbose=verbose, stage="sts",
        )  # fmt: skip
        while len(_pretrainings) >= _KEPT:
            del _pretrainings[next(iter(_pretrainings))]
        _pretrainings[key] = _trained(model), history
    weights, history = _pretrainings[key]
    model.network.load_state_dict(weights, strict=False)
    return history


def _rated_by_teachers(
    config: Config, model: SimilarityModel, new: pd.DataFrame, train: Callable[..., History]
) -> pd.DataFrame:
    """The new pairs with the mean of what the teachers say of them; the network is left as it was."""
    start, similarity, entailment = _trained(model), [], []
    for number in range(config.teachers):
        model.network.load_state_dict(start, strict=False)
        train(stage=f"teacher {number + 1}")
        similarity.append(model.raw_similarity(*sentences(new)))
        if config.entailment_weight:
            entailment.append(model.entailment(*sentences(new)))
    model.network.load_state_dict(start, strict=False)
    labels = [CLASSES[row] for row in np.mean(entailment, axis=0).argmax(1)] if entailment else ""
    return new.assign(relatedness=to_relatedness(np.mean(similarity, axis=0).clip(0, 1)), entailment=labels)


def _trained(model: SimilarityModel) -> dict[str, Tensor]:
    """Copies of the tensors that training moves."""
    return {name: p.detach().clone() for name, p in model.network.named_parameters() if p.requires_grad}


def encode_training(config: Config, frame: pd.DataFrame, model: SimilarityModel, seed: int) -> EncodedSentences:
    """What the loss reads: the pairs, or triplets made of them."""
    if config.loss != "triplet":
        return _encoded_pairs(frame, model)
    triplets = make_triplets(
        frame, seed=seed, gap=config.triplet_gap, unrelated=config.triplet_unrelated,
        contradictions=config.triplet_contradictions,
    )  # fmt: skip
    return EncodedSentences([triplets[name].tolist() for name in ("anchor", "positive", "negative")], model.reader)


def _encoded_pairs(frame: pd.DataFrame, model: SimilarityModel) -> EncodedPairs:
    labels = [CLASSES.index(label) if label in CLASSES else NO_LABEL for label in frame["entailment"]]
    return EncodedPairs(*sentences(frame), model.reader, targets=to_similarity(frame["relatedness"]), labels=labels)


def _fit(
    config: Config, model: SimilarityModel, rows: EncodedSentences, held: pd.DataFrame | None, *,
    epochs: int, lr: float, generator: torch.Generator, on_epoch=None, verbose=False, stage="sick",
) -> History:  # fmt: skip
    network, loader = model.network, make_loader(rows, config.batch_size, generator=generator)
    valid = None if held is None else make_loader(encode_training(config, held, model, settings.SEED), EVALUATION_BATCH)
    optimizer = torch.optim.AdamW(_parameter_groups(config, network, lr), weight_decay=config.weight_decay)
    schedulers = []
    if config.anneal:
        peaks, steps = [group["lr"] for group in optimizer.param_groups], max(epochs * len(loader), 20)
        schedulers = [torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=steps, pct_start=0.1)]

    def note(row: dict) -> None:
        triplets = config.loss == "triplet" and held is not None  # they carry no scores: the held-out pairs do
        if triplets and "valid_pearson" not in row:  # a row of before an interruption holds what its network said
            found = to_relatedness(model.raw_similarity(*sentences(held)))
            row |= {f"valid_{name}": value for name, value in scores(held["relatedness"], found).items()}
        if on_epoch is not None:
            on_epoch(row)

    identity = {"config": asdict(config), "epochs": epochs, "lr": lr, "read": _read(model, rows, held)}
    with recovery("sick", **identity, stage=stage) as kept:
        return fit(
            network, Loaders(loader, valid), make_step(config), optimizers=[optimizer], schedulers=schedulers,
            epochs=epochs, metrics=make_metrics(network), watch="valid_pearson" if config.select else "epoch",
            higher_is_better=True, patience=config.patience, clip=config.clip, ema=config.ema, on_epoch=note,
            verbose=verbose, recovery=kept,
        )  # fmt: skip


def _read(model: SimilarityModel, rows: EncodedSentences, held: pd.DataFrame | None) -> str:
    """Digest of all that a training reads, and of the weights that it begins with (which tell the seed)."""
    weights = [tensor.numpy() for tensor in model.network.state_dict().values()]
    held = [] if held is None else [*sentences(held), held["relatedness"].to_numpy()]
    return digest(list(rows.distinct), rows.index, rows.targets.numpy(), rows.labels.numpy(), *held, *weights)


def _parameter_groups(config: Config, network: torch.nn.Module, lr: float) -> list[dict]:
    """Trained word vectors move slower than the rest, and decay towards nothing never."""
    words = network.encoder.embedding.words.weight
    groups = [{"params": [p for p in network.parameters() if p.requires_grad and p is not words], "lr": lr}]
    if words.requires_grad:
        groups.append({"params": [words], "lr": lr * config.vectors_lr, "weight_decay": 0.0})
    return groups
