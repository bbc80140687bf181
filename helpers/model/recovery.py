"""Training that survives an interruption: checkpoints of everything its numbers depend on, as tensors and JSON."""

import copy
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from helpers import settings
from helpers.files import hash_of, locked, remove, sha256_of
from helpers.model.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from helpers.model.networks import device_of

SLOTS = ("a", "b")  # checkpoints are written to each in turn: a write cut short leaves the other


class Collected:
    """Rows, outputs and targets of all batches of a pass, each in one array that doubles when it is full.

    The arrays stay on the device of the batches until parts() is called. A tensor for each batch would be simpler, but
    thousands of small ones, between the large ones that every step takes and frees, scatter the heap: 4.9 million
    titles took 7 GB that way.
    """

    def __init__(self):
        self._arrays: dict[str, Tensor] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, *, rows: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch: rows (n,), outputs (n, ...), targets (n,)."""
        end = self._count + len(rows)
        for name, new in {"rows": rows, "outputs": outputs, "targets": targets}.items():
            array = self._arrays.get(name)
            if array is None or len(array) < end or array.device != new.device:
                self._arrays[name] = new.new_empty(max(end, 2 * self._count), *new.shape[1:])
                if array is not None:
                    self._arrays[name][: self._count] = array[: self._count]
            self._arrays[name][self._count : end] = new
        self._count = end

    def parts(self) -> dict[str, Tensor]:
        """name -> (len(self), ...) on the CPU, in the order of the batches.

        Raises:
            ValueError: no batch was added.
        """
        if not self._count:
            raise ValueError("no batch: the data set is empty")
        return {name: array[: self._count].cpu() for name, array in self._arrays.items()}


@dataclass
class EpochProgress:
    """How far an epoch is: batches done, what they gave, and seconds."""

    batches: int = 0
    total: float | Tensor = 0.0  # summed loss of the examples
    collected: Collected = field(default_factory=Collected)
    norms: list[float | Tensor] = field(default_factory=list)  # of the gradient of each batch, before clipping
    seconds: float = 0.0
    generators: dict[str, Tensor] | None = None  # of an epoch that was resumed: their states after its last batch


@dataclass
class TrainingState:
    """All that a training depends on; `restore` fills the model, the optimizers and the rest in place.

    Args:
        order: the generator that shuffles the training batches; None where none does.
        order_state: its state when the epoch began, from which the same order is drawn again.
    """

    model: nn.Module
    optimizers: list
    schedulers: list
    average: AveragedModel | None
    order: torch.Generator | None
    rows: list[dict[str, float]] = field(default_factory=list)  # of History
    best: float | None = None
    best_epoch: int = 0
    best_state: dict[str, Tensor] | None = None
    done: EpochProgress = field(default_factory=EpochProgress)
    order_state: Tensor | None = None

    def begin_epoch(self) -> None:
        """Note what the order of an epoch is drawn from, unless the epoch is already under way."""
        if self.order is not None and not self.done.batches:
            self.order_state = self.order.get_state()

    def end_epoch(self) -> None:
        """Begin the next epoch's progress at nothing."""
        self.done = EpochProgress()
        self.order_state = None if self.order is None else self.order.get_state()


