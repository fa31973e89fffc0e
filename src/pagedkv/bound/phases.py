"""The few phases of a script between which anything changes that limits residency or loads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.bound.intervals import Intervals
from pagedkv.bound.link_time import LinkTime


@dataclass(frozen=True, eq=False)
class Phases:
    """A trace from the cut on, as phases 0, 1, ...; each is a gap, at whose end its first step reads, and a run.

    `gap_s[p]`: idle time in front of the first step of phase p, in which the engine may also stall. `run_s[p]`: time
    from the start of that step's compute to the boundary that ends the phase. `late_s[p]`: time from that start until
    the last layer of what the step reads is due (0 unless D-layer, with `layers`). `inside_s[p]`: idle time within the
    run. `room[p]`: blocks beside the working set, where it is largest.

    Group i: `blocks[i]` blocks that are idle from the boundary before phase `leave[i]` on, and that the first step of
    phase `entry[i]` reads. Those idle at the cut leave in phase 0; at the cut any of them may be on the GPU.
    """

    gap_s: np.ndarray
    run_s: np.ndarray
    late_s: np.ndarray
    inside_s: np.ndarray
    room: np.ndarray
    leave: np.ndarray
    entry: np.ndarray
    blocks: np.ndarray
    layers: int = 1

    @property
    def count(self) -> int:
        return len(self.room)


def phases_of(intervals: Intervals, capacity_blocks: int, link: LinkTime, warmup_steps: int = 0) -> Phases:
    """Phases of a trace under `capacity_blocks`, from the boundary before step `warmup_steps` on.

    A phase begins at each step before which a block's last holder has left, or that reads a block after an idle
    interval; until the next such step, no block becomes idle and none ceases to be. Between them one phase is as good
    as one a step, which is why a bound needs no more:

    - Memory. Within a run the working set only grows (blocks are created), and so does what was loaded ahead; hence
      the limit at the end of the run implies those inside it. Dropping an idle block within a run frees nothing that
      dropping it when it became idle would not.
    - Link. A run offers the sum of its times, whenever a load in it is made.
    - Stall. Stall in front of an inner step gives the link time earlier than it is needed: nothing is read before the
      next phase begins. Moved into the gap of that one, with the loads made meanwhile, it costs the same, and memory
      is used later.

    The first phase is the step before the cut, without time of its own: what sits on the GPU at the cut fitted beside
    that step's working set. The last phase begins where the last idle interval ends; later steps force nothing.
    """
    start = max(0, warmup_steps - 1)
    measured = intervals.entry >= max(warmup_steps, 1)
    leave, entry = np.maximum(intervals.leave[measured], start), intervals.entry[measured]
    last = int(entry.max()) if len(entry) else start
    departures = intervals.departures
    steps = np.unique(np.concatenate([[start], entry, departures[(departures > start) & (departures <= last)]]))
    following = np.append(steps[1:], last + 1)
    idle_s = link.start_s - np.concatenate([[0.0], link.end_s[:-1]])
    idle_before = np.concatenate([[0.0], np.cumsum(idle_s)])
    return Phases(
        gap_s=idle_s[steps],
        run_s=link.end_s[following - 1] - link.start_s[steps],
        late_s=link.due_s[steps] - link.start_s[steps],
        inside_s=idle_before[following] - idle_before[steps + 1],
        room=capacity_blocks - np.maximum.reduceat(intervals.working[: last + 1], steps),
        leave=np.searchsorted(steps, leave),
        entry=np.searchsorted(steps, entry),
        blocks=intervals.blocks[measured],
        layers=link.layers,
    )
