"""B3: the least stall, as a linear program over blocks and steps."""

from __future__ import annotations

import math

import numpy as np

from pagedkv.bound.certified import Program, Rows, least_cost
from pagedkv.bound.intervals import Intervals
from pagedkv.bound.link_time import LinkTime

LARGEST = 200_000
"""Variables, by default. Its size is that of the trace in blocks times steps: it is there for small traces, to be
compared with B4, which has the same value."""


def block_lp_stall_s(
    intervals: Intervals,
    capacity_blocks: int,
    tau_s: float,
    link: LinkTime,
    warmup_steps: int = 0,
    largest: int = LARGEST,
) -> float:
    """Least stall in seconds of any policy, if each block may be loaded and dropped in parts; NaN if not solved.

    The program of Albers, Garg and Leonardi (STOC 1998; JACM 47(6), 2000) as policies.md gives it, with nothing
    merged. Each step t is two phases: the gap before it (idle time and stall s_t) and its compute. For each block,
    each idle interval and each phase from its beginning to the gap of the step that reads it again, in blocks:

        residency r = r' + load l - drop e, 0 <= r <= 1; r = 1 at the end of the last phase

    where r' is 1 at the beginning, and anything for what is idle at the cut. At the end of each phase, and at the
    cut, the sum of r beside the step's working set is at most the capacity. Loads of a phase take no longer than it
    lasts. The sum of s is least. Any schedule on one link is a solution, so that none stalls less.
    """
    begin = max(0, warmup_steps - 1)
    measured = intervals.entry >= max(warmup_steps, 1)
    leave, entry, blocks = intervals.leave[measured], intervals.entry[measured], intervals.blocks[measured]
    if len(entry) == 0 or tau_s <= 0:
        return 0.0
    leave, entry = np.repeat(leave, blocks), np.repeat(entry, blocks)
    steps = int(entry.max()) + 1 - warmup_steps
    first = 2 * np.maximum(leave - warmup_steps, 0)
    length = 2 * (entry - warmup_steps) + 1 - first
    cells = int(length.sum())
    if 3 * cells + steps + len(leave) > largest:
        return math.nan
    program = _program(leave <= begin, first, length, steps, _room(intervals, capacity_blocks, warmup_steps, steps))
    program.most[: 2 * steps] = _phase_s(link, warmup_steps, steps) / tau_s
    return least_cost(program, largest) * tau_s


def _room(intervals: Intervals, capacity_blocks: int, warmup_steps: int, steps: int) -> np.ndarray:
    """Blocks beside the working set: at the cut, then in each phase."""
    working = np.repeat(intervals.working[warmup_steps : warmup_steps + steps], 2)
    before = intervals.working[warmup_steps - 1] if warmup_steps else 0
    return capacity_blocks - np.concatenate([[before], working])


def _phase_s(link: LinkTime, warmup_steps: int, steps: int) -> np.ndarray:
    """Time of each phase without stall."""
    after = slice(warmup_steps, warmup_steps + steps)
    ends = np.stack([link.start_s[after], link.end_s[after]], axis=1).ravel()
    return np.diff(ends, prepend=0.0)


def _program(free: np.ndarray, first: np.ndarray, length: np.ndarray, steps: int, room: np.ndarray) -> Program:
    """The program, but for the limits of the link. Interval i is idle over `length[i]` phases from `first[i]` on;
    `free[i]`: it is idle at the cut. Link rows come first, one a phase; then memory: the cut, and each phase."""
    count, cells = len(first), int(length.sum())
    cell = np.arange(cells)
    start = np.cumsum(length) - length
    phase = cell - np.repeat(start - first, length)
    resident, load, drop = cell, cells + cell, 2 * cells + cell
    stall = 3 * cells + np.arange(steps)
    cut = 3 * cells + steps + np.arange(count)
    upper = np.concatenate([np.ones(3 * cells), np.full(steps, float(count)), free.astype(float)])
    cost = np.zeros(len(upper))
    cost[stall] = 1.0

    equal, at = Rows(), np.zeros(cells + count)
    equal.add(cell, resident, 1.0)
    equal.add(cell, load, -1.0)
    equal.add(cell, drop, 1.0)
    follows = np.setdiff1d(cell, start, assume_unique=True)
    equal.add(follows, resident[follows - 1], -1.0)
    equal.add(start, cut, -1.0)
    at[start] = ~free
    last = start + length - 1
    equal.add(cells + np.arange(count), resident[last], 1.0)
    at[cells:] = 1.0

    below, phases = Rows(), 2 * steps
    below.add(phase, load, 1.0)
    below.add(2 * np.arange(steps), stall, -1.0)
    idle = np.setdiff1d(cell, last, assume_unique=True)
    below.add(phases + 1 + phase[idle], resident[idle], 1.0)
    below.add(np.full(count, phases), cut, 1.0)
    most = np.concatenate([np.zeros(phases), room.astype(float)])
    return Program(cost, equal.matrix(len(at), len(cost)), at, below.matrix(len(most), len(cost)), most, upper)
