"""B1: the least number of loads, and the stall that they force."""

from __future__ import annotations

from functools import lru_cache
from heapq import heappop, heappush

import numpy as np

from pagedkv.bound.intervals import Intervals
from pagedkv.bound.link_time import LinkTime


@lru_cache(maxsize=64)
def least_loads(intervals: Intervals, capacity_blocks: int, warmup_steps: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(steps, loads): the fewest blocks that any policy must have loaded when each of `steps` starts to compute.

    Counted from the boundary before step `warmup_steps`; `loads` is cumulative and as long as `steps`, which are the
    entry steps of the idle intervals, ascending. At the cut the GPU may hold any existing blocks, beside those that
    the step before used, without having paid for them.

    Batched MIN. A block read after an idle interval was loaded in it, or sat on the GPU throughout; so loads are
    intervals minus intervals kept, where step t leaves room for capacity - working[t] idle blocks. The most intervals
    are kept by giving up, whenever they do not fit, the one that ends last: it conflicts with all that the others
    conflict with (Belady 1966; for packing intervals, Faigle and Nawijn 1995, Carlisle and Lloyd 1995). Those given
    up before step t are also the fewest for the trace cut at t, because an interval that ends behind the cut is
    given up before all others; hence one pass gives all prefixes. Writing first and reading are both in `working`.
    Cost: O(G log G) for G groups.
    """
    start = max(0, warmup_steps - 1)
    relevant = intervals.entry >= max(warmup_steps, 1)
    leave = np.maximum(intervals.leave[relevant], start)
    order = np.argsort(leave, kind="stable")
    leave, entry, blocks = leave[order], intervals.entry[relevant][order], intervals.blocks[relevant][order]
    steps, index = np.unique(entry, return_inverse=True)
    bounds = np.unique(np.concatenate([leave, steps]))
    if len(bounds) == 0:
        return steps, np.zeros(0, np.int64)
    room = capacity_blocks - np.maximum.reduceat(intervals.working, bounds)
    loads = _give_up(leave.tolist(), index.tolist(), blocks.tolist(), steps.tolist(), bounds.tolist(), room.tolist())
    return steps, np.cumsum(loads)


def _give_up(
    leave: list[int], entry: list[int], blocks: list[int], steps: list[int], bounds: list[int], room: list[int]
) -> list[int]:
    """Blocks given up, by entry (an index into `steps`). Between two `bounds` no interval begins or ends, and
    `room` is the least that any step there leaves. Intervals come by `leave`."""
    kept, given_up = [0] * len(steps), [0] * len(steps)
    held, coming, ending = 0, 0, 0
    furthest: list[int] = []
    for bound, allowed in zip(bounds, room, strict=True):
        if ending < len(steps) and steps[ending] == bound:
            held -= kept[ending]
            kept[ending] = 0
            ending += 1
        while coming < len(leave) and leave[coming] == bound:
            if kept[entry[coming]] == 0:
                heappush(furthest, -entry[coming])
            kept[entry[coming]] += blocks[coming]
            held += blocks[coming]
            coming += 1
        while held > allowed:
            last = -furthest[0]
            count = min(kept[last], held - allowed)
            kept[last] -= count
            given_up[last] += count
            held -= count
            if kept[last] == 0:
                heappop(furthest)
    return given_up


def min_loads_stall_s(
    intervals: Intervals, capacity_blocks: int, tau_s: float, link: LinkTime, warmup_steps: int = 0
) -> float:
    """B1 as time: the largest over all steps t of tau · (loads needed by t) - time the link had without any stall.

    A link moves at most one block in `tau_s`, so that link.due_s[t] + stall until then >= tau · loads; and the stall
    of the whole trace is at least that until t.
    """
    steps, loads = least_loads(intervals, capacity_blocks, warmup_steps)
    return max(0.0, float((tau_s * loads - link.due_s[steps]).max())) if len(steps) else 0.0
