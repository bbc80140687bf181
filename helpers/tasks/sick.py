"""SICK relatedness: training (on STS pairs first, if wanted), scores, and the reference without training."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from helpers import settings
from helpers.data.batching import make_loader
from helpers.data.pairs import repeats
from helpers.data.sentence_batches import NO_LABEL, EncodedPairs, EncodedSentences
from helpers.data.triplets import make_triplets
from helpers.model.networks import num_trainable_parameters
from helpers.model.relatedness import (
    Calibration,
    entailment_classifier,
    pair_features,
    relatedness_metrics,
    similar_accuracy,
    similar_threshold,
    to_relatedness,
    to_similarity,
)
from helpers.model.siamese import CosineHead
from helpers.model.training import History, Loaders, fit
from helpers.tasks.configs import named
from helpers.tasks.recoveries import digest, recovery
from helpers.tasks.sick_config import CONFIGS, Config
from helpers.tasks.sick_data import Sides, covered, sentences, sides, sts_pairs, unseen, words_of
from helpers.tasks.sick_model import CLASSES, EVALUATION_BATCH, SimilarityModel, make_metrics, make_step

Augment = Callable[..., pd.DataFrame]  # (training pairs, technique, *, seed, test: what must stay unseen) -> new pairs


@dataclass(frozen=True)
class Result:
    """A trained model and how it did on the pairs that judge it."""

    metrics: dict[str, float]
    model: SimilarityModel
    history: History
    pretraining: History | None
    test: pd.DataFrame  # the judged pairs; similarity, prediction (1 to 5), entailment_prediction, repeated, both_seen


def train(
    config: Config | str, *, model_seed: int, evaluate_on: str, epochs: int | None = None, rows: int | None = None,
    augment: Augment | None = None, **options,
) -> Result:  # fmt: skip
    """Train a configuration and score it.

    Args:
        config: a Config, or the name of one in CONFIGS.
        model_seed: of everything random in training.
        evaluate_on: as in sides(). Configurations are chosen on "cv0" to "cv4"; "test" is for the chosen ones.
        epochs: instead of the configuration's (and at most as many of pre-training).
        rows: use a stratified subset of so many pairs of each side, and as many STS pairs.
        augment: makes new training pairs by the techniques that config.augment names.
        options: on_epoch and verbose, as in fit.

    Returns:
        Metrics: pearson, spearman, mse, accuracy (similar or not), pearson_raw and mse_raw (before calibration), each
        again with the ending _without_repeats, on the pairs that training did not hold; entailment_accuracy;
        parameters, train_pairs, best_epoch, epochs, train_seconds.

    Raises:
        ValueError: unknown name or evaluation; an augmentation named but not passed, or passed but not named.
    """
    config = named(config, CONFIGS)
    if epochs is not None:
        config = replace(config, epochs=epochs, pretrain_epochs=min(epochs, config.pretrain_epochs))
    chosen = sides(evaluate_on, held_share=config.held_share, rows=rows)
    start = time.perf_counter()
    training = pd.concat([chosen.train, chosen.held], ignore_index=True) if config.train_on_held else chosen.train
    enlarged = _enlarged(config, training, chosen, augment, model_seed)
    sts = sts_pairs(chosen, rows) if config.pretrain else None
    model, history, pretraining = fit_pairs(config, chosen._replace(train=enlarged), sts, seed=model_seed, **options)
    seconds = time.perf_counter() - start
    metrics, test = _judge(model.raw_similarity, model.encode, model.calibration, model.threshold, chosen, training)
    course = {"train_pairs": len(enlarged), "best_epoch": history.best_epoch, "epochs": len(history.rows)}
    metrics |= {"parameters": num_trainable_parameters(model.network)} | course | {"train_seconds": seconds}
    return Result(metrics, model, history, pretraining, test)


def _enlarged(
    config: Config, training: pd.DataFrame, chosen: Sides, augment: Augment | None, seed: int
) -> pd.DataFrame:
    if (config.augment is None) != (augment is None):
        raise ValueError(
            f"config.augment is {config.augment!r}: name the techniques there, and pass augment to train()"
        )
    if augment is None:
        return training
    hidden = unseen(chosen, with_held=not config.train_on_held)
    new = [augment(training, technique, seed=seed, test=hidden) for technique in config.augment.split("+")]
    return pd.concat([training, *new], ignore_index=True)


def fit_pairs(
    config: Config, chosen: Sides, sts: pd.DataFrame | None, *, seed: int, on_epoch=None, verbose=False
) -> tuple[SimilarityModel, History, History | None]:
    """Train on these pairs and nothing else, on STS pairs first if there are any, then calibrate.

    A training that was interrupted goes on where it stood.

    Args:
        chosen: train and held; the words of judged are looked up among the pretrained vectors, nothing else.
        sts: as sts_pairs() returns them.
        seed: of words without a vector, initial weights, triplets, batches and dropout.

    Returns:
        The model, the course of its training, and that of its pre-training.
    """
    generator = settings.seed_everything(seed)
    table = words_of(config, chosen, sts, seed)
    model = SimilarityModel(config, table.reader.vocabulary, table.matrix)
    run = partial(_fit, config, model, generator=generator, verbose=verbose)
    pretraining = None
    if sts is not None:
        kept = covered(sts, table, config.pretrain_coverage)
        rows = EncodedPairs(*sentences(kept), model.reader, targets=kept["similarity"])
        pretraining = run(rows, None, epochs=config.pretrain_epochs, lr=config.pretrain_lr)
    held = None if config.train_on_held else chosen.held
    rows = _encoded(config, chosen.train, model, seed)
    history = run(rows, held, epochs=config.epochs, lr=config.lr, on_epoch=on_epoch)
    if held is not None:
        similarity = model.raw_similarity(*sentences(held))
        model.calibration = Calibration.fit(similarity, held["relatedness"], config.calibration)
        model.threshold = similar_threshold(held["relatedness"], model.calibration(similarity))
    return model, history, pretraining


def _encoded(config: Config, frame: pd.DataFrame, model: SimilarityModel, seed: int) -> EncodedSentences:
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
    epochs: int, lr: float, generator: torch.Generator, on_epoch=None, verbose=False,
) -> History:  # fmt: skip
    network, loader = model.network, make_loader(rows, config.batch_size, generator=generator)
    valid = None if held is None else make_loader(_encoded(config, held, model, settings.SEED), EVALUATION_BATCH)
    optimizer = torch.optim.AdamW(_parameter_groups(config, network, lr), weight_decay=config.weight_decay)
    schedulers = []
    if config.anneal:
        peaks, steps = [group["lr"] for group in optimizer.param_groups], max(epochs * len(loader), 20)
        schedulers = [torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=steps, pct_start=0.1)]

    def note(row: dict) -> None:
        if config.loss == "triplet" and held is not None:  # triplets carry no scores: the held-out pairs do
            found = to_relatedness(model.raw_similarity(*sentences(held)))
            row |= {f"valid_{name}": value for name, value in _scores(held, found).items()}
        if on_epoch is not None:
            on_epoch(row)

    with recovery("sick", config=asdict(config), epochs=epochs, lr=lr, read=_read(model, rows, held)) as kept:
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


def _scores(frame: pd.DataFrame, predictions: np.ndarray, threshold: float | None = None) -> dict[str, float]:
    """Correlations, error and accuracy; without a threshold at the best cut of these very pairs."""
    relatedness = frame["relatedness"].to_numpy()
    cut = similar_threshold(relatedness, predictions) if threshold is None else threshold
    return relatedness_metrics(relatedness, predictions) | {"accuracy": similar_accuracy(relatedness, predictions, cut)}


def mean_cosine(
    vectors: str = "googlenews", *, evaluate_on: str, case: str = "fallback", calibration: str = "isotonic", rows=None
) -> tuple[dict[str, float], pd.DataFrame]:
    """The reference without training: the cosine of the two mean word vectors, calibrated on the held-out pairs.

    Args:
        vectors, case: as in Config.
        evaluate_on, rows: as in train().

    Returns:
        The metrics of a Result that a network without parameters has, and the judged pairs as in Result.test.
    """
    chosen = sides(evaluate_on, rows=rows)
    table = words_of(replace(Config(), vectors=vectors, case=case), chosen, None, settings.SEED)

    def similarity(first: list[str], second: list[str]) -> np.ndarray:
        head, means = CosineHead(), [torch.from_numpy(table.mean_vectors(side)) for side in (first, second)]
        return head(*means).double().numpy()

    held = similarity(*sentences(chosen.held))
    fitted = Calibration.fit(held, chosen.held["relatedness"], calibration)
    threshold = similar_threshold(chosen.held["relatedness"], fitted(held))
    return _judge(similarity, table.mean_vectors, fitted, threshold, chosen, chosen.train)


def _judge(
    similarity, encode, calibration: Calibration, threshold: float, chosen: Sides, training: pd.DataFrame
) -> tuple[dict[str, float], pd.DataFrame]:
    """Metrics with and without the pairs that training held, and the judged pairs with what was said of them.

    Args:
        similarity: (first, second) sentences -> (n,) before calibration.
        encode: sentences -> (n, d); a classifier on the vectors of the training pairs tells entailment.
    """
    judged, seen = chosen.judged, repeats(chosen.judged, training)
    said = similarity(*sentences(judged))
    features = [pair_features(*map(encode, sentences(frame))) for frame in (training, judged)]
    entailment = entailment_classifier().fit(features[0], training["entailment"]).predict(features[1])
    test = judged.assign(
        similarity=said, prediction=calibration(said), entailment_prediction=entailment, repeated=seen.pair,
        both_seen=seen.both,
    )  # fmt: skip
    test.attrs = dict(judged.attrs)
    metrics = {"entailment_accuracy": float((test["entailment"] == test["entailment_prediction"]).mean())}
    for ending, part in (("", test), ("_without_repeats", test[~seen.pair])):
        raw = relatedness_metrics(part["relatedness"], to_relatedness(part["similarity"]))
        found = _scores(part, part["prediction"].to_numpy(), threshold)
        # ranks are taken before calibration, which keeps their order and can only tie them
        found |= {"spearman": raw["spearman"], "pearson_raw": raw["pearson"], "mse_raw": raw["mse"]}
        metrics |= {name + ending: value for name, value in found.items()}
    return metrics, test
