"""Training: one epoch, evaluation, and fit with early stopping; every task brings its own step and metrics."""

import copy
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers import settings
from helpers.data.batching import Batch
from helpers.model.networks import device_of
from helpers.model.recovery import Collected, EpochProgress, Recovery, TrainingState, batches_left

if TYPE_CHECKING:
    import pandas as pd

Step = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]  # -> (mean loss of the batch, outputs (batch, ...))
Metrics = Callable[[Tensor, Tensor], dict[str, float]]  # (targets (n,), outputs (n, ...)) on the CPU -> name: value
CHECK_EVERY = 50  # batches between two looks at whether losses and gradients are finite, on CUDA; on the CPU it is 1


class NonFiniteLoss(settings.UserError, RuntimeError):
    """The loss, or the gradient, became NaN or infinite."""


class Evaluation(NamedTuple):
    """loss: mean over examples; outputs (n, ...) and targets (n,) on the CPU, in the order of the rows."""

    loss: float
    outputs: Tensor
    targets: Tensor


class Loaders(NamedTuple):
    """The two sides that fit reads; without a validation side all epochs are run and none is chosen."""

    train: Iterable[Batch]
    valid: Iterable[Batch] | None


@dataclass
class History:
    """One row per epoch: seconds, iterations/s, loss and metrics of both sides."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0

    def frame(self) -> "pd.DataFrame":
        """(epochs, columns)."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    @staticmethod
    def line(row: dict[str, float], epochs: int) -> str:
        """An epoch in one Spanish line."""
        line = f"época {row['epoch']}/{epochs} · {row['seconds']:.1f} s · {row['iterations_per_second']:.1f} it/s"
        shown = {"train_loss": "pérdida", "valid_loss": "pérdida val"}
        shown |= {"train_balanced_accuracy": "exactitud balanceada", "valid_balanced_accuracy": "val"}
        return line + "".join(f" · {name} {row[key]:.4f}" for key, name in shown.items() if key in row)


