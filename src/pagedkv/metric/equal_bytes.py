"""A control that moves as many bytes as the policy that it stands beside."""

from __future__ import annotations

from collections.abc import Callable

ROUNDS = 5
TOLERANCE = 0.02


def blocks_for(issued_with: Callable[[int], int], target: int) -> int:
    """Blocks a call with which `issued_with(blocks)` prefetches come closest to `target`; at least 1.

    How many of the proposals are started depends on what is resident, so that the number has to be searched: each
    round scales the last one by what it missed, for at most `ROUNDS` runs or until it is within `TOLERANCE`.
    """
    blocks, best, least_off = 1, 1, float("inf")
    for _ in range(ROUNDS):
        issued = issued_with(blocks)
        off = abs(issued - target)
        if off < least_off:
            best, least_off = blocks, off
        if off <= TOLERANCE * target or issued == 0:
            break
        scaled = max(1, round(blocks * target / issued))
        if scaled == blocks:
            break
        blocks = scaled
    return best
