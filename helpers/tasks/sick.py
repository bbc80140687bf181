"""SICK relatedness: training (on STS pairs first, if wanted), scores, and the reference without training."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from helpers import settings
from helpers.data.pairs import repeats
from helpers.model.networks import num_trainable_parameters
from helpers.model.relatedness import (
    Calibration,
    entailment_classifier,
    pair_features,
    relatedness_metrics,
    scores,
    similar_threshold,
    to_relatedness,
)
from helpers.model.siamese import CosineHead
from helpers.model.training import History
from helpers.tasks.configs import named
from helpers.tasks.sick_config import CONFIGS, Config
from helpers.tasks.sick_data import Sides, sentences, sides, sts_pairs, unseen, words_of
from helpers.tasks.sick_fit import fit_pairs
from helpers.tasks.sick_model import SimilarityModel

Augment = Callable[..., pd.DataFrame]  # (training pairs, technique, *, seed, test: what must stay unseen) -> new pairs


@dataclass(frozen=True)
class Result:
    """A trained model and how it did on the pairs that judge it."""

    metrics: dict[str, float]
    model: SimilarityModel
    history: History
    pretraining: History | None
    rated: pd.DataFrame | None  # new pairs and what the teachers said of them
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
        epochs: instead of the configuration's (and at most as many of what comes before).
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
        before = {name: min(epochs, getattr(config, name)) for name in ("pretrain_epochs", "rated_epochs")}
        config = replace(config, epochs=epochs, **before)
    chosen = sides(evaluate_on, held_share=config.held_share, rows=rows)
    start = time.perf_counter()
    training = pd.concat([chosen.train, chosen.held], ignore_index=True) if config.train_on_held else chosen.train
    enlarged = _enlarged(config, training, chosen, augment, model_seed)
    sts = sts_pairs(chosen, rows) if config.pretrain else None
    fitted = fit_pairs(config, chosen._replace(train=enlarged), sts, seed=model_seed, **options)
    model, history = fitted.model, fitted.history
    seconds = time.perf_counter() - start
    metrics, test = _judge(model.raw_similarity, model.encode, model.calibration, model.threshold, chosen, training)
    course = {"train_pairs": len(enlarged), "best_epoch": history.best_epoch, "epochs": len(history.rows)}
    metrics |= {"parameters": num_trainable_parameters(model.network)} | course | {"train_seconds": seconds}
    return Result(metrics, model, history, fitted.pretraining, fitted.rated, test)


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
        found = scores(part["relatedness"], part["prediction"], threshold)
        # ranks are taken before calibration, which keeps their order and can only tie them
        found |= {"spearman": raw["spearman"], "pearson_raw": raw["pearson"], "mse_raw": raw["mse"]}
        metrics |= {name + ending: value for name, value in found.items()}
    return metrics, test
