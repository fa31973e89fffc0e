"""A control that moves as many bytes as the policy that it stands beside."""

from __future__ import annotations

from collections.abc import Callable

from pagedkv.errors import PagedKVError

ROUNDS = 8
TOLERANCE = 0.02


def blocks_for(issued_with: Callable[[float], int], target: int) -> float:
    """Blocks a call with which `issued_with(blocks)` prefetches `target` blocks, within `TOLERANCE`.

    How many of the proposals are started depends on what is resident, so that the number has to be searched: each
    round scales the last one by what it missed. Raises PagedKVError if `ROUNDS` rounds do not get there.
    """
    blocks, issued = 1.0, 0
    for _ in range(ROUNDS):
        issued = issued_with(blocks)
        if abs(issued - target) <= TOLERANCE * target:
            return blocks
        blocks = round(max(0.01, blocks * min(100.0, target / max(1, issued))), 2)
    raise PagedKVError(f"a control of equal bytes was asked for {target} blocks, and comes to {issued}")