def classification_step(*, label_smoothing: float = 0.0, class_weights: Tensor | None = None) -> Step:
    """Cross-entropy on logits; the mean is over examples, also where classes are weighted.

    Args:
        class_weights: (classes,) by which the losses of the examples of a class are multiplied.
    """
    weights: dict[torch.device, Tensor] = {}

    def step(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = model(batch)
        losses = nn.functional.cross_entropy(logits, batch.targets, reduction="none", label_smoothing=label_smoothing)
        if class_weights is not None:
            if losses.device not in weights:  # copied once: a copy at every step would wait for the device
                weights[losses.device] = class_weights.to(losses.device)
            losses = losses * weights[losses.device][batch.targets]
        return losses.mean(), logits

    return step


def train_epoch(
    model, loader, step: Step, optimizers, *, schedulers=(), clip=None, average=None, done=None, after_batch=None
) -> tuple[Evaluation, list[float]]:
    """One pass with updates; loss and outputs are those of the pass itself (dropout on, weights moving).

    Args:
        schedulers: stepped after every update; average: AveragedModel updated then.
        clip: largest norm of the whole gradient; None for no clipping.
        done: an EpochProgress that is under way; kept up to date.
        after_batch: called after every update with a function that raises what a check not yet made would raise.

    Returns: the Evaluation, and every batch's gradient norm before clipping (empty where clip is None).
    Raises NonFiniteLoss: names the batch and its rows. On the CPU the weights are those before it; on CUDA, where a
        check waits for the device, it is made every CHECK_EVERY batches and at the end.
    """
    model.train()
    done, device = EpochProgress() if done is None else done, device_of(model)
    finite = _FiniteCheck(CHECK_EVERY if device.type == "cuda" else 1)
    parameters = [p for p in model.parameters() if p.requires_grad]
    start = time.perf_counter() - done.seconds
    for batch in batches_left(loader, done, device):
        batch = batch.to(device)
        loss, outputs = step(model, batch)
        finite.note("loss is {}", loss.detach(), torch.isfinite(loss), done.batches, batch.rows)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        finite.note("the gradient is not finite", None, _all_finite(parameters), done.batches, batch.rows)
        if clip is not None:
            done.norms.append(nn.utils.clip_grad_norm_(parameters, clip))
        for moved in (*optimizers, *schedulers):
            moved.step()
        if average is not None:
            average.update_parameters(model)
        done.total += loss.detach().double() * len(batch)  # exact: the same sum as in Python's floats
        done.collected.add(rows=batch.rows, outputs=outputs.detach(), targets=batch.targets)
        done.batches += 1
        if after_batch is not None:
            done.seconds = time.perf_counter() - start
            after_batch(finite.settle)
    finite.settle()
    evaluation = _in_row_order(done.total, done.collected)  # waits for the device
    done.seconds = time.perf_counter() - start
    return evaluation, [float(norm) for norm in done.norms]


class _FiniteCheck:
    """Raise where a loss or a gradient was not finite, every so many batches: to look at it waits for the device."""

    def __init__(self, every: int):
        self.every, self.open = every, []

    def note(self, problem: str, value: Tensor | None, finite: Tensor | bool, batch: int, rows: Tensor) -> None:
        self.open.append((problem, value, finite, batch, rows))
        if self.every == 1 or len(self.open) >= 2 * self.every:
            self.settle()

    def settle(self) -> None:
        for problem, value, finite, batch, rows in self.open:
            if not finite:
                shown = problem.format(None if value is None else value.item())
                raise NonFiniteLoss(f"{shown} at batch {batch} (rows {rows[:8].tolist()}…)")
        self.open.clear()


def _all_finite(parameters: list[nn.Parameter]) -> Tensor | bool:
    """Are all gradients finite? On CUDA a tensor that answers later."""
    gradients = [p.grad._values() if p.grad.is_sparse else p.grad for p in parameters if p.grad is not None]
    if any(gradient.is_cuda for gradient in gradients):
        return torch.stack([torch.isfinite(gradient).all() for gradient in gradients]).all()
    # one pass instead of four; but a sum of finite ones may overflow
    return all(torch.isfinite(g.sum()) or torch.isfinite(g).all() for g in gradients)


@torch.inference_mode()
def evaluate(model: nn.Module, loader: Iterable[Batch], step: Step) -> Evaluation:
    """Loss and outputs of a whole data set, without updates."""
    model.eval()
    total, collected, device = 0.0, Collected(), device_of(model)
    for batch in loader:
        batch = batch.to(device)
        loss, outputs = step(model, batch)
        total += loss.double() * len(batch)
        collected.add(rows=batch.rows, outputs=outputs, targets=batch.targets)
    return _in_row_order(total, collected)


def _in_row_order(total: float | Tensor, collected: Collected) -> Evaluation:
    rows, outputs, targets = collected.parts().values()
    order = rows.argsort()
    return Evaluation(float(total) / len(rows), outputs[order], targets[order])


def fit(
    model: nn.Module, loaders: Loaders, step: Step, *, optimizers, epochs: int, metrics: Metrics, schedulers=(),
    watch="valid_loss", higher_is_better=False, patience=None, clip=None, ema=None, on_epoch=None, verbose=False,
    recovery: Recovery | None = None,
) -> History:  # fmt: skip
    """Train where the model is, keep the weights that were best on validation, and return what happened.

    Args:
        optimizers: made when the model was already on its device.
        metrics: from targets and outputs to named numbers, computed over all examples of an epoch at once.
        watch: the column of History that decides which epoch is best; ignored without a validation side.
        patience: epochs without improvement before stopping; None never stops early.
        clip: largest gradient norm.
        ema: decay of an exponential moving average of the weights, which is then validated and kept.
        on_epoch: called with every new History row (tracking), and first with those of a training that is resumed.
        verbose: print a line per epoch.
        recovery: keeps checkpoints; an interrupted training ends in the numbers it would have had.

    Example:
        >>> adam = torch.optim.Adam(model.parameters())
        >>> history = fit(model, loaders, classification_step(), optimizers=[adam], epochs=5, metrics=metrics)
    """
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=False) if ema else None
    for copied in average.modules() if ema else ():
        if isinstance(copied, nn.RNNBase):
            copied.flatten_parameters()  # cuDNN wants the weights in one piece, and copies are not
    order = getattr(getattr(loaders.train, "batch_sampler", None), "generator", None)
    state = TrainingState(model, list(optimizers), list(schedulers), average, order)
    history = History(state.rows)

    def report(row: dict[str, float]) -> None:
        if on_epoch is not None:
            on_epoch(row)
        if verbose:
            print(history.line(row, epochs))

    if recovery is not None and recovery.resume(state):
        for row in state.rows:
            report(row)
    while len(state.rows) < epochs:
        if patience is not None and state.best_epoch and len(state.rows) - state.best_epoch >= patience:
            break
        report(_epoch(state, loaders, step, metrics, (watch, higher_is_better), clip, recovery))
    history.best_epoch = state.best_epoch or len(state.rows)
    model.load_state_dict(state.best_state or _validated(state).state_dict())
    return history


def _validated(state: TrainingState) -> nn.Module:
    return state.model if state.average is None else state.average.module


def _epoch(
    state: TrainingState, loaders: Loaders, step: Step, metrics: Metrics, watched: tuple[str, bool],
    clip: float | None, recovery: Recovery | None,
) -> dict[str, float]:  # fmt: skip
    """Train an epoch, or what is left of it, validate it, and return its row of History."""
    s = state
    s.begin_epoch()
    trained, norms = train_epoch(
        s.model, loaders.train, step, s.optimizers, schedulers=s.schedulers, clip=clip, average=s.average, done=s.done,
        after_batch=None if recovery is None else partial(recovery.tick, s),
    )  # fmt: skip
    seconds, batches = s.done.seconds, s.done.batches
    row = {"epoch": len(s.rows) + 1, "seconds": seconds, "iterations_per_second": batches / seconds}
    if norms:
        row |= {"gradient_norm_median": median(norms), "gradient_norm_max": max(norms)}
    row |= _side("train", trained, metrics)
    if loaders.valid is not None:
        found = evaluate(_validated(s), loaders.valid, step)
        if not math.isfinite(found.loss):
            raise NonFiniteLoss(f"validation loss is {found.loss} after epoch {row['epoch']}")
        row |= _side("valid", found, metrics)
        watch, higher_is_better = watched
        score = row[watch] if higher_is_better else -row[watch]
        if s.best is None or score > s.best:
            s.best, s.best_state, s.best_epoch = score, copy.deepcopy(_validated(s).state_dict()), row["epoch"]
    s.rows.append(row)
    s.end_epoch()
    if recovery is not None:
        recovery.tick(s)
    return row


def _side(name: str, evaluation: Evaluation, metrics: Metrics) -> dict[str, float]:
    values = {"loss": evaluation.loss} | metrics(evaluation.targets, evaluation.outputs)
    return {f"{name}_{key}": value for key, value in values.items()}
