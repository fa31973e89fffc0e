"""B4: the least stall, as a linear program over groups of blocks that are idle over the same steps."""

from __future__ import annotations

import numpy as np

from pagedkv.bound.certified import LARGEST, Program, Rows, least_cost
from pagedkv.bound.phases import Phases
from pagedkv.errors import PagedKVError


def group_lp_stall_s(phases: Phases, tau_s: float, recompute_s: float | None = None, largest: int = LARGEST) -> float:
    """Least stall in seconds of any policy, if blocks may be kept, dropped and loaded in parts; NaN if not solved.

    `tau_s`: time of a block on the link. `recompute_s`: if given, what is absent may also be computed again while the
    engine stalls or idles, at so much time a block (not under D-layer). `largest`: see `certified.LARGEST`.

    This is the program of Albers, Garg and Leonardi (STOC 1998; policies.md, B3) with one variable set a block and
    step, in a form whose size is the number of groups plus a few times the number of phases. B3 has residency r_g of
    each block in each phase. Three observations shrink it, without changing its value (tests/bound compares them):

    - A part of a block that is dropped in an idle interval may be dropped when the interval begins. Then a group is
      described by d, the blocks of it that are dropped and loaded again; blocks - d are kept.
    - The link may serve in order of entry: swapping two loads that are not in this order moves the later entry's load
      to a later time, and memory holds as much as before. Then what was loaded ahead, in sum, says what was loaded.
    - A load of this order that comes before its block has even left would be a second copy; keeping the block instead
      takes no more memory and no link. So the program need not forbid it.

    Variables, in blocks: d of each group; of each phase the loads y, the stall s (in block times), the blocks loaded
    ahead P, and all idle blocks on the GPU M at its end. With `in` and `out` the groups that leave and enter:

        M = M' + y + sum over in of (blocks - d) - sum over out of blocks,     0 <= M <= room
        P = P' + y - sum over out of d,                                        P >= 0
        y <= gap + s + run
        sum over out of d - P' <= gap + s

    where M', P' are those of the phase before, and the last row says that what enters has arrived when its step
    starts. With layers, layer l of the first step starts l/layers of its compute later and needs (l + 1)/layers of
    the pieces; both sides are linear in l, so that the first and the last layer imply the others. Stall is best
    taken in the gap. With recompute a second source z joins y; it works in the gap, stall and idle time only.
    """
    if phases.layers > 1 and recompute_s is not None:
        raise PagedKVError("bound: the program has layers or recompute, not both")
    if len(phases.blocks) == 0 or tau_s <= 0 or recompute_s == 0:
        return 0.0
    return least_cost(_program(phases, tau_s, recompute_s), largest) * tau_s


def _program(phases: Phases, tau_s: float, recompute_s: float | None) -> Program:
    groups, count = len(phases.blocks), phases.count
    group, phase = np.arange(groups), np.arange(count)
    held, ahead, loads, stall, again = (groups + part * count + phase for part in range(5))
    most = float(phases.blocks.sum())
    room = np.maximum(phases.room, 0).astype(float)
    upper = np.concatenate([phases.blocks.astype(float), room, room, np.full(3 * count, most)])
    cost = np.zeros(len(upper))
    cost[stall] = 1.0
    coming = np.bincount(phases.leave, phases.blocks, count)
    going = np.bincount(phases.entry, phases.blocks, count)

    equal = Rows()
    for row, state, which in ((phase, held, phases.leave), (count + phase, ahead, phases.entry)):
        equal.add(row, state, 1.0)
        equal.add(row[1:], state[:-1], -1.0)
        equal.add(row, loads, -1.0)
        equal.add(row, again, -1.0)
        equal.add(row[which], group, 1.0)

    # Link, recompute, and arrival in time: of the first layer, and of the last one.
    gap, run = phases.gap_s / tau_s, phases.run_s / tau_s
    faster = 0.0 if recompute_s is None else tau_s / recompute_s
    entered = np.flatnonzero(going)
    row_of = np.zeros(count, np.int64)
    row_of[entered] = np.arange(len(entered))
    below = Rows()
    below.add(phase, loads, 1.0)
    below.add(phase, stall, -1.0)
    below.add(count + phase, again, 1.0)
    below.add(count + phase, stall, -faster)
    limits = [gap + run, faster * (gap + phases.inside_s / tau_s)]
    for block, (share, later) in enumerate(_arrivals(phases, entered, tau_s)):
        row = 2 * count + block * len(entered) + row_of
        below.add(row[phases.entry], group, share)
        below.add(row[entered], stall[entered], -1.0 - faster)
        known = entered[entered > 0]
        below.add(row[known], ahead[known - 1], -1.0)
        limits.append((1.0 + faster) * gap[entered] + later)
    limit = np.concatenate(limits)
    return Program(
        cost,
        equal.matrix(2 * count, len(cost)),
        np.concatenate([coming - going, np.zeros(count)]),
        below.matrix(len(limit), len(cost)),
        limit,
        upper,
    )


def _arrivals(phases: Phases, entered: np.ndarray, tau_s: float) -> list[tuple[float, float | np.ndarray]]:
    """(share of what enters, how much later than its step starts it is due, in block times)."""
    if phases.layers == 1:
        return [(1.0, 0.0)]
    return [(1.0 / phases.layers, 0.0), (1.0, phases.late_s[entered] / tau_s)]