class Recovery(AbstractContextManager):
    """The checkpoints of one training.

    As a context manager it locks the folder (a second process with the same training goes without checkpoints), and
    removes the checkpoints when it is left without an exception: the training has ended.

    Args:
        folder: of this training alone.
        identity: what decides the numbers (configuration, seeds, data, versions), as JSON holds it; a checkpoint of
            another identity is refused.
        every: seconds between checkpoints.
        say: receives a (Spanish) line about each checkpoint resumed, or refused and why.

    Example:
        >>> with Recovery("artifacts/recovery/mine", {"seed": 1}) as kept:
        ...     fit(model, loaders, step, recovery=kept, **options)
    """

    def __init__(self, folder: str | Path, identity: dict, *, every: float = 60.0, say: Callable[[str], None] = print):
        self.folder, self.identity = Path(folder), json.loads(json.dumps(identity))
        self.every, self.say = every, say
        self._number, self._last, self._held, self._lock = 0, time.monotonic(), False, ExitStack()

    def __enter__(self) -> "Recovery":
        self._held = self._lock.enter_context(locked(self.folder / "lock", wait=False))
        if not self._held:
            self.say("otro proceso entrena lo mismo: aquí no se guardan puntos de control")
        return self

    def __exit__(self, kind, error, trace) -> None:
        ended = self._held and kind is None
        if ended:
            remove(self.folder)
        self._lock.close()
        if ended:
            remove(self.folder)  # where an open file cannot be removed (Windows) the lock was left
        self._held = False

    def tick(self, state: TrainingState, before: Callable[[], None] | None = None) -> None:
        """Write a checkpoint if the last one is old enough; `before` is called then, and may raise."""
        if self._held and time.monotonic() - self._last >= self.every:
            if before is not None:
                before()
            self.save(state)

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint now, over the older of the two."""
        self._number += 1
        tensors, description = packed(state)
        description |= {"identity": self.identity, "number": self._number}
        save_checkpoint(self.folder / SLOTS[self._number % 2], tensors, description)
        self._last = time.monotonic()

    def resume(self, state: TrainingState) -> bool:
        """Restore the newest checkpoint that is whole and of this training; False where there is none."""
        if not self._held:
            return False
        found = []
        for folder in (self.folder / slot for slot in SLOTS):
            if not folder.is_dir():
                continue
            try:
                tensors, description = load_checkpoint(folder)
                if (theirs := description.get("identity")) != self.identity:
                    changes = ", ".join(_changes("", theirs, self.identity)) if theirs else "it has no identity"
                    raise CheckpointError(f"{folder} is of another training: {changes}")
                found.append((description["number"], tensors, description))
            except CheckpointError as error:
                self.say(f"punto de control rechazado: {error}")
        if not found:
            return False
        self._number, tensors, description = max(found, key=lambda entry: entry[0])
        restore(state, tensors, description)
        self.say(f"entrenamiento retomado: época {len(state.rows) + 1}, {state.done.batches} lotes ya hechos")
        return True


def _changes(name: str, theirs, ours) -> Iterator[str]:
    """What differs between two identities, down to the single file of code."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from _changes(f"{name} {key}".strip(), theirs.get(key), ours.get(key))
    elif theirs != ours:
        yield f"{name} changed" if name.startswith("code ") else f"{name} was {theirs!r}, is {ours!r}"


def batches_left(loader: Iterable, done: EpochProgress, device: torch.device) -> Iterable:
    """The batches of an epoch that are still to come; the generators are then where they were."""
    batches = iter(loader)  # draws from torch's generator
    for _ in range(done.batches):
        next(batches)
    if done.batches and done.generators is not None:
        set_generators(done.generators, device)
    return batches


