"""How everything is timed here: sides in turn, medians, and a warning where the machine is not idle."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import psutil
from torch.utils.data import DataLoader

OTHERS = 0.05  # share of all cores' time that other processes may use
Side = Callable[[], float]  # runs one round and returns how much it did


@dataclass(frozen=True)
class Sizes:
    """How much is run; results/bench.json was made with the defaults."""

    rounds: int = 5
    warm_up: int = 1  # rounds that are run and not counted
    titles: int | None = None  # MeLi titles, None for all
    cleaned: int = 20_000  # titles in a round of cleaning
    batches: int = 60  # batches in a round of training
    trained: int = 8_192  # titles in a round of training on a device
    inferred: int = 6_000  # titles in a round of inference
    singles: int = 1_000  # titles in a round of single predictions
    gemm: int = 2_048  # side of the square matrices
    passing_epochs: int | None = None  # at most, None for the configuration's
    rows: int | None = None  # SMS messages and SICK pairs, None for all
    against: str = "8d8bed5"  # commit whose start-up is compared with


QUICK = Sizes(
    rounds=1, warm_up=1, titles=1_000, cleaned=50, batches=2, trained=256, inferred=40, singles=3, gemm=128,
    passing_epochs=1, rows=100,
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A line of the table: our number, beside a reference where there is one.

    Args:
        name: of the metrics, "meli.training".
        what: description for a reader.
        unit: of both numbers.
        goal: of the factor by which we are better, where there is a reference; else of our number.
        lower_is_better: seconds; else rates.
    """

    name: str
    what: str
    unit: str
    ours: float
    reference: float | None = None
    goal: float | None = None
    lower_is_better: bool = False

    @property
    def factor(self) -> float | None:
        """How many times better than the reference; None without a reference."""
        if self.reference is None:
            return None
        return self.reference / self.ours if self.lower_is_better else self.ours / self.reference

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.goal is None:
            return None
        if self.factor is None and self.lower_is_better:
            return self.ours <= self.goal
        return (self.ours if self.factor is None else self.factor) >= self.goal

    def metrics(self) -> dict[str, float]:
        """Its numbers by name, for the results."""
        values = {"ours": self.ours, "reference": self.reference, "factor": self.factor}
        return {f"{self.name}.{key}": float(value) for key, value in values.items() if value is not None}


@dataclass(frozen=True)
class Outcome:
    """What a comparison found.

    Args:
        rows: of the table.
        details: the measurements behind them, for JSON: rounds, profiles.
        data: of describe_data().
        notes: printed below the table.
    """

    rows: list[Row]
    details: dict
    data: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Rounds:
    """The counted rounds of a side: (how much was done, seconds) of each."""

    measured: list[tuple[float, float]]

    @property
    def rate(self) -> float:
        """Amount per second, the median over the rounds."""
        return median(amount / seconds for amount, seconds in self.measured)


def alternate(sides: Mapping[str, Side], sizes: Sizes) -> dict[str, Rounds]:
    """Time the sides in turn, round by round, after warm-up; every other round runs them in the opposite order."""
    for _ in range(sizes.warm_up):
        for side in sides.values():
            side()
    measured = {name: [] for name in sides}
    for number in range(sizes.rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            gc.collect()
            start = time.perf_counter()
            amount = sides[name]()
            measured[name].append((float(amount), time.perf_counter() - start))
    return {name: Rounds(rounds) for name, rounds in measured.items()}


def details(rounds: Mapping[str, Rounds]) -> dict:
    """The rounds, for JSON."""
    return {"rounds": {name: side.measured for name, side in rounds.items()}}


def windows(loader: DataLoader, lengths: np.ndarray, batches: int, *, seed: int) -> Iterator[DataLoader]:
    """Yield for ever loaders of about so many batches, each with the mix of widths of a whole epoch.

    Args:
        loader: its batch_sampler is asked once, for the batches of one epoch.
        lengths: of all rows of its data set.
    """
    drawn = sorted(loader.batch_sampler, key=lambda rows: (lengths[rows].max(), len(rows)))
    step, rng = max(1, len(drawn) // batches), np.random.default_rng(seed)
    while True:
        for first in range(step):
            chosen = drawn[first::step]
            order = rng.permutation(len(chosen))
            yield DataLoader(loader.dataset, batch_sampler=[chosen[i] for i in order], collate_fn=loader.collate_fn)


class Watch:
    """Measures what other processes do from its creation on."""

    def __init__(self):
        self.begin = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Seconds of CPU: available, used, used by this process and its finished children."""
        times, own = psutil.cpu_times(), psutil.Process().cpu_times()
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # user and nice contain them
        total = sum(times) - guests
        used = own.user + own.system + own.children_user + own.children_system
        return total, total - times.idle - getattr(times, "iowait", 0.0), used

    def others(self) -> float:
        """Share of all cores' time that went to other processes, 0 to 1."""
        total, busy, own = (now - before for now, before in zip(self._now(), self.begin, strict=True))
        return min(1.0, max(0.0, (busy - own) / total)) if total > 0 else 0.0


def others_now(seconds: float = 1.0) -> float:
    """Share of all cores' time that other processes use during a short sleep."""
    watch = Watch()
    time.sleep(seconds)
    return watch.others()


def warning(when: str, others: float, load: float = 0.0) -> str | None:
    """A loud warning where the machine is not idle; None where it is.

    Args:
        when: "before meli.cleaning".
        others: from others_now() or Watch.others().
        load: 1 minute load average before anything of ours ran.
    """
    if others <= OTHERS and load <= 1:
        return None
    busy = f"other processes use {others:.0%} of the cores" + (f", load {load:.2f}" if load else "")
    return "\n".join(["!" * 100, f"!!! NOT IDLE {when}: {busy}. THESE TIMINGS MEAN LITTLE.", "!" * 100])


def table(rows: list[Row]) -> str:
    """The rows in aligned columns."""
    lines = [("what", "unit", "reference", "ours", "factor", "goal", "reached")]
    for row in rows:
        goal = (
            "" if row.goal is None else f"{'<=' if row.factor is None and row.lower_is_better else '>='} {row.goal:g}"
        )
        reached = {None: "", True: "yes", False: "NO"}[row.reached]
        lines.append(
            (row.what, row.unit, _number(row.reference), _number(row.ours), _number(row.factor), goal, reached)
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    left = ("<", "<", ">", ">", ">", ">", "<")
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, left, widths, strict=True)).rstrip()
        for line in lines
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
