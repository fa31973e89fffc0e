"""All bounds of a run together."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass

from pagedkv.bound.certified import LARGEST
from pagedkv.bound.group_lp import group_lp_stall_s
from pagedkv.bound.intervals import Intervals, intervals_of
from pagedkv.bound.link_time import link_time
from pagedkv.bound.min_loads import least_loads, min_loads_stall_s
from pagedkv.bound.phases import phases_of
from pagedkv.bound.residency import residency_saved_s
from pagedkv.bound.windows import windows_stall_s
from pagedkv.engine.script import Script
from pagedkv.errors import PagedKVError


@dataclass(frozen=True)
class Bounds:
    """What every policy pays at least, over the measured part of a trace.

    - `compute_s` (B0): elapsed time without any stall, idle time left out.
    - `min_loads` (B1): blocks loaded.
    - `b1_stall_s`, `b2_stall_s`: stall, from the number of loads and from disjoint windows.
    - `b4_stall_s`: stall of the linear program, which B3 shares; NaN if it was too large to be solved.
    - `b7_saved_s`: the opposite, what keeping blocks on the GPU saves at most, in load time.
    """

    compute_s: float
    min_loads: int
    b1_stall_s: float
    b2_stall_s: float
    b4_stall_s: float
    b7_saved_s: float

    @property
    def stall_s(self) -> float:
        """The best of the stall bounds."""
        known = (self.b1_stall_s, self.b2_stall_s, self.b4_stall_s)
        return max(bound for bound in known if not math.isnan(bound))


def bound_for(
    script: Script,
    capacity_blocks: int,
    tau_s: float,
    warmup_steps: int = 0,
    layers: int = 1,
    largest_program: int = LARGEST,
) -> Bounds:
    """Bounds for any policy that replays `script` with `capacity_blocks` usable blocks under D-page or D-step, or with
    the `layers` of the model under D-layer.

    `tau_s`: time that one block occupies the host-to-device link at least; `SimulatedDevice.block_load_s` of the
    scaled link is valid, because submissions, contention and faults only add to it. `warmup_steps`: steps before the
    cut, whose loads and stall are not counted; what the GPU holds at the cut is then whatever suits best. A linear
    program of more than `largest_program` variables is not solved. Not for traces replayed with recompute: for them
    see `group_lp`.

    What does not depend on `tau_s` is kept for the next call. Raises PagedKVError if a step does not fit.
    """
    if not 0 <= warmup_steps <= script.steps:
        raise PagedKVError(f"bound: a warm-up of {warmup_steps} steps does not fit a trace of {script.steps}")
    intervals = _intervals_of(script)
    peak = int(intervals.working.max())
    if capacity_blocks < peak:
        raise PagedKVError(f"bound: a capacity of {capacity_blocks} blocks is below the largest read set ({peak})")
    link = link_time(script, warmup_steps, layers)
    phases = phases_of(intervals, capacity_blocks, link, warmup_steps)
    _, loads = least_loads(intervals, capacity_blocks, warmup_steps)
    return Bounds(
        compute_s=float(script.compute_s[warmup_steps:].sum()),
        min_loads=int(loads[-1]) if len(loads) else 0,
        b1_stall_s=min_loads_stall_s(intervals, capacity_blocks, tau_s, link, warmup_steps),
        b2_stall_s=windows_stall_s(intervals, capacity_blocks, tau_s, link, warmup_steps),
        b4_stall_s=group_lp_stall_s(phases, tau_s, largest=largest_program),
        b7_saved_s=residency_saved_s(intervals, capacity_blocks, tau_s, link, warmup_steps),
    )


_last: tuple[weakref.ref[Script], Intervals] | None = None
"""The script asked for last: one trace is replayed many times before the next."""


def _intervals_of(script: Script) -> Intervals:
    global _last
    if _last is None or _last[0]() is not script:
        _last = (weakref.ref(script), intervals_of(script))
    return _last[1]