def generators(device: torch.device) -> dict[str, Tensor]:
    """States of the generators that a training draws from: the CPU's, and on CUDA (dropout) the device's own."""
    states = {"cpu": torch.get_rng_state()}
    return states | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def set_generators(states: dict[str, Tensor], device: torch.device) -> None:
    """Put the generators back into these states."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


def packed(state: TrainingState) -> tuple[dict[str, Tensor], dict]:
    """All that a training depends on, as tensors on the CPU and what JSON holds."""
    s, done = state, state.done
    tensors = _prefixed("model", s.model.state_dict())
    tensors |= _prefixed("best", s.best_state or {})
    tensors |= _prefixed("average", s.average.state_dict() if s.average is not None else {})
    tensors |= _prefixed("generator", generators(device_of(s.model)))
    if s.order_state is not None:
        tensors["order"] = s.order_state
    if len(done.collected):
        tensors |= _prefixed("collected", done.collected.parts())
    optimizers = []
    for number, optimizer in enumerate(s.optimizers):
        content, plain = optimizer.state_dict(), {}
        for index, values in content["state"].items():
            held = {name: value for name, value in values.items() if isinstance(value, Tensor)}
            tensors |= _prefixed(f"optimizer.{number}.{index}", held)
            plain[index] = {name: value for name, value in values.items() if name not in held}
        optimizers.append({"state": plain, "param_groups": content["param_groups"]})
    progress = {"batches": done.batches, "total": float(done.total), "norms": list(map(float, done.norms))}
    description = {
        "progress": progress | {"seconds": done.seconds},
        "optimizers": optimizers,
        "schedulers": [_plain(scheduler.state_dict()) for scheduler in s.schedulers],
        "rows": s.rows, "best": s.best, "best_epoch": s.best_epoch,
    }  # fmt: skip
    # copies: the training goes on, and safetensors refuses two names of one memory
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}, description


def restore(state: TrainingState, tensors: dict[str, Tensor], description: dict) -> None:
    """Bring a training, in place, to where packed() found one."""
    s, device = state, device_of(state.model)
    s.model.load_state_dict(_under("model", tensors))
    s.best_state = _under("best", tensors) or None
    if s.average is not None:
        s.average.load_state_dict(_under("average", tensors))
    for number, (optimizer, saved) in enumerate(zip(s.optimizers, description["optimizers"], strict=True)):
        content = {int(index): copy.copy(values) for index, values in saved["state"].items()}
        for name, tensor in _under(f"optimizer.{number}", tensors).items():
            index, _, key = name.partition(".")
            content.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": content, "param_groups": _tuples(saved["param_groups"])})
    for scheduler, saved in zip(s.schedulers, description["schedulers"], strict=True):
        scheduler.load_state_dict(saved)
    s.done = EpochProgress(**description["progress"], generators=_under("generator", tensors))
    if collected := _under("collected", tensors):
        s.done.collected.add(**collected)
    s.rows[:], s.best, s.best_epoch = description["rows"], description["best"], description["best_epoch"]
    set_generators(s.done.generators, device)
    s.order_state = tensors.get("order")
    if s.order is not None:
        s.order.set_state(s.order_state)


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _plain(content: dict) -> dict:
    """What of a scheduler's state JSON holds; the rest (its functions) the new scheduler already has."""
    return {name: value for name, value in content.items() if _is_plain(value)}


def _is_plain(value) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _tuples(groups: list[dict]) -> list[dict]:
    """Parameter groups as the optimizer wrote them: JSON made lists of the tuples (betas)."""
    return [{k: tuple(v) if isinstance(v, list) and k != "params" else v for k, v in group.items()} for group in groups]


def recovery(task: str, **identity) -> AbstractContextManager[Recovery | None]:
    """Checkpoints of one training in artifacts/recovery, in a folder named by a hash of `identity`.

    Versions, threads, device and all code of this package join the identity: after a change of any of them an
    interrupted training is refused, with what changed, and begins again. Of the processes of one training only the
    first keeps checkpoints; the others get None.

    Args:
        identity: configuration, seeds, data (see files.digest), as JSON holds it.
    """
    if int(os.environ.get("RANK") or 0) > 0:  # as torchrun numbers the processes
        return nullcontext()
    folder = settings.artifacts_dir() / "recovery" / f"{task}-{hash_of(identity)[:16]}"
    identity |= {"versions": settings.versions(), "threads": settings.threads(), "device": settings.device().type}
    return Recovery(folder, identity | {"code": _code()}, every=checkpoint_seconds())


def checkpoint_seconds() -> float:
    """Seconds between checkpoints: CHECKPOINT_SECONDS, by default 60.

    Raises:
        ValueError: it is not a number above 0.
    """
    value = os.environ.get("CHECKPOINT_SECONDS") or "60"
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise settings.WrongValue(f"CHECKPOINT_SECONDS={value!r} is not a number of seconds above 0")
    return seconds


@cache
def _code() -> dict[str, str]:
    """Every source file of the package, with the first digits of its hash, as this process first found them."""
    package = settings.ROOT / "helpers"
    return {p.relative_to(settings.ROOT).as_posix(): sha256_of(p)[:12] for p in sorted(package.rglob("*.py"))}
