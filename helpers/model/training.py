"""Training: one epoch, evaluation, and fit with early stopping; every kind of task brings its own step."""

import copy
import math
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
from helpers.model.recovery import Pass, Recovery, Seen, Standing, batches_left

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

    @staticmethod
    def line(row: dict[str, float], epochs: int) -> str:
        """An epoch in one Spanish line."""
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
            losses = losses * class_weights.to(losses.device)[batch.targets]
        return losses.mean(), logits

    return step


def train_epoch(
    model, loader, step: Step, optimizers, *, schedulers=(), clip=None, average=None, done=None, after_batch=None
) -> tuple[Evaluation, list[float]]:
    """One pass with updates; loss and outputs are those met on the way (dropout on, weights moving).

    Args:
        schedulers, after_batch: stepped, and called, after every update; average: AveragedModel fed then.
        clip: largest norm of the whole gradient; None for no clipping.
        done: a Pass that is under way; kept up to date.

    Returns: what was met, and every batch's gradient norm before clipping (empty where clip is None).
    Raises NonFiniteLoss: names the batch and its rows; the weights are those before it.
    """
    model.train()
    done = Pass() if done is None else done
    parameters = [p for p in model.parameters() if p.requires_grad]
    start = time.perf_counter() - done.seconds
    for batch in batches_left(loader, done):
        loss, outputs = step(model, batch)
        if not torch.isfinite(loss):
            raise NonFiniteLoss(f"loss is {loss.item()} at batch {done.batches} (rows {batch.rows[:8].tolist()}…)")
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if not all(_is_finite(p.grad) for p in parameters if p.grad is not None):
            raise NonFiniteLoss(f"the gradient is not finite at batch {done.batches} (rows {batch.rows[:8].tolist()}…)")
        if clip is not None:
            done.norms.append(nn.utils.clip_grad_norm_(parameters, clip).item())
        for moved in (*optimizers, *schedulers):
            moved.step()
        if average is not None:
            average.update_parameters(model)
        done.total += loss.item() * len(batch)
        done.seen.add(rows=batch.rows, outputs=outputs.detach(), targets=batch.targets)
        done.batches += 1
        if after_batch is not None:
            done.seconds, done.rng = time.perf_counter() - start, torch.get_rng_state()
            after_batch()
    done.seconds = time.perf_counter() - start
    return _in_row_order(done.total, done.seen), done.norms


def _is_finite(gradient: Tensor) -> bool:
    values = gradient._values() if gradient.is_sparse else gradient
    if torch.isfinite(values.sum()):  # one pass instead of four; a sum of finite ones may overflow
        return True
    return bool(torch.isfinite(values).all())


@torch.inference_mode()
def evaluate(model: nn.Module, loader: Iterable[Batch], step: Step) -> Evaluation:
    """Loss and outputs of a whole data set, without updates."""
    model.eval()
    total, seen = 0.0, Seen()
    for batch in loader:
        loss, outputs = step(model, batch)
        total += loss.item() * len(batch)
        seen.add(rows=batch.rows, outputs=outputs, targets=batch.targets)
    return _in_row_order(total, seen)


def _in_row_order(total: float, seen: Seen) -> Evaluation:
    rows, outputs, targets = seen.parts().values()
    order = rows.argsort()
    return Evaluation(total / len(rows), outputs[order], targets[order])


def fit(
    model: nn.Module, loaders: Loaders, step: Step, *, optimizers, epochs: int, metrics: Metrics, schedulers=(),
    watch="valid_loss", higher_is_better=False, patience=None, clip=None, ema=None, on_epoch=None, verbose=False,
    recovery: Recovery | None = None,
) -> History:  # fmt: skip
    """Train, keep the weights that were best on validation, and return what happened.

    Args:
        metrics: from targets and outputs to named numbers, computed over all examples of an epoch at once.
        watch: the column of History that decides which epoch is best; ignored without a validation side.
        patience: epochs without improvement before stopping; None never stops early.
        clip: largest gradient norm.
        ema: decay of an exponential moving average of the weights, which is then what is validated and kept.
        on_epoch: called with every new History row (tracking), and first with those of a training that is resumed.
        verbose: print a line per epoch.
        recovery: keeps checkpoints; a training that was interrupted goes on to the very numbers it would have had.
    """
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=False) if ema else None
    judged = average.module if ema else model
    order = getattr(getattr(loaders.train, "batch_sampler", None), "generator", None)
    standing = Standing(model, list(optimizers), list(schedulers), average, order)
    history = History(standing.rows)

    def tell(row: dict[str, float]) -> None:
        if on_epoch is not None:
            on_epoch(row)
        if verbose:
            print(history.line(row, epochs))

    if recovery is not None and recovery.resume(standing):
        for row in standing.rows:
            tell(row)
    while len(standing.rows) < epochs:
        if patience is not None and standing.best_epoch and len(standing.rows) - standing.best_epoch >= patience:
            break
        tell(_epoch(standing, loaders, step, metrics, judged, (watch, higher_is_better), clip, recovery))
    history.best_epoch = standing.best_epoch or len(standing.rows)
    model.load_state_dict(standing.best_state or judged.state_dict())
    return history


def _epoch(
    standing: Standing, loaders: Loaders, step: Step, metrics: Metrics, judged: nn.Module, watched: tuple[str, bool],
    clip: float | None, recovery: Recovery | None,
) -> dict[str, float]:  # fmt: skip
    """Train an epoch, or what is left of it, judge it, and return its row of History."""
    s = standing
    s.begin_epoch()
    met, norms = train_epoch(
        s.model, loaders.train, step, s.optimizers, schedulers=s.schedulers, clip=clip, average=s.average, done=s.done,
        after_batch=None if recovery is None else lambda: recovery.tick(s),
    )  # fmt: skip
    row = {"epoch": len(s.rows) + 1} | _speed(s.done.batches, s.done.seconds) | _norms(norms)
    row |= _side("train", met, metrics)
    if loaders.valid is not None:
        judgement = evaluate(judged, loaders.valid, step)
        if not math.isfinite(judgement.loss):
            raise NonFiniteLoss(f"validation loss is {judgement.loss} after epoch {row['epoch']}")
        row |= _side("valid", judgement, metrics)
        watch, higher_is_better = watched
        score = row[watch] if higher_is_better else -row[watch]
        if s.best is None or score > s.best:
            s.best, s.best_state, s.best_epoch = score, copy.deepcopy(judged.state_dict()), row["epoch"]
    s.rows.append(row)
    s.end_epoch()
    if recovery is not None:
        recovery.tick(s)
    return row


def _speed(iterations: int, seconds: float) -> dict[str, float]:
    return {"seconds": seconds, "iterations_per_second": iterations / seconds}


def _norms(norms: list[float]) -> dict[str, float]:
    return {"gradient_norm_median": median(norms), "gradient_norm_max": max(norms)} if norms else {}


def _side(name: str, evaluation: Evaluation, metrics: Metrics) -> dict[str, float]:
    values = {"loss": evaluation.loss} | metrics(evaluation.targets, evaluation.outputs)
    return {f"{name}_{key}": value for key, value in values.items()}
