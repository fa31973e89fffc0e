"""All bounds of a run together."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

from pagedkv.bound.intervals import Intervals, intervals_of
from pagedkv.bound.link_time import link_time
from pagedkv.bound.min_loads import least_loads, min_loads_stall_s
from pagedkv.bound.windows import windows_stall_s
from pagedkv.engine.script import Script
from pagedkv.errors import PagedKVError


@dataclass(frozen=True)
class Bounds:
    """What every policy pays at least, over the measured part of a trace.

    - `compute_s` (B0): elapsed time without any stall, idle time left out.
    - `min_loads` (B1): blocks loaded.
    - `b1_stall_s`, `b2_stall_s`: stall, from the number of loads and from disjoint windows.
    """

    compute_s: float
    min_loads: int
    b1_stall_s: float
    b2_stall_s: float

    @property
    def stall_s(self) -> float:
        """The best of the stall bounds."""
        return max(self.b1_stall_s, self.b2_stall_s)


def bound_for(script: Script, capacity_blocks: int, tau_s: float, warmup_steps: int = 0) -> Bounds:
    """Bounds for any policy that replays `script` with `capacity_blocks` usable blocks under D-page or D-step.

    `tau_s`: time that one block occupies the host-to-device link at least; `SimulatedDevice.block_load_s` of the
    scaled link is valid, because submissions, contention and faults only add to it. `warmup_steps`: steps before the
    cut, whose loads and stall are not counted; what the GPU holds at the cut is then whatever suits best. Not for
    D-layer (its steps start before all blocks are there) nor for traces replayed with recompute.

    What does not depend on `tau_s` is kept for the next call. Raises PagedKVError if a step does not fit.
    """
    if not 0 <= warmup_steps <= script.steps:
        raise PagedKVError(f"bound: a warm-up of {warmup_steps} steps does not fit a trace of {script.steps}")
    intervals = _intervals_of(script)
    peak = int(intervals.working.max())
    if capacity_blocks < peak:
        raise PagedKVError(f"bound: a capacity of {capacity_blocks} blocks is below the largest read set ({peak})")
    link = link_time(script, warmup_steps)
    _, loads = least_loads(intervals, capacity_blocks, warmup_steps)
    return Bounds(
        compute_s=float(script.compute_s[warmup_steps:].sum()),
        min_loads=int(loads[-1]) if len(loads) else 0,
        b1_stall_s=min_loads_stall_s(intervals, capacity_blocks, tau_s, link, warmup_steps),
        b2_stall_s=windows_stall_s(intervals, capacity_blocks, tau_s, link, warmup_steps),
    )


_last: tuple[weakref.ref[Script], Intervals] | None = None
"""The script asked for last: one trace is replayed many times before the next."""


def _intervals_of(script: Script) -> Intervals:
    global _last
    if _last is None or _last[0]() is not script:
        _last = (weakref.ref(script), intervals_of(script))
    return _last[1]
