"""What the three tasks share: configurations by name and by hash, the result of a training, models that read texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from helpers import settings
from helpers.data.batching import make_loader
from helpers.files import hash_of
from helpers.model.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from helpers.model.training import History, evaluate

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1  # of saved models: raise it when what is saved can no longer be read as before
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
        raise settings.WrongValue(f"configuration {config!r} is not one of {', '.join(configs)}")
    return configs[config] if isinstance(config, str) else config


def added(default):
    """A configuration field of later days: at its default it leaves hashes, and so rows of studies, as they were."""
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


class TextModel:
    """A network with everything needed to read raw texts. A task adds what it predicts, `dataset` and `description`.

    A model predicts on the device where it is, and answers with arrays on the CPU.
    """

    task: ClassVar[str]
    strategy: ClassVar[str] = "sorted"  # which texts share a batch when the model predicts
    batch_size: ClassVar[int] = 256
    config: Any
    network: nn.Module

    def to(self, device: torch.device | str) -> Self:
        """Move the network; returns the model."""
        self.network.to(device)
        return self

    def dataset(self, texts: Sequence[str], targets=None):
        """Raw texts, with their targets if there are any, as ids for make_loader()."""
        raise NotImplementedError

    def description(self) -> dict:
        """What load() needs beside configuration and tensors, as JSON holds it."""
        raise NotImplementedError

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), d) float32: what the last layer reads of every text.

        Raises:
            TypeError: an element is not a string (names its position).
        """
        check_texts(texts)
        last = [module for module in self.network.modules() if isinstance(module, nn.Linear)][-1]
        if len(texts) == 0:
            return np.zeros((0, last.in_features), dtype=np.float32)
        read: list[Tensor] = []
        hook = last.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
        try:
            return self.outputs(self.dataset(texts), lambda network, batch: (network(batch), read.pop())[1]).numpy()
        finally:
            hook.remove()

    def outputs(self, data, answer: Callable[[nn.Module, Any], Tensor]) -> Tensor:
        """(len(data), ...) what `answer(network, batch)` gives for every batch, in the order of the rows."""
        loader, nothing = make_loader(data, self.batch_size, strategy=self.strategy), torch.zeros(())
        return evaluate(self.network, loader, lambda network, batch: (nothing, answer(network, batch))).outputs

    def save(self, folder: str | Path) -> Path:
        """Tensors and JSON in a folder; returns it."""
        content = {"task": self.task, "version": VERSION, "config": asdict(self.config)} | self.description()
        return save_checkpoint(Path(folder), self.network.state_dict(), content)


def read_saved(folder: str | Path, task: str, kind: Callable[..., C]) -> tuple[dict[str, Tensor], dict, C]:
    """Tensors, description and configuration of a saved model.

    Raises:
        CheckpointError: missing, damaged, or the model of another task or of a version that this code does not know.
    """
    tensors, description = load_checkpoint(Path(folder), task)
    version = description.get("version", VERSION)
    try:
        if version != VERSION:
            raise TypeError(f"version {version!r}, not {VERSION}")
        return tensors, description, kind(**description["config"])
    except (TypeError, KeyError) as error:
        raise CheckpointError(
            f"{folder} holds a {task} model that this code cannot read ({error}): take the code that saved it, or "
            "train the model again"
        ) from error


def loaded(model: TextModel, tensors: dict[str, Tensor]) -> TextModel:
    """A fresh model with saved tensors, on the device that DEVICE names."""
    model.network.load_state_dict(tensors)
    return model.to(settings.device())


def check_texts(texts: Sequence[str], noun: str = "text") -> None:
    """Refuse what is no list of strings.

    Raises:
        TypeError: one string, or an element that is no string (names its position).
    """
    if isinstance(texts, str):
        raise TypeError(f"one string where a list of {noun}s is needed: put it into brackets")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{noun} {i} is {type(text).__name__}, not a string")
