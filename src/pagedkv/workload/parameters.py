"""Checks of the numbers that a person writes into config.yaml."""

import math
from typing import Any

from pagedkv.errors import PagedKVError


def positive(name: str, value: Any) -> float:
    """A finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise PagedKVError(f"workload: {name} is {value!r}, must be a number above 0")
    return float(value)


def not_negative(name: str, value: Any) -> float:
    """A finite number, zero or above."""
    return 0.0 if value == 0 and not isinstance(value, bool) else positive(name, value)


def count(name: str, value: Any, least: int = 1) -> int:
    """An integer, `least` or above."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PagedKVError(f"workload: {name} is {value!r}, must be an integer of at least {least}")
    return value


def optional_count(name: str, value: Any) -> int | None:
    """An integer of at least 1, or None."""
    return None if value is None else count(name, value)
