"""What the three tasks share: configurations by name and by hash, and the result of a training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

import pandas as pd

from helpers.files import hash_of
from helpers.model.training import History

C = TypeVar("C")


@dataclass(frozen=True)
class Result:
    """A trained model and how it did on the test side of its split.

    Args:
        metrics: name -> number, the same names as in studies and results.
        model: saves, loads, predicts.
        history: a row an epoch.
        test: rows of the test side, with what the model predicted for each.
        pretraining: History of what came before, where there was such a thing.
        rated: new pairs and what the teachers gave them (SICK with `teachers`).
    """

    metrics: dict[str, float]
    model: Any
    history: History
    test: pd.DataFrame
    pretraining: History | None = None
    rated: pd.DataFrame | None = None


def named(config: C | str, configs: Mapping[str, C]) -> C:
    """The configuration of that name; a configuration passes as it is.

    Raises:
        ValueError: unknown name, with those that there are.
    """
    if isinstance(config, str) and config not in configs:
        raise ValueError(f"configuration {config!r} is not one of {', '.join(configs)}")
    return configs[config] if isinstance(config, str) else config


def added(default):
    """A configuration field of later days: at its default it leaves hashes, and so the rows of studies, as they were."""
    return field(default=default, metadata={"added": True})


def config_hash(config) -> str:
    """Eight hex digits that change when a configuration does, and only then (see `added`)."""
    values = asdict(config)
    for each in fields(config):
        if each.metadata.get("added") and values[each.name] == each.default:
            del values[each.name]
    return hash_of(values)[:8]


def training_facts(parameters: int, history: History, watched: tuple[str, ...] = ()) -> dict[str, float]:
    """How training went: size, epochs, and what was measured on validation at the epoch that was kept."""
    best = history.rows[history.best_epoch - 1]
    facts = {"parameters": parameters, "best_epoch": history.best_epoch, "epochs": len(history.rows)}
    return facts | {name: best[name] for name in watched if name in best}
