"""Where the committed numbers were made. There, and only there, they repeat to the last digit."""

import platform
from collections.abc import Collection, Mapping
from pathlib import Path

import torch

from helpers import settings

MACHINE = "x86_64, AMD EPYC, family 25, model 1, AVX2"  # as machine() says it
STUDY_THREADS = {"meli": 1, "sick": 1}  # by corpus; the tables themselves do not say
USUAL_THREADS = 2
CPU_FIELDS = {"model name": "{}", "cpu family": "family {}", "model": "model {}"}


def machine() -> str:
    """What of this machine decides the last digits: architecture, processor, vector instructions that torch uses."""
    processor = ", ".join(_cpu_facts()) or platform.processor() or "unknown processor"
    return f"{platform.machine()}, {processor}, {torch.backends.cpu.get_cpu_capability()}"


def _cpu_facts(path: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Name, family and model of the first processor; nothing where the system does not tell."""
    try:
        lines = path.read_text(encoding="utf8").split("\n\n")[0].splitlines()
    except OSError:
        return []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return [shown.format(facts[name]) for name, shown in CPU_FIELDS.items() if name in facts]


def study_threads(study: str) -> int:
    """Threads that a study's rows were made with."""
    return STUDY_THREADS.get(study.partition("-")[0], USUAL_THREADS)


def repeats_exactly(threads: int, made_with: int, made_versions: Collection[Mapping[str, str]]) -> bool:
    """Whether numbers made with so many threads must come out the same to the last digit, here and now.

    Args:
        threads: that they are made with now.
        made_with: threads that the committed ones were made with.
        made_versions: of packages, any of which may have made them; empty where nothing is recorded.
    """
    same_versions = not made_versions or settings.versions() in made_versions
    return machine() == MACHINE and threads == made_with and same_versions
