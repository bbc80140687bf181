"""`fit` on several devices or machines: Hugging Face Accelerate around it, over torch.distributed.

Every process goes through the same batches in the same order and works on its share of each. Gradients, losses and
outputs are combined batch by batch, so that `fit`, which knows nothing of it, arrives in every process at the History,
the best epoch and the weights of the whole.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from helpers import settings
from helpers.data.batching import Batch, SentenceBatch
from helpers.model import training
from helpers.model.recovery import Recovery, TrainingState, packed, restore
from helpers.model.training import History, Loaders, Step

PRECISIONS = ("no", "bf16")
TIMEOUT = 600.0  # seconds that a process waits for the others


class LostProcess(settings.UserError, RuntimeError):
    """Another process of this training is gone, or has been silent for too long."""


def threads_per_process() -> int:
    """THREADS, or fewer where the processes of this host would have more threads than cores."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # set by torchrun
    return max(1, min(settings.threads(), (os.cpu_count() or 1) // processes))


def start(*, cpu: bool = False, mixed_precision: str = "no", timeout: float = TIMEOUT) -> Accelerator:
    """Join the processes that torchrun (or accelerate launch) has started; without them, train in this one alone.

    DEVICE is set to this process's device.

    Args:
        cpu: leave GPUs alone, as DEVICE=cpu does.
        mixed_precision: "bf16" on GPUs, or "no". (float16 would need scaled losses, which `fit` does not know.)
        timeout: seconds without an answer of another process after which it counts as lost.

    Raises:
        ValueError: another precision, or bf16 without a GPU.
    """
    cpu = cpu or settings.device().type == "cpu"
    if mixed_precision not in PRECISIONS:
        raise settings.WrongValue(f"mixed precision {mixed_precision!r} is not one of {', '.join(PRECISIONS)}")
    if cpu and mixed_precision != "no":
        raise settings.WrongValue(f"mixed precision {mixed_precision!r} needs a GPU: leave it out on the CPU")
    os.environ.setdefault("THREADS", str(threads_per_process()))
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.threads()))  # else Accelerate sets a number of its own
    waiting = InitProcessGroupKwargs(timeout=timedelta(seconds=timeout))
    engine = Accelerator(cpu=cpu, mixed_precision=mixed_precision, kwargs_handlers=[waiting])
    os.environ["DEVICE"] = "cpu" if engine.device.type == "cpu" else str(engine.device)  # not Accelerate's cpu:0
    return engine


def fit_on(
    engine: Accelerator, model: nn.Module, loaders: Loaders, step: Step, *, on_epoch=None, verbose=False,
    recovery: Recovery | None = None, reduce=None, **options,
) -> History:  # fmt: skip
    """`fit` over all processes: every one calls it with equal arguments and seeds, and gets the same History.

    Batches and learning rates stay what they are: each batch is divided among the processes. The loss of a step must be
    a mean over examples. Without dropout the numbers are those of one process up to rounding; dropout draws other
    masks in every process.

    Args:
        on_epoch, verbose: as in fit, in process 0 alone.
        recovery: as in fit. Process 0 alone writes and reads checkpoints, and sends the others what it read. Any number
            of processes can resume a checkpoint.
        reduce: from the outputs of a batch to what is kept of them, before they are exchanged (logits to classes, say).
        options: all others of fit.

    Example:
        >>> sms.train("lstm", split_seed=1, trainer=partial(fit_on, start()))

    Raises:
        LostProcess: another process is gone; the checkpoints stay.
        ValueError: the processes hold data of unequal size.
    """
    first = engine.is_main_process
    with _naming_lost(engine), _divided_step(engine, model, step, reduce) as whole:
        divided = Loaders(*(None if loader is None else _divided(engine, loader) for loader in loaders))
        return training.fit(
            model, divided, whole, on_epoch=on_epoch if first else None, verbose=verbose and first,
            recovery=_SharedRecovery(engine, recovery if first else None), **options,
        )  # fmt: skip


