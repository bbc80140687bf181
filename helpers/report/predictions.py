"""What a model foretold for every test row, kept beside the table of its study: to compare models, to read errors."""

import os
from pathlib import Path

import numpy as np

from helpers import settings


def save_predictions(study: str, name: str, rows, predicted) -> Path:
    """Write row numbers and predicted classes of one run.

    Args:
        study: name of the study; a folder.
        name: of the run within it ("best-fold-0").
        rows: (n,) row numbers in the corpus.
        predicted: (n,) class ids.
    """
    path = predictions_path(study, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp.npz")
    np.savez_compressed(temporary, rows=np.asarray(rows, np.int32), predicted=np.asarray(predicted, np.int16))
    os.replace(temporary, path)
    return path


def load_predictions(study: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(rows, predicted), as saved.

    Raises:
        FileNotFoundError: the run was never made; says how.
    """
    path = predictions_path(study, name)
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} of {study} is missing: run `make study NAME={study}`")
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["rows"].astype(np.int64), arrays["predicted"].astype(np.int64)


def predictions_path(study: str, name: str) -> Path:
    """The file of one run."""
    return settings.results_dir() / "predictions" / study / f"{name}.npz"
