"""Intervals by a block bootstrap over time."""

from __future__ import annotations

import numpy as np

BLOCKS = 40
RESAMPLES = 1000


def stall_removed_interval(stalls_s: np.ndarray, reference_s: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % interval of 1 - sum(stalls) / sum(reference) for two runs over the same steps.

    The run is cut into `BLOCKS` consecutive pieces of equally many steps, which are resampled in pairs (the same
    pieces of both runs), so that the common schedule cancels out. NaN where the reference never stalls.
    """
    if len(stalls_s) < BLOCKS or reference_s.sum() <= 0:
        return float("nan"), float("nan")
    edges = np.linspace(0, len(stalls_s), BLOCKS + 1).astype(int)[:-1]
    own, base = np.add.reduceat(stalls_s, edges), np.add.reduceat(reference_s, edges)
    picks = np.random.Generator(np.random.PCG64(seed)).integers(0, BLOCKS, (RESAMPLES, BLOCKS))
    sums = base[picks].sum(axis=1)
    usable = sums > 0
    removed = 1.0 - own[picks].sum(axis=1)[usable] / sums[usable]
    low, high = np.percentile(removed, [2.5, 97.5])
    return float(low), float(high)
