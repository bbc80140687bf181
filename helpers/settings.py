"""Where things are, which profile and device run, and the banner that a notebook prints first."""

import os
import platform
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[1]
PROFILES = ("quick", "full")
HOST = "127.0.0.1"  # our own servers listen on this machine alone
SEED = 0  # development split and default model seed; reported seeds are others
CPU_FIELDS = {"model name": "{}", "cpu family": "family {}", "model": "model {}"}
PACKAGES = ("torch", "numpy", "pandas", "scikit-learn", "gensim", "mlflow")


class UserError(Exception):
    """What a user can mend (a file, a name, an option): the command line prints it in one line, without traceback."""


class WrongValue(UserError, ValueError):
    """A value that is none of those there are: says which, and what there is."""


def profile() -> str:
    """The active profile, from PROFILE: "quick" (default) or "full".

    Raises:
        ValueError: PROFILE holds anything else.
    """
    name = os.environ.get("PROFILE") or "quick"
    if name not in PROFILES:
        raise WrongValue(f"PROFILE={name!r} is not a profile: set it to one of {', '.join(PROFILES)}")
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
    """DATA_MIRROR (a folder, also as file://, or an http(s) base), folders absolute; None where it is not set."""
    value = os.environ.get("DATA_MIRROR")
    if not value:
        return None
    if value.lower().startswith(("http://", "https://")):
        return value.rstrip("/")
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    return str(anchored(url2pathname(urlsplit(value).path) if value.lower().startswith("file://") else value))


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
        raise WrongValue(f"THREADS={value!r} is not a positive whole number")
    return int(value)


def device() -> "torch.device":
    """Where models run: DEVICE, "auto" (the default: CUDA where there is one, else the CPU), "cpu", "cuda" or "cuda:N".

    Raises:
        ValueError: DEVICE names something else, or a device that this machine does not have.
    """
    import torch

    name = os.environ.get("DEVICE") or "auto"
    kind, _, number = name.partition(":")
    if name not in ("auto", "cpu", "cuda") and not (kind == "cuda" and number.isdecimal()):
        raise WrongValue(f"DEVICE={name!r} is not a device: set it to auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if name != "cpu" and torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    if kind == "cuda" and int(number or 0) >= count:
        raise WrongValue(f"DEVICE={name}: torch finds {count} CUDA devices on this machine: set DEVICE=cpu or auto")
    return torch.device(name)


def reach_own_servers() -> None:
    """Keep requests to our own servers off any proxy that http_proxy names."""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    listed = ",".join(dict.fromkeys([*filter(None, known.split(",")), HOST, "localhost"]))
    os.environ |= {"no_proxy": listed, "NO_PROXY": listed}


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables of this process, and put back what was there.

    Example:
        >>> with environment(DEVICE="cpu"):
        ...     device()
        device(type='cpu')
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def seed_everything(seed: int) -> "torch.Generator":
    """Fix the number of threads, seed Python, NumPy and torch, and return a torch generator with the same seed.

    On CUDA it also asks for deterministic algorithms (see deterministic_cuda).
    """
    import numpy as np
    import torch

    torch.set_num_threads(threads())
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (gensim and scikit-learn read the global generator)
    torch.manual_seed(seed)
    if device().type == "cuda":
        deterministic_cuda()
    return torch.Generator().manual_seed(seed)


def deterministic_cuda() -> None:
    """Let cuBLAS, cuDNN and torch repeat their bits on one GPU; where torch has no such algorithm it only warns."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":16:8")  # read when CUDA starts; cuDNN's recurrences need it too
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # it costs a pass, and no number depends on it


def versions() -> dict[str, str]:
    """Versions that decide numbers, without local suffix (2.13.0, not 2.13.0+cpu)."""
    from importlib.metadata import version

    return {"python": platform.python_version()} | {name: version(name).split("+")[0] for name in PACKAGES}


@cache
def commit() -> str:
    """The commit that this code is at, 9 hex digits, with "+" where tracked files were changed; "" outside git."""
    try:
        git = ["git", "-C", str(ROOT)]
        head = subprocess.run([*git, "rev-parse", "--short=9", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S603
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "helpers"], capture_output=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+" if changed.returncode else "")


@cache
def processor() -> str:
    """What of this machine decides the last digits: architecture, processor, vector instructions that torch uses."""
    import torch

    name = ", ".join(_cpu_facts()) or platform.processor() or "unknown processor"
    return f"{platform.machine()}, {name}, {torch.backends.cpu.get_cpu_capability()}"


def _cpu_facts(path: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Name, family and model of the first processor; nothing where the system does not tell."""
    try:
        lines = path.read_text(encoding="utf8").split("\n\n")[0].splitlines()
    except OSError:
        return []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return [shown.format(facts[name]) for name, shown in CPU_FIELDS.items() if name in facts]


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
