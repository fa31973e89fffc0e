"""ARC: adaptive replacement cache."""

from collections import OrderedDict
from itertools import islice
from typing import Any

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.eviction._ghosts import B1, B2, NOWHERE, T1, T2, GhostEviction
from pagedkv.eviction._queue import Mask
from pagedkv.eviction.base import Contents
from pagedkv.eviction.registry import register


@register
class Arc(GhostEviction):
    """Two LRU lists: T1 of blocks that came once, T2 of blocks that came again; T1's wanted size, the target, learns.

    A reference moves a block to T2. A reference to a block that was evicted from T1 (a ghost in B1) raises the target
    by max(1, |B2|/|B1|), one to a ghost in B2 lowers it by max(1, |B1|/|B2|), and the block enters T2. The victim is
    T1's oldest block if T1 is longer than the target, or as long and made room for a ghost of B2; else T2's. |T1|+|B1|
    stays within the capacity, and all four lists within twice the capacity.

    Several blocks that enter together move the target first; then each victim is chosen as if the block that it makes
    room for were in. Prefetched blocks enter T1 and forget that they were ghosts. A block is as recent as the end of
    its last use. Blocks in use count in their lists but are skipped; when the list to evict from has no other ones, the
    other list gives.

    Level: I0. Cost: O(1) a block that is read, evicted or becomes evictable. Source: Megiddo and Modha, FAST 2003.
    """

    name = "arc"
    level = Level.I0
    source = "Megiddo and Modha, ARC, FAST 2003"

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._coming: OrderedDict[int, int] = OrderedDict()
        """Blocks without a slot that the last entering request reads, and the ghost list that each was found in."""

    def touch(self, contents: Contents) -> None:
        where = self._located(contents)
        held = (where == T1) | (where == T2)
        self._put(contents[held], T2)
        self._coming = OrderedDict(zip(contents[~held].tolist(), where[~held].tolist(), strict=True))
        for ghosts in self._coming.values():
            if ghosts != NOWHERE:
                self._adapt(ghosts)

    def admit(self, contents: Contents) -> None:
        origins = [self._coming.pop(content, NOWHERE) for content in contents.tolist()]
        returned = np.array(origins, np.int8) != NOWHERE
        self._put(contents[returned], T2)
        self._put(contents[~returned], T1)
        while self._ghosts[B1] and self._sizes[T1] + len(self._ghosts[B1]) > self.capacity:
            self._forget_oldest(B1)
        while self._ghosts[B2] and self._total > 2 * self.capacity:
            self._forget_oldest(B2)

    def victims(self, count: int, allowed: Mask) -> Contents:
        old = {name: self._oldest(name, count, allowed).tolist() for name in (T1, T2)}
        coming = list(islice(self._coming.values(), count))
        chosen: list[int] = []
        size, taken = self._sizes[T1], {T1: 0, T2: 0}
        for place in range(min(count, len(old[T1]) + len(old[T2]))):
            origin = coming[place] if place < len(coming) else NOWHERE
            wanted = T1 if size > self.target or (size == self.target and origin == B2) else T2
            name = wanted if taken[wanted] < len(old[wanted]) else T1 + T2 - wanted
            chosen.append(old[name][taken[name]])
            taken[name] += 1
            size += (origin == NOWHERE) - (name == T1)
        return np.array(chosen, np.int64)

    @property
    def _total(self) -> int:
        return sum(self._sizes.values()) + sum(map(len, self._ghosts.values()))
