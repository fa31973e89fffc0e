"""Scripts from working sets, and exhaustive search over what any policy could do with them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations

import numpy as np

from pagedkv.engine.script import Enter, Leave, Script, StepEvents

_NONE = np.zeros(0, np.int64)


def script_of(sets: list[set[int]], compute: list[float], idle: list[float] | None = None) -> Script:
    """A script in which step t uses exactly the blocks `sets[t]`; a block is created by the first step that uses it.

    Each block is a request of its own, so that blocks come and go alone.
    """
    names = list(dict.fromkeys(block for used in sets for block in sorted(used)))
    number = {block: i for i, block in enumerate(names)}
    created = np.array([next(t for t, used in enumerate(sets) if block in used) for block in names], np.int64)
    events: dict[int, StepEvents] = {}
    entries = []
    for step, used in enumerate(sets):
        before = sets[step - 1] if step else set()
        here = StepEvents(created=np.flatnonzero(created == step))
        for block in sorted(before - used):
            here.leaves.append(Leave(number[block], np.array([number[block]]), _NONE, False))
        for block in sorted(used - before):
            if created[number[block]] < step:
                here.enters.append(Enter(number[block], np.array([number[block]]), _NONE, 0))
                entries.append((step, number[block], np.array([number[block]])))
        events[step] = here
    idle_s = np.zeros(len(sets)) if idle is None else np.array(idle, float)
    largest = max(map(len, sets))
    first_use = np.zeros(len(names), np.int64)
    steps = np.arange(len(sets))
    return Script(np.array(compute, float), idle_s, events, steps, len(names), created, first_use, entries, largest)


def _subsets(pool: int, size: int) -> Iterator[int]:
    bits = [1 << i for i in range(pool.bit_length()) if pool >> i & 1]
    return (sum(chosen) for chosen in combinations(bits, size))


class Exhaustive:
    """All that a policy can do on `sets` (numbered from 0) with `capacity` slots, from the boundary before `cut` on.

    At the cut any existing blocks may be resident, beside those of the step before. One block is in flight at a time.
    """

    def __init__(self, sets: list[set[int]], capacity: int, cut: int = 0) -> None:
        self.sets = [sum(1 << block for block in used) for used in sets]
        self.capacity = capacity
        self.cut = cut
        self.existing = [0]
        for used in self.sets:
            self.existing.append(self.existing[-1] | used)

    def _starts(self) -> Iterator[int]:
        known = self.existing[self.cut]
        pinned = self.sets[self.cut - 1] if self.cut else 0
        others = known & ~pinned
        room = min(self.capacity - pinned.bit_count(), others.bit_count())
        return (pinned | more for more in _subsets(others, room))

    def loads(self) -> int:
        """Fewest loads: after each step keep any of what is resident; load what the next step lacks."""
        states = dict.fromkeys(self._starts(), 0)
        for step in range(self.cut, len(self.sets)):
            used, known = self.sets[step], self.existing[step]
            after: dict[int, int] = {}
            for resident, cost in states.items():
                cost += (used & known & ~resident).bit_count()
                rest = resident & ~used
                room = min(self.capacity - used.bit_count(), rest.bit_count())
                for kept in _subsets(rest, room):
                    after[used | kept] = min(cost, after.get(used | kept, cost))
            states = after
        return min(states.values())

    def stall(self, compute: list[int], fetch: int, idle: list[int] | None = None) -> int:
        """Least stall in slots if step t computes `compute[t]` slots after `idle[t]` idle ones, and a load takes
        `fetch`. A slot is taken when the load starts; blocks of the running step do not leave."""
        idle = idle or [0] * len(self.sets)
        last = len(self.sets) - 1

        @cache
        def cost(step: int, left: int, resident: int, page: int, togo: int) -> int:
            """Stall to come. `left` slots are left before step `step` may begin; what `step` - 1 used is pinned while
            it computes, that is while more than its idle slots are left. `page` is in flight for `togo` slots."""
            if page and togo == 0:
                return cost(step, left, resident | page, 0, 0)
            used, known = self.sets[step], self.existing[step]
            pinned = self.sets[step - 1] if step > self.cut and left > idle[step] else 0
            choices = []
            if left == 0 and used & known & ~resident == 0:
                fresh = (used & ~known).bit_count()
                spare = self.capacity - resident.bit_count() - (page > 0) - fresh
                for gone in _subsets(resident & ~used, max(0, -spare)):
                    if step == last:
                        return 0
                    begun = resident & ~gone | used
                    choices.append(cost(step + 1, compute[step] + idle[step + 1], begun, page, togo))
                if page == 0:
                    return min(choices)  # starting a load first is the same as starting it right behind
            wait = int(left == 0)
            if page or not wait:
                choices.append(wait + cost(step, max(0, left - 1), resident, page, max(0, togo - 1)))
            if page == 0:
                # While the engine waits, what it waits for goes first: another load would only push it back.
                wanted, spared = (used, used) if wait else (known, pinned)
                full = resident.bit_count() == self.capacity
                for target in _subsets(wanted & known & ~resident, 1):
                    for gone in _subsets(resident & ~spared, int(full)):
                        choices.append(wait + cost(step, max(0, left - 1), resident & ~gone, target, fetch - 1))
            return min(choices, default=1 << 30)

        return min(cost(self.cut, idle[self.cut], resident, 0, 0) for resident in self._starts())
