"""The training of `fit` on several devices or machines: Hugging Face Accelerate around it, over torch.distributed.

Every process goes through the same batches in the same order and works on its share of each one. Gradients, losses and
outputs are put together batch by batch, so that `fit`, which knows nothing of it, comes in every process to the
History, the best epoch and the weights of the whole.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from helpers import settings
from helpers.model import training
from helpers.model.recovery import Recovery, Standing, packed, restore
from helpers.model.training import History, Loaders, Step

PRECISIONS = ("no", "bf16")
TIMEOUT = 600.0  # seconds that a process waits for the others before it gives up


class LostProcess(RuntimeError):
    """Another process of this training is gone, or has been silent for too long."""


def threads_per_process() -> int:
    """THREADS, or fewer where the processes of this host would have more threads than cores: they wait spinning."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # set by torchrun
    return max(1, min(settings.threads(), (os.cpu_count() or 1) // processes))


def start(*, cpu: bool = False, mixed_precision: str = "no", timeout: float = TIMEOUT) -> Accelerator:
    """Join the processes that torchrun (or accelerate launch) has started; where none has, train alone.

    Args:
        cpu: leave GPUs alone; without any, the CPU is taken anyway.
        mixed_precision: "bf16" on GPUs, or "no". (float16 would need scaled losses, which `fit` does not know.)
        timeout: seconds without an answer of another process after which it counts as lost.

    Raises:
        ValueError: another precision, or bf16 without a GPU.
    """
    cpu = cpu or not torch.cuda.is_available()
    if mixed_precision not in PRECISIONS:
        raise ValueError(f"mixed precision {mixed_precision!r} is not one of {', '.join(PRECISIONS)}")
    if cpu and mixed_precision != "no":
        raise ValueError(f"mixed precision {mixed_precision!r} needs a GPU: leave it out on the CPU")
    os.environ.setdefault("THREADS", str(threads_per_process()))
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.threads()))  # else Accelerate sets a number of its own
    waiting = InitProcessGroupKwargs(timeout=timedelta(seconds=timeout))
    return Accelerator(cpu=cpu, mixed_precision=mixed_precision, kwargs_handlers=[waiting])


def fit_on(
    engine: Accelerator, model: nn.Module, loaders: Loaders, step: Step, *, on_epoch=None, verbose=False,
    recovery: Recovery | None = None, reduce=None, **options,
) -> History:  # fmt: skip
    """`fit` over all processes: every one calls it with equal arguments and seeds, and gets the same History.

    The batches of the loaders stay what they are, and so do learning rates: each is parted among the processes. The
    loss of a step must be a mean over examples. Where nothing is random (dropout), the numbers are those of one
    process but for rounding; dropout draws other masks in every process. The model comes back on the CPU.

    Args:
        on_epoch, verbose: as in fit, in process 0 alone.
        recovery: as in fit. Process 0 alone writes and reads checkpoints, and tells the others what it read; what they
            pass is left unused. A checkpoint is taken up by any number of processes.
        reduce: from the outputs of a batch to what is kept of them, before they travel (logits to classes, say).
        options: all others of fit.

    Raises:
        LostProcess: another process is gone; the checkpoints stay.
        ValueError: the processes hold data of unequal size.
    """
    first = engine.is_main_process
    with _told_when_lost(engine), _parted_step(engine, model, step, reduce) as whole:
        parted = Loaders(*(None if loader is None else _parted(engine, loader) for loader in loaders))
        return training.fit(
            model, parted, whole, on_epoch=on_epoch if first else None, verbose=verbose and first,
            recovery=_SharedRecovery(engine, recovery if first else None), **options,
        )  # fmt: skip


@dataclass(frozen=True)
class Share:
    """A process's rows of a batch, and of the whole batch what `fit` reads: targets (batch,), rows (batch,).

    weight: what the mean over the share counts in the mean over the batch; 0 where the rows did not suffice for all
    processes (`part` is then a row of another one, for no network reads an empty batch).
    """

    part: object
    targets: Tensor
    rows: Tensor
    weight: float

    def __len__(self) -> int:
        return len(self.rows)


class Shares(Dataset):
    """A data set that gives a process every count-th row of the rows asked for, from the index-th on.

    Accelerate's own way of parting wants batches of one size and repeats rows to get there: batches of equal length
    have many sizes, and a row counted twice would change the numbers.
    """

    def __init__(self, data: Dataset, index: int, count: int):
        self.data, self.index, self.count = data, index, count

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, rows: list[int]) -> Share:
        mine, numbers = rows[self.index :: self.count], torch.as_tensor(rows)
        part = self.data.__getitems__(mine if len(mine) else rows[:1])
        return Share(part, self.data.targets[numbers], numbers, len(mine) / len(rows))