@dataclass(frozen=True)
class Share:
    """A process's rows of a batch, and of the whole batch what `fit` reads: targets (batch,), rows (batch,).

    weight: of the mean over the share in the mean over the batch; 0 where there were fewer rows than processes (`part`
    is then a row of another process: no network reads an empty batch).
    """

    part: Batch | SentenceBatch
    targets: Tensor
    rows: Tensor
    weight: float

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device) -> "Share":
        """The same with this process's rows on a device."""
        return replace(self, part=self.part.to(device))


class Shares(Dataset):
    """A data set that gives a process every count-th of the rows that are asked for, from the index-th on.

    Accelerate's own division needs batches of one size and repeats rows to get there: batches of equal length have many
    sizes, and a row counted twice would change the numbers.
    """

    def __init__(self, data: Dataset, index: int, count: int):
        self.data, self.index, self.count = data, index, count

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, rows: list[int]) -> Share:
        mine, numbers = rows[self.index :: self.count], torch.as_tensor(rows)
        part = self.data.__getitems__(mine if len(mine) else rows[:1])
        return Share(part, self.data.targets[numbers], numbers, len(mine) / len(rows))


def _divided(engine: Accelerator, loader: DataLoader) -> DataLoader:
    data = loader.dataset
    sizes = engine.gather(torch.tensor([len(data)], device=engine.device)).tolist()
    if len(set(sizes)) > 1:
        raise settings.WrongValue(f"the processes hold {', '.join(map(str, sizes))} rows: give all hosts the same data")
    shares = Shares(data, engine.process_index, engine.num_processes)
    return DataLoader(shares, batch_sampler=loader.batch_sampler, collate_fn=loader.collate_fn)


class _Stepping(nn.Module):
    """A step as a module, for that is what DistributedDataParallel wraps."""

    def __init__(self, network: nn.Module, step: Step):
        super().__init__()
        self.network, self.step = network, step

    def forward(self, part) -> tuple[Tensor, Tensor]:
        return self.step(self.network, part)


