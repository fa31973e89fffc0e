"""When blocks are in the batch, and when they are not but will be again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.engine.script import Script
from pagedkv.errors import PagedKVError


@dataclass(frozen=True, eq=False)
class Intervals:
    """The idle intervals of a script's blocks, in groups, and the size of each step's working set.

    Group i: `blocks[i]` blocks that no request of the batch holds from step `leave[i]` to step `entry[i]` - 1, and
    that step `entry[i]` reads; groups are distinct pairs (leave, entry), by entry. Blocks that are idle over the same
    steps are interchangeable there (design, section 10). `working[t]`: distinct blocks that step t reads or writes.
    `departures`: steps, ascending, before which a block's last holder left. Compared by identity, so that what is
    derived can be cached.
    """

    leave: np.ndarray
    entry: np.ndarray
    blocks: np.ndarray
    working: np.ndarray
    departures: np.ndarray


def intervals_of(script: Script) -> Intervals:
    """Idle intervals of all blocks of `script`.

    A block is in the batch from its creation, or the entry of a request that reads it, until the last request that
    holds it has left. Leaving and entering at one boundary is no idle interval. Cost: some array operations a leave
    and an entry. Raises PagedKVError if a block leaves that is not there.
    """
    holders = np.ones(script.contents, np.int32)
    since = np.zeros(script.contents, np.int64)
    joined = np.bincount(script.created_step, minlength=script.steps)[: script.steps]
    left = np.zeros(script.steps, np.int64)
    groups: list[tuple[int, int, int]] = []
    for step in script.event_steps.tolist():
        events = script.events[step]
        for leave in events.leaves:
            holders[leave.contents] -= 1
            remaining = holders[leave.contents]
            if (remaining < 0).any():
                content = int(leave.contents[np.argmin(remaining)])
                raise PagedKVError(f"trace: content {content} leaves the batch at step {step} without having joined it")
            gone = leave.contents[remaining == 0]
            since[gone] = step
            left[step] += len(gone)
        for contents in events.joined:
            holders[contents] += 1
        entering = []
        for enter in events.enters:
            entering.append(since[enter.contents[holders[enter.contents] == 0]])
            holders[enter.contents] += 1
        joined[step] += sum(map(len, entering))
        groups.extend((leave, step, blocks) for leave, blocks in _counted(entering) if leave < step)
    leave, entry, blocks = np.array(groups, np.int64).reshape(-1, 3).T
    return Intervals(leave, entry, blocks, np.cumsum(joined - left), np.flatnonzero(left))


def _counted(parts: list[np.ndarray]) -> list[tuple[int, int]]:
    """Distinct values of `parts` and how often each occurs."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return []
    values, counts = np.unique(np.concatenate(parts), return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))
