"""B2: stall forced in disjoint windows of steps."""

from __future__ import annotations

import numpy as np

from pagedkv.bound.intervals import Intervals
from pagedkv.bound.link_time import LinkTime

CELLS = 200_000_000
"""(start, end) pairs that are looked at, at most. Beyond, windows are cut to a number of entries; any subset of the
windows gives a valid, if weaker, bound."""


def windows_stall_s(
    intervals: Intervals, capacity_blocks: int, tau_s: float, link: LinkTime, warmup_steps: int = 0
) -> float:
    """The largest sum of forced stalls over disjoint windows, in seconds.

    Window (a, b] opens when step a has computed and closes when the reads of step b are due, at its start. Let D be
    the blocks that exist when it opens and that steps a..b use. At the opening the GPU holds what step a used and at
    most capacity blocks in all, in flight ones included; so at least D - capacity of the D blocks are absent, and each
    occupies the link for `tau_s` inside the window. Its stall is at least
    tau · (D - capacity) - (link.due_s[b] - link.end_s[a]). Windows that share no step add up. D = working[a] + blocks
    idle at a that enter in (a, b].

    This is the B2 of policies.md with the blocks of the step before the window added to D. With them it is not only
    below the linear program B4 but, except under D-layer, equal to it; the tests compare the two. For consider a
    policy that loads in parts: always what is missing and used next, in place of what is used last, unless that is
    used earlier (Aggressive of Cao et al., with vanishing pages). Take its last stall, at step b, and before it the
    last step a at whose end the GPU is full of blocks that steps a..b use. From then on it evicts none of those before
    its use, and the link does not rest: something that b reads is missing, and there is room, or something needed
    later to evict. Hence exactly D - capacity loads lie in (a, b], and the stall in it is what the window says; and so
    on before a. Aggressive stalls no more than the best windows, which stall no more than the program, of which
    Aggressive is a solution.

    Only useful windows are tried: b is an entry step, and step a + 1 lacks a block of step a, or a + 1 = b; moving any
    other opening to a + 1 loses no block and some free time. The first opening is at the cut. Cost: O(starts x
    entries), in numpy.
    """
    ends, ending = np.unique(intervals.entry, return_inverse=True)
    starts = np.unique(np.concatenate([intervals.departures, ends])) - 1
    starts = starts[starts >= max(0, warmup_steps - 1)]
    if len(starts) == 0 or len(ends) == 0:
        return 0.0
    opened_s, closed_s = link.end_s[starts], link.due_s[ends]
    longest = max(1, CELLS // len(starts))
    order = np.argsort(intervals.leave, kind="stable")
    known = np.searchsorted(intervals.leave[order], starts, side="right").tolist()
    after = np.searchsorted(ends, starts, side="right").tolist()
    pending = np.zeros(len(ends), np.int64)
    best = np.zeros(len(ends) + 1)
    seen, reached = 0, 0
    for i, (until, low) in enumerate(zip(known, after, strict=True)):
        if until > seen:
            np.add.at(pending, ending[order[seen:until]], intervals.blocks[order[seen:until]])
            seen = until
        while reached < low:  # best[j]: over the windows that close at entry step j - 1 or before
            reached += 1
            best[reached] = max(best[reached], best[reached - 1])
        high = min(len(ends), low + longest)
        needed = int(intervals.working[starts[i]]) + np.cumsum(pending[low:high])
        gain = tau_s * (needed - capacity_blocks) - (closed_s[low:high] - opened_s[i])
        np.maximum(best[low + 1 : high + 1], best[low] + gain, out=best[low + 1 : high + 1])
    return float(best.max())
