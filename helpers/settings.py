"""Where things are, which profile runs, and the banner that a notebook prints first."""

import os
import platform
import random
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
PROFILES = ("quick", "full")
SEED = 0  # development split and default model seed; reported seeds are others
PACKAGES = ("torch", "numpy", "pandas", "scikit-learn", "gensim", "mlflow")


def profile() -> str:
    """The active profile, from PROFILE: "quick" (default) or "full".

    Raises:
        ValueError: PROFILE holds anything else.
    """
    name = os.environ.get("PROFILE") or "quick"
    if name not in PROFILES:
        raise ValueError(f"PROFILE={name!r} is not a profile: set it to one of {', '.join(PROFILES)}")
    return name


def pick(*, quick, full):
    """The value that belongs to the active profile."""
    return full if profile() == "full" else quick


def anchored(path: str | Path) -> Path:
    """A path as given if absolute, else taken from the repository root."""
    return ROOT / Path(path).expanduser()


def cache_dir() -> Path:
    """Where downloads land: DATA_CACHE, by default data/cache."""
    return anchored(os.environ.get("DATA_CACHE") or "data/cache")


def mirror() -> str | None:
    """DATA_MIRROR as an http(s) base or an absolute folder; None where it is not set."""
    value = os.environ.get("DATA_MIRROR")
    if not value:
        return None
    return value.rstrip("/") if value.startswith(("http://", "https://")) else str(anchored(value))


def sample_dir() -> Path:
    """The committed synthetic corpora, laid out as the mirror is."""
    return ROOT / "data" / "sample"


def results_dir() -> Path:
    """Where results are written: RESULTS_DIR, else results/ in profile full and build/results in quick."""
    return anchored(os.environ.get("RESULTS_DIR") or pick(quick="build/results", full="results"))


def artifacts_dir() -> Path:
    """Trained models and encoded corpora; rebuilt when missing."""
    return anchored(os.environ.get("ARTIFACTS_DIR") or "artifacts")


def threads() -> int:
    """CPU threads for torch: THREADS, by default 2; part of what makes a run repeatable."""
    value = os.environ.get("THREADS") or "2"
    if not value.isdigit() or int(value) < 1:
        raise ValueError(f"THREADS={value!r} is not a positive whole number")
    return int(value)


def device() -> torch.device:
    """Where models are trained: the CPU."""
    return torch.device("cpu")


def seed_everything(seed: int) -> torch.Generator:
    """Fix the number of threads, seed Python, NumPy and torch, and return a torch generator with the same seed."""
    torch.set_num_threads(threads())
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (gensim and scikit-learn read the global generator)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def versions() -> dict[str, str]:
    """Versions that decide numbers, without local suffix (2.13.0, not 2.13.0+cpu)."""
    return {"python": platform.python_version()} | {name: version(name).split("+")[0] for name in PACKAGES}


def banner(**corpora) -> None:
    """Fix threads and seed, and print what a reader needs to repeat this notebook.

    Args:
        corpora: name=DataFrame as returned by the loaders (their attrs name source, hash and sample).
    """
    seed_everything(SEED)
    if any(frame.attrs.get("sample") for frame in corpora.values()):
        print("*** MUESTRA SINTÉTICA: no se encontraron los datos reales; los números no valen como resultado ***")
    print(f"perfil     {profile()}")
    for name, frame in corpora.items():
        source = "muestra sintética" if frame.attrs.get("sample") else "datos reales"
        print(f"datos      {name}: {len(frame):,} filas · {source} · sha256 {frame.attrs.get('sha256', '?')[:12]}")
    print("versiones  " + " · ".join(f"{name} {number}" for name, number in versions().items()))
    print(f"equipo     {device().type} · {threads()} {'hilo' if threads() == 1 else 'hilos'} · semilla {SEED}")
