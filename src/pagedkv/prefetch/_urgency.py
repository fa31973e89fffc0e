"""Whether a link keeps up with a plan: missing blocks against the time until they are used."""

from __future__ import annotations

from pagedkv.engine.view import Planned, View

ROUNDING = 1e-9
"""Share of a step below which a difference is the rounding of a division."""


def load_steps(view: View) -> float:
    """Steps that the load of one block takes; 1 before the first step, whose time is not known yet."""
    return view.block_load_s / view.step_s if view.step_s > 0 else 1.0


def missing_until(view: View, planned: list[Planned], each: float) -> list[int]:
    """For each entry of a plan, the missing blocks of all entries up to it. The load of one takes `each` steps.

    Exact up to the last entry for which the load of even all these blocks, missing or not, would take until the step
    before it; behind that, all blocks are counted: it cannot be urgent yet, and nothing is looked up for it.
    """
    blocks, last = 0, -1
    totals = []
    for position, entry in enumerate(planned):
        blocks += entry.blocks
        totals.append(blocks)
        if blocks * each >= entry.step - view.step - 1 - ROUNDING:
            last = position
    missing = 0
    for position in range(last + 1):
        missing += view.absent_of(planned[position].request)
        totals[position] = missing
    return totals
