"""A demand cache around an eviction policy, and streams of accesses to compare caches on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from pagedkv.eviction.base import EvictionPolicy

STREAMS = st.lists(st.integers(0, 9), max_size=80)
NEVER = 1 << 40


def anything(contents: np.ndarray) -> np.ndarray:
    return np.ones(len(contents), bool)


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


def unit_size_trace(libcachesim, stream: list[int], path: Path):
    """A reader of libCacheSim over `stream`, with next uses, all objects of size 1."""
    records = np.zeros(len(stream), [("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
    uses = np.array(next_uses(stream))
    records["time"], records["id"], records["size"] = np.arange(len(stream)), np.array(stream) + 1, 1
    records["next"] = np.where(uses == NEVER, -1, uses + 1)
    records.tofile(path)
    return libcachesim.TraceReader(str(path), libcachesim.TraceType.ORACLE_GENERAL_TRACE)


def skewed_stream(seed: int, accesses: int = 5000, contents: int = 300) -> list[int]:
    """Zipf-like popularity, with a loop over a third of the contents mixed in."""
    rng = np.random.default_rng(seed)
    popular = np.minimum(rng.zipf(1.3, accesses) - 1, contents - 1)
    loop = np.arange(accesses) % (contents // 3)
    return np.where(rng.random(accesses) < 0.3, loop, popular).tolist()
