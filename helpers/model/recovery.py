"""What the batches of a pass gave, put together as they come. Training that survives interruption: everything it stands on, as tensors and JSON, written every so many seconds. Where the trainings of all tasks keep their checkpoints, and under which name."""

import copy
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from helpers import settings
from helpers.files import hash_of, sha256_of
from helpers.model.checkpoints import CheckpointError, load_checkpoint, save_checkpoint


class Seen:
    """Rows, outputs and targets of all batches so far, each in one array that doubles when it is full.

    A tensor kept for each batch would be cheaper to write, but thousands of small ones, laid between the large ones
    that every step takes and frees, scatter the heap: 4.9 million titles took 7 GB that way.
    """

    def __init__(self):
        self._arrays: dict[str, Tensor] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, *, rows: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Those of a batch: rows (n,), outputs (n, ...), targets (n,)."""
        end = self._count + len(rows)
        for name, part in {"rows": rows, "outputs": outputs, "targets": targets}.items():
            array = self._arrays.get(name)
            if array is None or len(array) < end:
                self._arrays[name] = part.new_empty(max(end, 2 * self._count), *part.shape[1:])
                if array is not None:
                    self._arrays[name][: self._count] = array[: self._count]
            self._arrays[name][self._count : end] = part
        self._count = end

    def parts(self) -> dict[str, Tensor]:
        """name -> (len(self), ...), in the order they came in.

        Raises:
            ValueError: nothing has come in.
        """
        if not self._count:
            raise ValueError("no batch: the data set is empty")
        return {name: array[: self._count] for name, array in self._arrays.items()}


SLOTS = ("a", "b")


@dataclass
class Pass:
    """How far an epoch is: batches done, what they gave, seconds, and torch's generator after the last of them."""

    batches: int = 0
    total: float = 0.0  # summed loss of the examples
    seen: Seen = field(default_factory=Seen)
    norms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    rng: Tensor | None = None


@dataclass
class Standing:
    """Where a training stands. The parts are those that it runs on: `restore` fills them in place.

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
    done: Pass = field(default_factory=Pass)
    order_state: Tensor | None = None

    def begin_epoch(self) -> None:
        """Note what the order of an epoch is drawn from, unless the epoch is already under way."""
        if self.order is not None and not self.done.batches:
            self.order_state = self.order.get_state()

    def end_epoch(self) -> None:
        """Nothing of the next epoch is done."""
        self.done = Pass(rng=torch.get_rng_state())
        self.order_state = None if self.order is None else self.order.get_state()


class Recovery(AbstractContextManager):
    """Checkpoints of one training, in two places written by turns: a write cut short leaves the other.

    As a context manager it holds the folder (a second process that trains the same does without checkpoints), and
    on leaving without an exception the checkpoints are removed: the training is over.

    Args:
        folder: of this training alone.
        identity: what decides the numbers (configuration, seeds, data, versions), as JSON holds it; a checkpoint of
            another identity is refused.
        every: seconds between checkpoints.
        say: told in a (Spanish) line what was taken up, and what was refused and why.
    """

    def __init__(self, folder: Path, identity: dict, *, every: float = 60.0, say: Callable[[str], None] = print):
        self.folder, self.identity = Path(folder), json.loads(json.dumps(identity))
        self.every, self.say = every, say
        self._number, self._last, self._lock = 0, time.monotonic(), None

    def __enter__(self) -> "Recovery":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            self.say("otro proceso entrena lo mismo: aquí no se guardan puntos de control")
        return self

    def __exit__(self, kind, error, trace) -> None:
        if self._lock is None:
            return
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()
        self._lock = None

    def tick(self, standing: Standing) -> None:
        """Write a checkpoint if the last one is old enough."""
        if self._lock is not None and time.monotonic() - self._last >= self.every:
            self.save(standing)

    def save(self, standing: Standing) -> None:
        """Write a checkpoint now, over the older of the two."""
        self._number += 1
        tensors, description = packed(standing)
        description |= {"identity": self.identity, "number": self._number}
        save_checkpoint(self.folder / SLOTS[self._number % 2], tensors, description)
        self._last = time.monotonic()

    def resume(self, standing: Standing) -> bool:
        """Take up the newest checkpoint that is whole and of this training; False where there is none."""
        if self._lock is None:
            return False
        found = []
        for slot in SLOTS:
            if not (self.folder / slot).is_dir():
                continue
            try:
                tensors, description = load_checkpoint(self.folder / slot)
                if description.get("identity") != self.identity:
                    raise CheckpointError(f"{self.folder / slot} is of another training: {self._differs(description)}")
                found.append((description["number"], tensors, description))
            except CheckpointError as error:
                self.say(f"punto de control rechazado: {error}")
        if not found:
            return False
        self._number, tensors, description = max(found, key=lambda entry: entry[0])
        restore(standing, tensors, description)
        self.say(f"entrenamiento retomado: época {len(standing.rows) + 1}, {standing.done.batches} lotes ya hechos")
        return True

    def _differs(self, description: dict) -> str:
        theirs = description.get("identity") or {}
        if not isinstance(theirs, dict):
            return "it has no identity"
        return ", ".join(_changes("", theirs, self.identity))


def _changes(name: str, theirs, ours) -> Iterator[str]:
    """What differs between two identities, down to the single file of code."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from _changes(f"{name} {key}".strip(), theirs.get(key), ours.get(key))
    elif theirs != ours:
        yield f"{name} changed" if name.startswith("code ") else f"{name} was {theirs!r}, is {ours!r}"


