"""ARC as vLLM's offloading ships it."""

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.eviction._ghosts import B1, B2, T1, T2, GhostEviction
from pagedkv.eviction._queue import Mask
from pagedkv.eviction.base import Contents
from pagedkv.eviction.registry import register


@register
class ArcVllm(GhostEviction):
    """ARC's lists and target, with three rules of its own: a block that comes back from the ghosts enters T1 like a new
    one; the victim is T1's oldest as long as T1 has at least int(target) blocks, else T2's; and each ghost list may be
    as long as the cache.

    A referenced ghost moves the target as in ARC and becomes the latest ghost of its list. The victims of one call
    are chosen before anything enters. Blocks in use count in their lists but are skipped; when the list to evict from
    has no other ones, the other list gives.

    Level: I0. Cost: O(1) a block that is read, evicted or becomes evictable. Source: vLLM,
    v1/kv_offload/cpu/policies/arc.py.
    """

    name = "arc_vllm"
    level = Level.I0
    source = "vLLM, v1/kv_offload/cpu/policies/arc.py"

    def touch(self, contents: Contents) -> None:
        where = self._located(contents)
        self._put(contents[(where == T1) | (where == T2)], T2)
        for content, ghosts in zip(contents[where >= B1].tolist(), where[where >= B1].tolist(), strict=True):
            self._adapt(ghosts)
            self._ghosts[ghosts].move_to_end(content)

    def admit(self, contents: Contents) -> None:
        self._put(contents, T1)

    def evicted(self, contents: Contents) -> None:
        super().evicted(contents)
        for ghosts in (B1, B2):
            while len(self._ghosts[ghosts]) > self.capacity:
                self._forget_oldest(ghosts)

    def victims(self, count: int, allowed: Mask) -> Contents:
        surplus = max(0, self._sizes[T1] - int(self.target) + 1)
        first = self._oldest(T1, min(count, surplus), allowed)
        second = self._oldest(T2, count - len(first), allowed)
        chosen = np.concatenate([first, second])
        if len(chosen) < count:
            rest = self._oldest(T1, count - len(second), allowed)[len(first) :]
            chosen = np.concatenate([chosen, rest])
        return chosen
