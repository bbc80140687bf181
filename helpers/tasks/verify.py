"""Every committed number made again: notebooks executed, sampled rows run, all compared. Resumable, one by one."""

import fcntl
import json
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from helpers import settings
from helpers.report.results import write_text
from helpers.report.verify import Check, compare, numbers, told, write_report
from helpers.report.verify_origin import MACHINE, machine
from helpers.tasks.studies import Study
from helpers.tasks.verify_units import Place, Unit, environment, plan

SCHEMA = 1
ROWS = 2  # of every study
say = partial(print, flush=True)


def verify(
    studies: Mapping[str, Study],
    place: Place | None = None,
    *,
    only: Collection[str] = (),
    rows: int = ROWS,
    threads: int | None = None,
    fresh: bool = False,
) -> tuple[list[Check], Path]:
    """Run again what the committed numbers come from, compare, and write the report.

    Stopped at any moment it loses at most what is under way: started again it goes on from there, as long as code,
    data, notebook, threads and machine are the same.

    Args:
        studies: by name, all there are.
        place: of the committed numbers and of the folder to work in.
        only: notebooks ("01_eda") and studies to look at; none means all.
        rows: sampled of every study.
        threads: None for those that the committed numbers were made with.
        fresh: forget what earlier runs have done.

    Returns:
        The comparisons, and the report: verify.json beside the committed results, in the working folder with `only`.

    Raises:
        ValueError: an unknown name, another run at work, an unreadable state.
        SourceError: real data cannot be had.
    """
    place = place or Place()
    with _alone(place.build, fresh), environment({"PROFILE": "full"}):
        units, absent = plan(place, studies, only=only, rows=rows, threads=threads)
        if machine() != MACHINE:
            say(f"the numbers were made on {MACHINE}; this is {machine()}: they may be off by their deviation")
        checks, took = _run_all(units, place.build / "state.json")
        checks += absent
        info = {"threads": threads or "as recorded", "rows_per_study": rows} | _times(took, place)
        folder = place.build if only else place.committed
        return checks, write_report(folder / "verify.json", checks, _here() | info)


def _here() -> dict:
    facts = {"machine": machine(), "made_on": MACHINE, "versions": settings.versions()}
    return facts | {"seed": settings.SEED, "date": time.strftime("%Y-%m-%d")}


def _times(took: Mapping[str, float], place: Place) -> dict:
    notebooks = {path.stem for path in place.notebooks.glob("*.ipynb")}
    apart = {name: round(seconds) for name, seconds in took.items() if name in notebooks}
    return {"seconds": round(sum(took.values())), "notebook_seconds": apart}


def _run_all(units: list[Unit], path: Path) -> tuple[list[Check], dict[str, float]]:
    """All comparisons, and the seconds that each run took, also those of earlier calls."""
    state = _read_state(path)
    say(f"notebooks and rows: {len(units)}, run before: {sum(unit.key in state for unit in units)}")
    left = sum(unit.seconds for unit in units if unit.key not in state)
    checks, expected, spent = [], 0.0, 0.0
    for number, unit in enumerate(units, start=1):
        head = f"[{number}/{len(units)}] {unit.name}"
        if known := state.get(unit.key):
            found = _compared(unit, known["metrics"])
        else:
            say(f"{head} … ({duration(left * (spent / expected if expected else 1.0))} left in all)")
            start = time.perf_counter()
            found = _run_one(unit, state, path)
            spent, expected = spent + time.perf_counter() - start, expected + unit.seconds
            left -= unit.seconds
        say(f"{head}: {told(found)}{' (run before)' if known else ''}")
        checks += found
    return checks, {unit.name: state[unit.key]["seconds"] for unit in units if unit.key in state}


def _run_one(unit: Unit, state: dict[str, dict], path: Path) -> list[Check]:
    """Run, keep and compare; a run that fails is a finding, is not kept, and does not end the others."""
    start = time.perf_counter()
    try:
        metrics = numbers(unit.run())
    except KeyboardInterrupt:
        say("stopped; what is done is kept, and the same command goes on from here")
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".replace(f"{settings.ROOT}/", "")
        return [Check("run", unit.name, None, reason, "failed")]
    state[unit.key] = {"name": unit.name, "metrics": metrics, "seconds": time.perf_counter() - start}
    write_text(path, json.dumps({"schema": SCHEMA, "done": state}, indent=1) + "\n")
    return _compared(unit, metrics)


def _compared(unit: Unit, metrics: Mapping[str, float]) -> list[Check]:
    options = {"digits": unit.digits, "exact": unit.exact, "deviations": unit.deviations}
    return compare(unit.name, unit.committed, metrics, **options)


def _read_state(path: Path) -> dict[str, dict]:
    """key -> what that run gave."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}")
        return {
            key: {name: entry[name] for name in ("name", "metrics", "seconds")}
            for key, entry in content["done"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} cannot be read ({error}): begin again with --fresh") from None


@contextmanager
def _alone(build: Path, fresh: bool) -> Iterator[None]:
    """Hold the working folder against a second run; empty it first if asked to.

    Raises:
        ValueError: another run holds it.
    """
    build.mkdir(parents=True, exist_ok=True)
    with (build / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another verify is at work in {build.name}/: wait for it, or stop it") from None
        if fresh:
            for entry in build.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry.name != "lock":
                    entry.unlink()
        yield


def duration(seconds: float) -> str:
    """Time in the words of an estimate: "about 2 h 10 min", "about 3 min", "less than a minute"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    hours, rest = divmod(minutes, 60)
    return f"about {hours} h {rest} min" if hours else f"about {minutes} min"
