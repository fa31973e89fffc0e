"""B4: the least stall, as a linear program over groups of blocks that are idle over the same steps."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from pagedkv.bound.certified import LARGEST, Program, Rows, least_cost
from pagedkv.bound.phases import Phases
from pagedkv.errors import PagedKVError


def group_lp_stall_s(phases: Phases, tau_s: float, recompute_s: float | None = None, largest: int = LARGEST) -> float:
    """Least stall in seconds of any policy, if blocks may be kept, dropped and loaded in parts; NaN if not solved.

    `tau_s`: time of a block on the link. `recompute_s`: if given, what is absent may also be computed again while the
    engine stalls or idles, at so much time a block (not under D-layer). `largest`: see `certified.LARGEST`.

    This is the program of `block_lp` (Albers, Garg and Leonardi, STOC 1998), which has variables for each block in
    each step, in a form that has one a group and five a phase. Beside the merging of steps into phases, three
    observations shrink it without changing its value; tests/bound compares the two.

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


class _Columns:
    """Places of the variables: d of each group; M, P, y, s and z of each phase."""

    def __init__(self, groups: int, phases: int) -> None:
        self.dropped = np.arange(groups)
        starts = groups + phases * np.arange(5)
        self.held, self.ahead, self.loads, self.stall, self.again = starts[:, None] + np.arange(phases)
        self.count = groups + 5 * phases


def _program(phases: Phases, tau_s: float, recompute_s: float | None) -> Program:
    columns = _Columns(len(phases.blocks), phases.count)
    cost = np.zeros(columns.count)
    cost[columns.stall] = 1.0
    upper = np.full(columns.count, float(phases.blocks.sum()))
    upper[columns.dropped] = phases.blocks
    upper[columns.held] = upper[columns.ahead] = phases.room
    return Program(cost, *_balance(phases, columns), *_limits(phases, columns, tau_s, recompute_s), upper)


def _balance(phases: Phases, columns: _Columns) -> tuple[sparse.csr_matrix, np.ndarray]:
    """How M and P go from phase to phase."""
    count, rows = phases.count, Rows()
    row = np.arange(count)
    for state, changing in ((columns.held, phases.leave), (columns.ahead, phases.entry)):
        rows.add(row, state, 1.0)
        rows.add(row[1:], state[:-1], -1.0)
        rows.add(row, columns.loads, -1.0)
        rows.add(row, columns.again, -1.0)
        rows.add(row[changing], columns.dropped, 1.0)
        row = row + count
    coming, going = (np.bincount(at, phases.blocks, count) for at in (phases.leave, phases.entry))
    return rows.matrix(2 * count, columns.count), np.concatenate([coming - going, np.zeros(count)])


def _limits(
    phases: Phases, columns: _Columns, tau_s: float, recompute_s: float | None
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """What link and recompute can do in a phase; and arrival in time, of the first layer and of the last one."""
    count, rows = phases.count, Rows()
    phase = np.arange(count)
    gap, run, inside = (span_s / tau_s for span_s in (phases.gap_s, phases.run_s, phases.inside_s))
    faster = 0.0 if recompute_s is None else tau_s / recompute_s
    rows.add(phase, columns.loads, 1.0)
    rows.add(phase, columns.stall, -1.0)
    rows.add(count + phase, columns.again, 1.0)
    rows.add(count + phase, columns.stall, -faster)
    most = [gap + run, faster * (gap + inside)]

    arrivals = [(1.0, np.zeros(count))]
    if phases.layers > 1:
        arrivals = [(1.0 / phases.layers, np.zeros(count)), (1.0, phases.late_s / tau_s)]
    for kind, (share, later) in enumerate(arrivals):
        row = (2 + kind) * count + phase
        rows.add(row[phases.entry], columns.dropped, share)
        rows.add(row, columns.stall, -1.0 - faster)
        rows.add(row[1:], columns.ahead[:-1], -1.0)
        most.append((1.0 + faster) * gap + later)
    return rows.matrix((2 + len(arrivals)) * count, columns.count), np.concatenate(most)
