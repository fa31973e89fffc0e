"""What Belady's MIN keeps and loads, and the earliest moment for each load at which nothing that it keeps has to go."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from pagedkv.engine.script import Script


@dataclass(frozen=True, order=True)
class MinStay:
    """`request` reads its blocks [first, first + count) at `step`, and MIN has them on the GPU from `from_step` on.

    `loads`: it has to load them. `from_step` is then the first step from which on there is room for them: their victims
    are dead until their own next use. Where it is `step` itself, only an idle time before that step is left for it.
    """

    from_step: int
    step: int
    request: int
    first: int
    count: int
    loads: bool


@dataclass
class _Run:
    """Adjoining blocks of a request that nobody holds from `leave` on and that `request` reads at `entry`.

    MIN keeps the first `kept` of them on the GPU. `age`: when the last block became evictable, which decides between
    equals.
    """

    leave: int
    entry: int
    request: int
    first: int
    count: int
    age: int
    kept: int


def min_schedule(script: Script, capacity_blocks: int) -> list[MinStay]:
    """What batched MIN keeps or loads on `capacity_blocks` usable blocks, beside what each step reads, by `from_step`.

    Step t leaves room for `capacity_blocks` - (blocks that it reads or writes) idle blocks. Where the idle blocks do
    not fit, MIN gives up those whose next use is furthest, of equals those that became evictable first, and loads them
    at that use. Until then the room that the kept blocks leave is free: each load, in order of its use, is moved as far
    forward as there is room from then on to its use.

    Cost: O(blocks entering) to find the idle intervals, O(steps with events) array cells a run of loaded blocks.
    """
    runs, working = _idle_runs(script)
    if not runs:
        return []
    ends = [step for run in runs for step in (run.leave, run.entry)]
    # Between two bounds no run begins or ends, and the room does not grow: what fits at its end fits throughout.
    bounds = np.union1d(ends, np.flatnonzero(np.diff(working, prepend=0) < 0))
    room = capacity_blocks - np.maximum.reduceat(working, bounds)
    _give_up(runs, bounds, room)
    kept = (MinStay(run.leave, run.entry, run.request, run.first, run.kept, loads=False) for run in runs if run.kept)
    return sorted([*kept, *_loads(runs, bounds, room)])


def _idle_runs(script: Script) -> tuple[list[_Run], np.ndarray]:
    """Idle runs in order of their entry, and the distinct blocks that each step reads or writes."""
    holders = np.ones(script.contents, np.int32)
    since = np.zeros(script.contents, np.int64)
    age = np.zeros(script.contents, np.int64)
    change = np.bincount(script.created_step, minlength=script.steps)[: script.steps].astype(np.int64)
    runs: list[_Run] = []
    released = 0
    for step in script.event_steps.tolist():
        events = script.events[step]
        for leave in events.leaves:
            holders[leave.contents] -= 1
            gone = leave.contents[holders[leave.contents] == 0][::-1]
            since[gone] = step
            age[gone] = np.arange(released, released + len(gone))
            released += len(gone)
            change[step] -= len(gone)
        for contents in events.joined:
            holders[contents] += 1
        for enter in events.enters:
            idle = np.flatnonzero(holders[enter.contents] == 0)
            holders[enter.contents] += 1
            change[step] += len(idle)
            runs.extend(_runs_of(enter.request, step, idle, since[enter.contents[idle]], age[enter.contents[idle]]))
    return runs, np.cumsum(change)


def _runs_of(request: int, step: int, blocks: np.ndarray, since: np.ndarray, age: np.ndarray) -> list[_Run]:
    """Runs of adjoining `blocks` that have been idle equally long, at least for a step."""
    if len(blocks) == 0:
        return []
    edges = np.flatnonzero((np.diff(blocks) != 1) | (np.diff(since) != 0)) + 1
    spans = zip([0, *edges.tolist()], [*edges.tolist(), len(blocks)], strict=True)
    return [
        _Run(int(since[low]), step, request, int(blocks[low]), high - low, int(age[high - 1]), high - low)
        for low, high in spans
        if since[low] < step
    ]


def _give_up(runs: list[_Run], bounds: np.ndarray, room: np.ndarray) -> None:
    """Lower `kept` of the runs until they fit."""
    beginning: dict[int, list[_Run]] = {}
    ending: dict[int, list[_Run]] = {}
    for run in runs:
        beginning.setdefault(run.leave, []).append(run)
        ending.setdefault(run.entry, []).append(run)
    held = 0
    furthest: list[tuple[int, int, int]] = []
    number = {id(run): position for position, run in enumerate(runs)}
    for bound, allowed in zip(bounds.tolist(), room.tolist(), strict=True):
        held -= sum(run.kept for run in ending.get(bound, ()))
        for run in beginning.get(bound, ()):
            heappush(furthest, (-run.entry, run.age, number[id(run)]))
            held += run.kept
        while held > allowed:
            run = runs[furthest[0][2]]
            count = min(run.kept, held - allowed)
            run.kept -= count
            held -= count
            if run.kept == 0:
                heappop(furthest)


def _loads(runs: list[_Run], bounds: np.ndarray, room: np.ndarray) -> list[MinStay]:
    """The given-up blocks of each run, in order of use, at the first bound from which there is room until their use."""
    change = np.zeros(len(bounds) + 1, np.int64)
    low = np.searchsorted(bounds, [run.leave for run in runs])
    high = np.searchsorted(bounds, [run.entry for run in runs])
    kept = np.array([run.kept for run in runs])
    np.add.at(change, low, kept)
    np.add.at(change, high, -kept)
    slack = room - np.cumsum(change[:-1])
    loads = []
    for run, begin, end in zip(runs, low.tolist(), high.tolist(), strict=True):
        if run.kept == run.count:
            continue
        # placed[i]: how many of the blocks can be there from the i-th bound on, without a break, until their use.
        given_up = run.count - run.kept
        placed = np.minimum.accumulate(slack[begin:end][::-1])[::-1].clip(0, given_up)
        slack[begin:end] -= placed
        loads += _steps_up(run, bounds[begin : end + 1], np.append(placed, given_up))
    return loads


def _steps_up(run: _Run, bounds: np.ndarray, placed: np.ndarray) -> list[MinStay]:
    """A load for each of `bounds` at which more of the run's blocks are `placed` than at the one before."""
    loads, done = [], 0
    for at in np.flatnonzero(np.diff(placed, prepend=0)).tolist():
        count = int(placed[at]) - done
        loads.append(MinStay(int(bounds[at]), run.entry, run.request, run.first + run.kept + done, count, loads=True))
        done += count
    return loads
