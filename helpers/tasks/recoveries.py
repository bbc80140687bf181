"""Where the trainings of all tasks keep their checkpoints, and under which name."""

import hashlib
import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import numpy as np

from helpers import settings
from helpers.model.recovery import Recovery
from helpers.report.results import code_hash
from helpers.tasks.studies import hash_of


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
    identity |= {"versions": settings.versions(), "threads": settings.threads(), "code": _code()}
    folder = settings.artifacts_dir() / "recovery" / f"{task}-{hash_of(identity)[:16]}"
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


def digest(*arrays) -> str:
    """First 16 hex digits of the SHA-256 over arrays (None counts), or lists of texts."""
    total = hashlib.sha256()
    for array in arrays:
        if array is not None and len(array) and isinstance(array[0], str):
            array = np.frombuffer("\0".join(array).encode(), dtype=np.uint8)
        content = b"" if array is None else np.ascontiguousarray(array).tobytes()
        total.update(f"{array is None}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:16]


@cache
def _code() -> str:
    return code_hash(settings.ROOT / "helpers" / "data", settings.ROOT / "helpers" / "model")
