"""Training: one epoch, evaluation, and fit with early stopping; every kind of task brings its own step."""

import copy
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.data.batching import Batch

Step = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]  # -> (mean loss of the batch, outputs (batch, ...))
Metrics = Callable[[Tensor, Tensor], dict[str, float]]  # (targets (n,), outputs (n, ...)) -> name: value


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite."""


class Evaluation(NamedTuple):
    """loss: mean over examples; outputs (n, ...) and targets (n,) in the order of the rows of the data set."""

    loss: float
    outputs: Tensor
    targets: Tensor


class Loaders(NamedTuple):
    """The two sides that fit reads; valid may be None: then nothing is watched and all epochs are run."""

    train: Iterable[Batch]
    valid: Iterable[Batch] | None


@dataclass
class History:
    """One row per epoch: seconds, iterations/s, loss and metrics of both sides."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0

    def frame(self) -> pd.DataFrame:
        """(epochs, columns)."""
        return pd.DataFrame(self.rows)

    def last_line(self, epochs: int) -> str:
        """The last epoch in one Spanish line."""
        row = self.rows[-1]
        line = f"época {row['epoch']}/{epochs} · {row['seconds']:.1f} s · {row['iterations_per_second']:.1f} it/s"
        shown = {"train_loss": "pérdida", "valid_loss": "pérdida val"}
        shown |= {"train_balanced_accuracy": "exactitud balanceada", "valid_balanced_accuracy": "val"}
        return line + "".join(f" · {name} {row[key]:.4f}" for key, name in shown.items() if key in row)


def classification_step(*, label_smoothing: float = 0.0, class_weights: Tensor | None = None) -> Step:
    """Cross-entropy on logits; the mean runs over examples, also where classes are weighted."""

    def step(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(batch)
        losses = nn.functional.cross_entropy(logits, batch.targets, reduction="none", label_smoothing=label_smoothing)
        if class_weights is not None:
            losses = losses * class_weights[batch.targets]
        return losses.mean(), logits

    return step


def train_epoch(
    model, loader, step: Step, optimizers, *, schedulers=(), clip=None, average=None
) -> tuple[Evaluation, list[float]]:
    """One pass with updates; loss and outputs are those met on the way (dropout on, weights moving).

    Args:
        schedulers: stepped after every batch.
        clip: largest norm of the whole gradient; None for no clipping.
        average: AveragedModel fed after every update.

    Returns:
        What was met, and the gradient norm of every batch before clipping (empty where clip is None).

    Raises:
        NonFiniteLoss: names the batch and its rows.
    """
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    total, seen, norms = 0.0, [], []
    for number, batch in enumerate(loader):
        loss, outputs = step(model, batch)
        if not torch.isfinite(loss):
            raise NonFiniteLoss(f"loss is {loss.item()} at batch {number} (rows {batch.rows[:8].tolist()}…)")
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if clip is not None:
            norms.append(nn.utils.clip_grad_norm_(parameters, clip).item())
        for moved in (*optimizers, *schedulers):
            moved.step()
        if average is not None:
            average.update_parameters(model)
        total += loss.item() * len(batch)
        seen.append((batch.rows, outputs.detach(), batch.targets))
    return _in_row_order(total, seen), norms


@torch.inference_mode()
def evaluate(model: nn.Module, loader: Iterable[Batch], step: Step) -> Evaluation:
    """Loss and outputs of a whole data set, without updates."""
    model.eval()
    total, seen = 0.0, []
    for batch in loader:
        loss, outputs = step(model, batch)
        total += loss.item() * len(batch)
        seen.append((batch.rows, outputs, batch.targets))
    return _in_row_order(total, seen)


def _in_row_order(total: float, seen: list[tuple[Tensor, Tensor, Tensor]]) -> Evaluation:
    rows, outputs, targets = (torch.cat(part) for part in zip(*seen, strict=True))
    order = rows.argsort()
    return Evaluation(total / len(rows), outputs[order], targets[order])


def fit(
    model: nn.Module, loaders: Loaders, step: Step, *, optimizers, epochs: int, metrics: Metrics, schedulers=(),
    watch="valid_loss", higher_is_better=False, patience=None, clip=None, ema=None, on_epoch=None, verbose=False,
) -> History:  # fmt: skip
    """Train, keep the weights that were best on validation, and return what happened.

    Args:
        metrics: from targets and outputs to named numbers, computed over all examples of an epoch at once.
        watch: the column of History that decides which epoch is best; ignored without a validation side.
        patience: epochs without improvement before stopping; None never stops early.
        clip: largest gradient norm.
        ema: decay of an exponential moving average of the weights, which is then what is validated and kept.
        on_epoch: called with every new History row (tracking).
        verbose: print a line per epoch.
    """
    history, best, best_state = History(), None, None
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=False) if ema else None
    judged = average.module if ema else model
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        met, norms = train_epoch(
            model, loaders.train, step, optimizers, schedulers=schedulers, clip=clip, average=average
        )
        row = {"epoch": epoch} | _speed(len(loaders.train), time.perf_counter() - start) | _norms(norms)
        row |= _side("train", met, metrics)
        if loaders.valid is not None:
            row |= _side("valid", evaluate(judged, loaders.valid, step), metrics)
            score = row[watch] if higher_is_better else -row[watch]
            if best is None or score > best:
                best, best_state, history.best_epoch = score, copy.deepcopy(judged.state_dict()), epoch
        history.rows.append(row)
        if on_epoch is not None:
            on_epoch(row)
        if verbose:
            print(history.last_line(epochs))
        if patience is not None and best is not None and epoch - history.best_epoch >= patience:
            break
    history.best_epoch = history.best_epoch or len(history.rows)
    model.load_state_dict(best_state or judged.state_dict())
    return history


def _speed(iterations: int, seconds: float) -> dict[str, float]:
    return {"seconds": seconds, "iterations_per_second": iterations / seconds}


def _norms(norms: list[float]) -> dict[str, float]:
    return {"gradient_norm_median": median(norms), "gradient_norm_max": max(norms)} if norms else {}


def _side(name: str, evaluation: Evaluation, metrics: Metrics) -> dict[str, float]:
    values = {"loss": evaluation.loss} | metrics(evaluation.targets, evaluation.outputs)
    return {f"{name}_{key}": value for key, value in values.items()}
