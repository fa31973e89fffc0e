"""What a host tier of removed blocks would have held: blocks enter it when the GPU removes them.

A block is of use only if all blocks of its prefix that were missing on the GPU are there too, because a hit is a
prefix: what lies behind the first block to be computed does not count.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pagedkv.kv_events.residency import Arrival, Departure

LRU, FIFO = "lru", "fifo"
ORDERS = (LRU, FIFO)


class VictimTier:
    """At most `capacity` blocks (None: all). The first to enter leaves; under LRU a block that is read, or removed from
    the GPU again, counts as entering."""

    def __init__(self, capacity: int | None, order: str) -> None:
        self._capacity = capacity
        self._refresh = order == LRU
        self._blocks: OrderedDict[int, None] = OrderedDict()
        self.stores = 0

    def __contains__(self, block: int) -> bool:
        return block in self._blocks

    def read(self, block: int) -> None:
        """`block`, which is here, is loaded. It stays."""
        if self._refresh:
            self._blocks.move_to_end(block)

    def take(self, block: int) -> None:
        """The GPU has removed `block`. Only what is not here yet has to be stored."""
        if block in self._blocks:
            self.read(block)
            return
        self._blocks[block] = None
        self.stores += 1
        if self._capacity is not None and len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)

    def clear(self) -> None:
        self._blocks.clear()


@dataclass(frozen=True)
class Held:
    """What a tier would have done on a log: `loaded[n]` blocks at arrival number n, `stores` blocks in all."""

    loaded: np.ndarray
    stores: int


def held(moves: Iterable[Arrival | Departure], arrivals: int, capacity: int | None, order: str) -> Held:
    """Play the moves of a log through one tier a rank, each of `capacity` blocks."""
    tiers: dict[int, VictimTier] = {}
    loaded, whole = np.zeros(arrivals, np.int64), np.ones(arrivals, bool)
    for move in moves:
        tier = tiers.setdefault(move.rank, VictimTier(capacity, order))
        if isinstance(move, Arrival):
            goes_on = move.follows < 0 or bool(whole[move.follows])
            loaded[move.number], whole[move.number] = _load(tier, move) if goes_on else (0, False)
        elif move.blocks is None:
            tier.clear()
        else:
            for block in move.blocks:
                tier.take(block)
    return Held(loaded, sum(tier.stores for tier in tiers.values()))


def _load(tier: VictimTier, arrival: Arrival) -> tuple[int, bool]:
    """(blocks loaded, whether all of the arrival was there). What another tier held already is no merit of this one."""
    loaded = 0
    for block, elsewhere in zip(arrival.blocks, arrival.held.tolist(), strict=True):
        if elsewhere:
            continue
        if block not in tier:
            return loaded, False
        tier.read(block)
        loaded += 1
    return loaded, True