class _WholeLoss(torch.autograd.Function):
    """The loss of the whole batch, with the gradient that this process owes to it."""

    @staticmethod
    def forward(ctx, own: Tensor, whole: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return whole.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * ctx.factor, None, None


@contextmanager
def _divided_step(engine: Accelerator, model: nn.Module, step: Step, reduce) -> Iterator[Step]:
    """A step on Shares with loss and outputs of the whole batch; in training it also exchanges gradients."""
    stepping = _Stepping(model, step)
    tables = {
        f"network.{name}.weight": module.weight
        for name, module in model.named_modules()
        if getattr(module, "sparse", False) and module.weight.requires_grad
    }
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(stepping, list(tables))
    trained = engine.prepare_model(stepping)
    hooks = []
    for table in tables.values() if engine.num_processes > 1 else ():
        broadcast(table.data)
        hooks.append(table.register_post_accumulate_grad_hook(partial(_exchange_rows, engine)))

    def whole(network: nn.Module, batch: Share) -> tuple[Tensor, Tensor]:
        if network.training:
            with _own_draws(engine):
                loss, outputs = trained(batch.part)
        else:
            with engine.autocast():
                loss, outputs = step(network, batch.part)
        outputs = outputs.detach() if reduce is None else reduce(outputs.detach())
        return _whole_loss(engine, loss, batch.weight), _whole_outputs(engine, outputs, len(batch))

    try:
        yield whole
    finally:
        for hook in hooks:
            hook.remove()


def _whole_loss(engine: Accelerator, loss: Tensor, weight: float) -> Tensor:
    parts = engine.gather((loss.detach() * weight).reshape(1))
    # DistributedDataParallel takes the mean of the processes' gradients: what is needed is their sum
    return _WholeLoss.apply(loss, parts.sum(), weight * engine.num_processes)


def _whole_outputs(engine: Accelerator, outputs: Tensor, size: int) -> Tensor:
    """(own rows, ...) to (size, ...) in the order of the batch, on the CPU."""
    count = engine.num_processes
    gathered = engine.gather(_filled(outputs, -(-size // count)))
    return gathered.unflatten(0, (count, -1)).transpose(0, 1).flatten(0, 1)[:size].cpu()


def _exchange_rows(engine: Accelerator, table: nn.Parameter) -> None:
    """The mean of the processes' row-sparse gradients, which stays row-sparse.

    DistributedDataParallel reduces sparse tensors only with gloo (NCCL cannot), and dense ones of a large table are
    gigabytes a batch; the rows of a batch are few and are gathered.
    """
    gradient = table.grad.coalesce()
    counts = engine.gather(torch.tensor([gradient.values().size(0)], device=engine.device))
    longest = int(counts.max())
    if longest == 0:
        return
    held = torch.arange(longest, device=engine.device) < counts.unsqueeze(1)  # (processes, longest)
    indices, values = (
        engine.gather(_filled(part, longest)).unflatten(0, held.shape)[held]
        for part in (gradient.indices()[0], gradient.values())
    )
    mean = values / engine.num_processes
    table.grad = torch.sparse_coo_tensor(indices.unsqueeze(0), mean, table.shape, check_invariants=False)


def _filled(tensor: Tensor, size: int) -> Tensor:
    """(n, ...) to (size, ...), with zeros at the end: processes gather tensors of one shape."""
    filled = tensor.new_zeros(size, *tensor.shape[1:])
    filled[: len(tensor)] = tensor
    return filled


@contextmanager
def _own_draws(engine: Accelerator) -> Iterator[None]:
    """Let every process draw other numbers, while torch's CPU generator, which checkpoints hold, moves alike in all."""
    seed = int(torch.randint(2**62, ()))
    with torch.random.fork_rng([engine.device] if engine.device.type == "cuda" else []):
        torch.manual_seed(seed + engine.process_index)
        yield


class _SharedRecovery:
    """The checkpoints of process 0, as `fit` uses a Recovery in every process."""

    def __init__(self, engine: Accelerator, kept: Recovery | None):
        self.engine, self.kept = engine, kept

    def tick(self, state: TrainingState, before=None) -> None:
        if self.kept is not None:
            self.kept.tick(state, before)

    def resume(self, state: TrainingState) -> bool:
        resumed = self.kept is not None and self.kept.resume(state)
        found = broadcast(torch.tensor([int(resumed)], device=self.engine.device)).item()
        if found and self.engine.num_processes > 1:
            _send_state(self.engine, state)
        return bool(found)


def _send_state(engine: Accelerator, state: TrainingState) -> None:
    """Bring all processes to the state of process 0."""
    first, device = engine.is_main_process, engine.device
    tensors, description = packed(state) if first else ({}, {})
    layout = {name: (list(tensor.shape), str(tensor.dtype).split(".")[1]) for name, tensor in tensors.items()}
    content = torch.frombuffer(bytearray(json.dumps([layout, description]).encode()), dtype=torch.uint8).to(device)
    size = int(broadcast(torch.tensor([len(content)], device=device)))
    content = broadcast(content if first else content.new_empty(size))
    layout, description = json.loads(content.cpu().numpy().tobytes())
    for name, (shape, kind) in layout.items():
        empty = torch.empty(shape, dtype=getattr(torch, kind), device=device)
        tensors[name] = broadcast(tensors[name].to(device).contiguous() if first else empty).cpu()
    if not first:
        restore(state, tensors, description)


@contextmanager
def _naming_lost(engine: Accelerator) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, torch.distributed.DistError) or "gloo" in str(error)):
            raise
        place = f"process {engine.process_index} of {engine.num_processes}"
        raise LostProcess(
            f"{place} lost another one ({str(error).splitlines()[0]}): start all of them again with the same command, "
            "and training goes on from its last checkpoint"
        ) from error
