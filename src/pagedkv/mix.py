"""SplitMix64, which spreads integers over all 64 bits: tokens from ids, digests that can be added up."""

from __future__ import annotations

import numpy as np

_GOLDEN, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def splitmix64(values: np.ndarray) -> np.ndarray:
    """One step from each of `values` (uint64), modulo 2^64: a bijection (Steele, Lea, Flood 2014)."""
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))
