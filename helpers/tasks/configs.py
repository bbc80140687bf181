"""Configurations by name."""

from collections.abc import Mapping
from typing import TypeVar

C = TypeVar("C")


def named(config: C | str, configs: Mapping[str, C]) -> C:
    """The configuration of that name; a configuration passes as it is.

    Raises:
        ValueError: unknown name, with those that there are.
    """
    if isinstance(config, str) and config not in configs:
        raise ValueError(f"configuration {config!r} is not one of {', '.join(configs)}")
    return configs[config] if isinstance(config, str) else config