def _parted(engine: Accelerator, loader: DataLoader) -> DataLoader:
    data = loader.dataset
    sizes = engine.gather(torch.tensor([len(data)], device=engine.device)).tolist()
    if len(set(sizes)) > 1:
        raise ValueError(f"the processes hold {', '.join(map(str, sizes))} rows: give all hosts the same data")
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
def _parted_step(engine: Accelerator, model: nn.Module, step: Step, reduce) -> Iterator[Step]:
    """A step on Shares that returns loss and outputs of the whole batch; in training it also exchanges gradients."""
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
        hooks.append(table.register_post_accumulate_grad_hook(lambda moved: _exchange_rows(engine, moved)))

    def whole(judged: nn.Module, batch: Share) -> tuple[Tensor, Tensor]:
        part = _placed(batch.part, engine.device)
        if judged.training:
            with _own_draws(engine):
                loss, outputs = trained(part)
        else:
            with engine.autocast():
                loss, outputs = step(judged, part)
        outputs = outputs.detach() if reduce is None else reduce(outputs.detach())
        return _whole_loss(engine, loss, batch.weight), _whole_outputs(engine, outputs, len(batch))

    try:
        yield whole
    finally:
        for hook in hooks:
            hook.remove()
        model.to("cpu")


def _whole_loss(engine: Accelerator, loss: Tensor, weight: float) -> Tensor:
    parts = engine.gather((loss.detach() * weight).reshape(1))
    # DistributedDataParallel takes the mean of the processes' gradients: what is wanted is their sum
    return _WholeLoss.apply(loss, parts.sum(), weight * engine.num_processes)


def _whole_outputs(engine: Accelerator, outputs: Tensor, size: int) -> Tensor:
    """(own rows, ...) to (size, ...) in the order of the batch, on the CPU."""
    count = engine.num_processes
    gathered = engine.gather(_filled(outputs, -(-size // count)))
    return gathered.unflatten(0, (count, -1)).transpose(0, 1).flatten(0, 1)[:size].cpu()


def _exchange_rows(engine: Accelerator, table: nn.Parameter) -> None:
    """The mean of the processes' row-sparse gradients, which stays row-sparse.

    DistributedDataParallel would reduce sparse tensors under gloo alone (NCCL has no such reduction), and dense ones of
    a large table are gigabytes a batch; the rows met in a batch are few and are simply gathered.
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


def _placed(value, device: torch.device):
    """A batch, or a part of one, on a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if is_dataclass(value):
        return replace(value, **{field.name: _placed(getattr(value, field.name), device) for field in fields(value)})
    return value


@contextmanager
def _own_draws(engine: Accelerator) -> Iterator[None]:
    """Let every process draw other numbers, and torch's generator on the CPU, which checkpoints hold, move alike."""
    seed = int(torch.randint(2**62, ()))
    with torch.random.fork_rng([engine.device] if engine.device.type == "cuda" else []):
        torch.manual_seed(seed + engine.process_index)
        yield


class _SharedRecovery:
    """The checkpoints of process 0, as `fit` uses a Recovery in every process."""

    def __init__(self, engine: Accelerator, kept: Recovery | None):
        self.engine, self.kept = engine, kept

    def tick(self, standing: Standing) -> None:
        if self.kept is not None:
            self.kept.tick(standing)

    def resume(self, standing: Standing) -> bool:
        resumed = self.kept is not None and self.kept.resume(standing)
        found = broadcast(torch.tensor([int(resumed)], device=self.engine.device)).item()
        if found and self.engine.num_processes > 1:
            _bring_to(self.engine, standing)
        return bool(found)


def _bring_to(engine: Accelerator, standing: Standing) -> None:
    """Bring all processes to where process 0 stands."""
    first, device = engine.is_main_process, engine.device
    tensors, description = packed(standing) if first else ({}, {})
    layout = {name: (list(tensor.shape), str(tensor.dtype).split(".")[1]) for name, tensor in tensors.items()}
    content = torch.frombuffer(bytearray(json.dumps([layout, description]).encode()), dtype=torch.uint8).to(device)
    size = int(broadcast(torch.tensor([len(content)], device=device)))
    content = broadcast(content if first else content.new_empty(size))
    layout, description = json.loads(content.cpu().numpy().tobytes())
    for name, (shape, kind) in layout.items():
        empty = torch.empty(shape, dtype=getattr(torch, kind), device=device)
        tensors[name] = broadcast(tensors[name].to(device).contiguous() if first else empty).cpu()
    if not first:
        restore(standing, tensors, description)


@contextmanager
def _told_when_lost(engine: Accelerator) -> Iterator[None]:
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