def batches_left(loader: Iterable, done: Pass) -> Iterable:
    """The batches of an epoch that are still to come; torch's generator is then where it was."""
    batches = iter(loader)  # draws from torch's generator
    for _ in range(done.batches):
        next(batches)
    if done.batches:
        torch.set_rng_state(done.rng)
    return batches


def packed(standing: Standing) -> tuple[dict[str, Tensor], dict]:
    """All that a training stands on, as tensors and what JSON holds."""
    s, done = standing, standing.done
    tensors = _prefixed("model", s.model.state_dict())
    tensors |= _prefixed("best", s.best_state or {})
    tensors |= _prefixed("average", s.average.state_dict() if s.average is not None else {})
    tensors["rng"] = torch.get_rng_state() if done.rng is None else done.rng
    if s.order_state is not None:
        tensors["order"] = s.order_state
    if len(done.seen):
        tensors |= _prefixed("seen", done.seen.parts())
    moments, optimizers = {}, []
    for number, optimizer in enumerate(s.optimizers):
        state = optimizer.state_dict()
        plain = {}
        for index, values in state["state"].items():
            held = {name: value for name, value in values.items() if isinstance(value, Tensor)}
            moments |= _prefixed(f"optimizer.{number}.{index}", held)
            plain[index] = {name: value for name, value in values.items() if name not in held}
        optimizers.append({"state": plain, "param_groups": state["param_groups"]})
    facts = {"batches": done.batches, "total": done.total, "norms": done.norms, "seconds": done.seconds}
    description = {
        "pass": facts,
        "optimizers": optimizers,
        "schedulers": [_plain(x.state_dict()) for x in s.schedulers],
    }
    description |= {"rows": s.rows, "best": s.best, "best_epoch": s.best_epoch}
    # a tensor that two names share is stored twice: safetensors refuses shared memory
    return {name: tensor.detach().clone() for name, tensor in (tensors | moments).items()}, description


def restore(standing: Standing, tensors: dict[str, Tensor], description: dict) -> None:
    """Bring a training, in place, to where packed() found one."""
    s = standing
    s.model.load_state_dict(_under("model", tensors))
    s.best_state = _under("best", tensors) or None
    if s.average is not None:
        s.average.load_state_dict(_under("average", tensors))
    for number, (optimizer, saved) in enumerate(zip(s.optimizers, description["optimizers"], strict=True)):
        state = {int(index): copy.copy(values) for index, values in saved["state"].items()}
        for name, tensor in _under(f"optimizer.{number}", tensors).items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": _tuples(saved["param_groups"])})
    for scheduler, saved in zip(s.schedulers, description["schedulers"], strict=True):
        scheduler.load_state_dict(saved)
    facts, seen = description["pass"], Seen()
    if parts := _under("seen", tensors):
        seen.add(**parts)
    s.done = Pass(facts["batches"], facts["total"], seen, facts["norms"], facts["seconds"], tensors["rng"])
    s.rows[:], s.best, s.best_epoch = description["rows"], description["best"], description["best_epoch"]
    torch.set_rng_state(tensors["rng"])
    s.order_state = tensors.get("order")
    if s.order is not None:
        s.order.set_state(s.order_state)


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _plain(state: dict) -> dict:
    """The part of a scheduler's state that JSON holds; what else it keeps (its functions) the new one brings along."""
    return {name: value for name, value in state.items() if _is_plain(value)}


def _is_plain(value) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _tuples(groups: list[dict]) -> list[dict]:
    """Parameter groups as the optimizer wrote them: JSON made lists of the tuples (betas)."""
    return [{k: tuple(v) if isinstance(v, list) and k != "params" else v for k, v in group.items()} for group in groups]


def recovery(task: str, **identity) -> AbstractContextManager[Recovery | None]:
    """Checkpoints of one training in artifacts/recovery, in a folder named after what decides its numbers.

    Versions, threads and the code of models and data are part of the identity: a training that was interrupted is
    taken up by the code that began it, or begun again. Of the processes of one training the first alone keeps
    checkpoints; the others get None.

    Args:
        identity: configuration, seeds, data (see digest), as JSON holds it.
    """
    if int(os.environ.get("RANK") or 0) > 0:  # as torchrun numbers the processes
        return nullcontext()
    folder = settings.artifacts_dir() / "recovery" / f"{task}-{hash_of(identity)[:16]}"
    identity |= {"versions": settings.versions(), "threads": settings.threads(), "device": str(settings.device())}
    identity |= {"code": _code()}
    return Recovery(folder, identity, every=checkpoint_seconds())


def checkpoint_seconds() -> float:
    """Seconds between checkpoints: CHECKPOINT_SECONDS, by default 60.

    Raises:
        ValueError: it is no number above 0.
    """
    value = os.environ.get("CHECKPOINT_SECONDS") or "60"
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"CHECKPOINT_SECONDS={value!r} is not a number of seconds above 0")
    return seconds


@cache
def _code() -> dict[str, str]:
    """Every source file of the package, with the first digits of its hash."""
    package = settings.ROOT / "helpers"
    return {p.relative_to(settings.ROOT).as_posix(): sha256_of(p)[:12] for p in sorted(package.rglob("*.py"))}
