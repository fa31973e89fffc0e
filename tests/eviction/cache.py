"""A demand cache around an eviction policy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from pagedkv.eviction._queue import anything
from pagedkv.eviction.base import EvictionPolicy
from pagedkv.eviction.min import Min

STREAMS = st.lists(st.integers(0, 9), max_size=80)
NEVER = 1 << 40


def array(*contents: int) -> np.ndarray:
    return np.array(contents, np.int64)


def order(policy: EvictionPolicy, resident: list[int]) -> list[int]:
    """All victims, first one first."""
    return policy.victims(len(resident), anything).tolist()


def next_uses(stream: list[int]) -> list[int]:
    """For each access the time of the next one to the same content."""
    upcoming: dict[int, int] = {}
    uses = []
    for time in range(len(stream) - 1, -1, -1):
        uses.append(upcoming.get(stream[time], NEVER))
        upcoming[stream[time]] = time
    return uses[::-1]


def misses(
    policy: EvictionPolicy, stream: list[int], capacity: int, before: Callable[[int], None] = lambda time: None
) -> int:
    """Misses of a cache of `capacity` blocks in which every block is evictable again right after its access."""
    policy.attach(capacity)
    resident: set[int] = set()
    missed = 0
    for time, content in enumerate(stream):
        before(time)
        accessed = array(content)
        policy.remove(accessed)
        policy.touch(accessed)
        if content not in resident:
            missed += 1
            if len(resident) == capacity:
                victim = policy.victims(1, anything)
                policy.remove(victim)
                policy.evicted(victim)
                resident.remove(int(victim[0]))
            policy.admit(accessed)
            resident.add(content)
        policy.insert(accessed)
    return missed


def min_misses(stream: list[int], capacity: int) -> int:
    """Misses of MIN that is told, before each access, when its content is used again: as the replay does it."""
    policy, uses = Min(), next_uses(stream)
    policy.next_use = np.full(max(stream, default=0) + 1, NEVER)

    def before(time: int) -> None:
        policy.next_use[stream[time]] = uses[time]

    return misses(policy, stream, capacity, before)


def unit_size_trace(libcachesim, stream: list[int], path: Path):
    """A reader of libCacheSim over `stream`, with next uses, all objects of size 1."""
    records = np.zeros(len(stream), [("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
    uses = np.array(next_uses(stream))
    records["time"], records["id"], records["size"] = np.arange(len(stream)), np.array(stream) + 1, 1
    records["next"] = np.where(uses == NEVER, -1, uses + 1)
    records.tofile(path)
    return libcachesim.TraceReader(str(path), libcachesim.TraceType.ORACLE_GENERAL_TRACE)


class Cache:
    """A pool of `capacity` slots, driven by hand. Contents are listed from the first to evict to the last.

    `evicted` are the victims so far.
    """

    def __init__(self, policy: EvictionPolicy, capacity: int) -> None:
        self.policy = policy
        self.capacity = capacity
        self.held: set[int] = set()
        self.evicted: list[int] = []
        policy.attach(capacity)

    def enter(self, *contents: int) -> None:
        """A request enters that reads `contents`; the missing ones get slots."""
        self.policy.remove(array(*contents))
        self.policy.touch(array(*contents))
        self._admit([content for content in contents if content not in self.held])

    def leave(self, *contents: int) -> None:
        """No running request reads `contents` any more."""
        self.policy.insert(array(*contents))

    def use(self, *contents: int) -> None:
        """One request after the other enters, reads one of `contents`, and leaves."""
        for content in contents:
            self.enter(content)
            self.leave(content)

    def prefetch(self, *contents: int) -> None:
        self._admit(list(contents))
        self.policy.insert(array(*contents))

    def drop(self, *contents: int) -> None:
        """Nobody will read `contents`, which no running request reads, again."""
        self.policy.remove(array(*contents))
        self.policy.dropped(array(*contents))
        self.held -= set(contents)

    def order(self) -> list[int]:
        """All victims, first one first, as they would go one by one if nothing else happened."""
        return self.policy.victims(len(self.held), anything).tolist()

    def _admit(self, contents: list[int]) -> None:
        room = self.capacity - len(self.held)
        if len(contents) > room:
            victims = self.policy.victims(len(contents) - room, anything)
            self.policy.remove(victims)
            self.policy.evicted(victims)
            self.evicted += victims.tolist()
            self.held -= set(victims.tolist())
        self.policy.admit(array(*contents))
        self.held |= set(contents)
