"""S3-FIFO: three static FIFO queues."""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice, repeat
from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.eviction._queue import Mask
from pagedkv.eviction._ring import Ring
from pagedkv.eviction._runs import Runs
from pagedkv.eviction.base import Contents, EvictionPolicy
from pagedkv.eviction.registry import register

NOWHERE, SMALL, MAIN, GHOST = range(4)
MOST_USES = 3
"""References are counted in two bits."""


@register
class S3Fifo(EvictionPolicy):
    """New blocks pass through a small FIFO queue; those that are referenced there often enough, or again soon after
    they were evicted, enter the main queue, a CLOCK with two bits.

    The main queue gives a victim if it is longer than its share or the small one is empty: the first block whose count
    is 0; the others pay one and go to the end. Else the small queue gives its first block, after those with
    `promote_at` references have moved to main, where they start from 0. What leaves the small queue becomes a ghost; a
    reference to a ghost lets the block enter main. Before the first eviction new blocks enter main once small is full.

    `small_share` (0.1) of the cache is the small queue, the rest main; ghosts are as many as `ghost_share` (0.9) of the
    cache; `promote_at` is 2. Blocks in use are skipped: in the small queue they keep their place, the hand of main
    passes over them. When one queue has no block that may go, the other gives. Several blocks that enter together: each
    victim is chosen as if the block that it makes room for were in. Prefetched blocks enter the small queue.

    Level: I0. Cost: O(1) a block that is read, gets a slot or becomes evictable, O(blocks that the hand passes) an
    eviction. Source: Yang et al., SOSP 2023; warm-up and reset of counts as in libCacheSim.
    """

    name = "s3_fifo"
    level = Level.I0
    source = "Yang et al., FIFO Queues are All You Need for Cache Eviction, SOSP 2023"
    parameters = {"small_share": 0.1, "ghost_share": 0.9, "promote_at": 2}
    shares = ("small_share", "ghost_share")
    choices = {"promote_at": (1, 2, 3)}

    small_share: float
    ghost_share: float
    promote_at: int

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._where = np.zeros(0, np.int8)
        self._uses = np.zeros(0, np.int8)
        self._arrival = np.zeros(0, np.int64)
        self._arrivals = 0
        self._sizes = {SMALL: 0, MAIN: 0}
        self._small = Runs()
        """Evictable blocks of the small queue, by arrival."""
        self._main = Ring(turning=True, most_credit=MOST_USES)
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._coming: OrderedDict[int, bool] = OrderedDict()
        """Blocks without a slot that the last entering request reads, and whether each was a ghost."""
        self._warm = False
        """A block was evicted."""

    def attach(self, capacity: int) -> None:
        super().attach(capacity)
        self._small_capacity = max(1, int(self.small_share * capacity))
        self._ghost_capacity = int(self.ghost_share * capacity)

    # ------------------------------------------------------------ what happens to blocks
    def touch(self, contents: Contents) -> None:
        self._fit(contents)
        where = self._where[contents]
        held = (where == SMALL) | (where == MAIN)
        read = contents[held]
        self._uses[read] = np.minimum(self._uses[read] + 1, MOST_USES)
        self._coming = OrderedDict(zip(contents[~held].tolist(), (where[~held] == GHOST).tolist(), strict=True))
        self._forget(contents[where == GHOST])

    def admit(self, contents: Contents) -> None:
        self._fit(contents)
        returns = np.array([self._coming.pop(content, False) for content in contents.tolist()], bool)
        self._forget(contents[self._where[contents] == GHOST])
        self._enter_main(contents[returns])
        fresh = contents[~returns]
        room = len(fresh) if self._warm else max(0, self._small_capacity - self._sizes[SMALL])
        self._enter_main(fresh[room:])
        small = fresh[:room]
        self._arrival[small] = np.arange(self._arrivals, self._arrivals + len(small))
        self._arrivals += len(small)
        self._place(small, SMALL)

    def evicted(self, contents: Contents) -> None:
        self._warm |= len(contents) > 0
        ghosts = contents[self._where[contents] == SMALL]
        self.dropped(contents)
        self._where[ghosts] = GHOST
        self._ghosts.update(dict.fromkeys(ghosts.tolist()))
        while len(self._ghosts) > self._ghost_capacity:
            self._where[self._ghosts.popitem(last=False)[0]] = NOWHERE

    def dropped(self, contents: Contents) -> None:
        self._main.discard(contents[self._where[contents] == MAIN])
        self._place(contents, NOWHERE)

    # ------------------------------------------------------------ the set
    def insert(self, contents: Contents) -> None:
        super().insert(contents)
        small = contents[self._where[contents] == SMALL]
        self._small.push(self._arrival[small], self._serial[small], small)

    def victims(self, count: int, allowed: Mask) -> Contents:
        chosen: list[int] = []
        enters_main = [*islice(self._coming.values(), count), *repeat(False, count - len(self._coming))]
        small = self._small_victims(count, allowed)
        small_gives = main_gives = True
        # Change of main's size when all those chosen so far have left and those for which they make room have entered.
        growth = 0
        while len(chosen) < count and (small_gives or main_gives):
            coming = enters_main[len(chosen) :]
            from_main = self._next_from_main(growth, coming) if small_gives else len(coming)
            if from_main and main_gives:
                found = self._main_victims(from_main, chosen, allowed)
                main_gives = len(found) == from_main
                growth -= len(found)
            else:
                found = list(islice(small, 1))
                small_gives = len(found) == 1
                main_gives |= not small_gives  # what small had left may have moved there
            growth += sum(coming[: len(found)])
            chosen += found
        return np.array(chosen, np.int64)

    def _next_from_main(self, growth: int, coming: list[bool]) -> int:
        """How many victims main gives next because it is too long, if its size has changed by `growth` and each victim
        makes room for one of `coming` (True: for a block that enters main)."""
        surplus = self._sizes[MAIN] + growth - (self.capacity - self._small_capacity)
        for number, enters_main in enumerate(coming):
            if surplus <= 0:
                return number
            surplus -= not enters_main
        return len(coming)

    def _small_victims(self, count: int, allowed: Mask) -> Iterator[int]:
        """Blocks of the small queue, the first one first; those with enough references move to main on the way."""
        passed = 0
        while len(batch := self._small.take(passed + count, self._in_small, allowed)[passed:]):
            for content in batch.tolist():
                if self._uses[content] >= self.promote_at:
                    self._enter_main(np.array([content]))
                else:
                    passed += 1
                    yield content

    def _main_victims(self, count: int, chosen: list[int], allowed: Mask) -> list[int]:
        def judged(ahead: Contents) -> np.ndarray:
            return self.members(ahead) & allowed(ahead) & ~np.isin(ahead, chosen)

        return self._main.sweep(count, judged, self._uses).tolist()

    def _in_small(self, contents: Contents, serials: np.ndarray) -> np.ndarray:
        return self._current(contents, serials) & (self._where[contents] == SMALL)

    # ------------------------------------------------------------ queues
    def _enter_main(self, contents: Contents) -> None:
        self._place(contents, MAIN)
        self._main.append(contents)

    def _place(self, contents: Contents, queue: int) -> None:
        """Count `contents` in `queue`, without references, and no longer where they were."""
        where = self._where[contents]
        for held in self._sizes:
            self._sizes[held] -= int((where == held).sum())
        if queue in self._sizes:
            self._sizes[queue] += len(contents)
        self._where[contents] = queue
        self._uses[contents] = 0

    def _forget(self, ghosts: Contents) -> None:
        for content in ghosts.tolist():
            del self._ghosts[content]
        self._where[ghosts] = NOWHERE

    def _fit(self, contents: Contents) -> None:
        if len(contents):
            largest = int(contents.max())
            self._where = fitted(self._where, largest, NOWHERE)
            self._uses = fitted(self._uses, largest, 0)
            self._arrival = fitted(self._arrival, largest, 0)
