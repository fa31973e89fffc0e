"""The event-driven LRU against a textbook one, access by access, and against libCacheSim."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.trace.lru import AccessRuns, LruStack, expanded, lru_misses


class PlainLru:
    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.order: OrderedDict[int, None] = OrderedDict()

    def access(self, block: int) -> bool:
        """Whether the access missed."""
        missed = block not in self.order
        self.order[block] = None
        self.order.move_to_end(block)
        if len(self.order) > self.capacity:
            self.order.popitem(last=False)
        return missed


def plain_misses(blocks: np.ndarray, capacity: int) -> int:
    cache = PlainLru(capacity)
    return sum(cache.access(block) for block in blocks.tolist())


def blocks_of(stack: LruStack) -> list[int]:
    """Least recent first."""
    blocks, run = [], stack._end.newer
    while run is not stack._end:
        blocks.extend(range(run.low, run.high))
        run = run.newer
    return blocks


def test_stack_by_hand():
    """4 slots. 0 1 2 miss. 1 2 3: 3 misses, order 0 1 2 3. 4 evicts 0: 1 2 3 4. 0 1: 0 misses and evicts 1, so that 1
    misses and evicts 2: 3 4 0 1."""
    stack = LruStack(4)
    assert [stack.access(0, 3), stack.access(1, 3)] == [3, 1]
    assert blocks_of(stack) == [0, 1, 2, 3]
    assert [stack.access(4, 1), stack.access(0, 2)] == [1, 2]
    assert blocks_of(stack) == [3, 4, 0, 1]


@given(
    capacity=st.integers(1, 30),
    extents=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), max_size=60),
)
def test_stack_is_a_plain_lru(capacity, extents):
    stack, plain = LruStack(capacity), PlainLru(capacity)
    for first, count in extents:
        assert stack.access(first, count) == sum(plain.access(block) for block in range(first, first + count))
        assert blocks_of(stack) == list(plain.order)
        assert stack.size == len(plain.order)


@st.composite
def access_runs(draw, private: bool) -> AccessRuns:
    """Up to 12 requests that come and go: several runs each, with pauses, prefill chunks and decodes.

    `private`: each has blocks of its own, as in a trace without shared prefixes; else they overlap at random.
    """
    rows = []
    for rank in range(draw(st.integers(1, 12))):
        first = 40 * rank if private else draw(st.integers(0, 40))
        step, computed = draw(st.integers(0, 60)), 0
        for _ in range(draw(st.integers(1, 4))):
            steps, scheduled = draw(st.integers(1, 60)), draw(st.sampled_from([1, 1, 1, 7, 16, 40]))
            steps = max(1, min(steps, (38 * 16 - computed) // scheduled))
            if computed + steps * scheduled > 38 * 16:
                break
            rows.append((step, steps, rank, first, computed, scheduled))
            step, computed = step + steps + draw(st.sampled_from([0, 0, 9])), computed + steps * scheduled
            if draw(st.integers(0, 9)) == 0:
                computed = 0
    return AccessRuns(*np.array(rows, np.int64).T)


@pytest.mark.parametrize("private", [True, False])
@given(data=st.data(), capacity=st.integers(1, 150))
def test_misses_are_those_of_a_plain_lru(private, data, capacity):
    runs = data.draw(access_runs(private))
    blocks = expanded(runs)
    assert lru_misses(runs, LruStack(capacity)) == (plain_misses(blocks, capacity), len(blocks))


def test_expansion_by_hand():
    """Request 1 (blocks from 10) decodes 3 steps across a block border; request 0 (from 0) joins for the last one."""
    columns = ([5, 7], [3, 1], [0, 1], [10, 0], [15, 0], [1, 20])
    runs = AccessRuns(*(np.array(column) for column in columns))
    assert expanded(runs).tolist() == [10, 10, 11, 10, 11, 0, 1]
    assert expanded(runs.until(7)).tolist() == [10, 10, 11]
    assert lru_misses(runs, LruStack(100)) == (4, 7)


def test_a_stretch_that_outgrows_the_cache():
    """One request, 1 token a step, 3 slots. It misses each of the first 3 blocks once. The first step of 4 blocks hits
    3 and misses the new one, in place of block 0; from then on each step misses all that it reads, one by one."""
    runs = AccessRuns(*(np.array([value]) for value in (0, 80, 0, 0, 0, 1)))
    assert lru_misses(runs, LruStack(3)) == (3 + (1 + 15 * 4) + 16 * 5, 16 * (1 + 2 + 3 + 4 + 5))


@pytest.mark.parametrize("capacity", [5, 20, 60])
def test_misses_are_those_of_libcachesim(tmp_path, capacity):
    libcachesim = pytest.importorskip("libcachesim")
    rng = np.random.default_rng(capacity)
    rows = [(9 * i, int(rng.integers(5, 40)), i, 40 * (i % 7), 16 * int(rng.integers(0, 9)), 1) for i in range(40)]
    runs = AccessRuns(*np.array(rows, np.int64).T)
    blocks = expanded(runs)
    records = np.zeros(len(blocks), [("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
    records["id"], records["size"], records["next"] = blocks + 1, 1, -1
    records.tofile(tmp_path / "accesses.bin")
    reader = libcachesim.TraceReader(str(tmp_path / "accesses.bin"), libcachesim.TraceType.ORACLE_GENERAL_TRACE)
    ratio, _ = libcachesim.LRU(capacity).process_trace(reader)
    assert lru_misses(runs, LruStack(capacity))[0] == round(ratio * len(blocks))


def test_no_room_is_refused():
    with pytest.raises(PagedKVError, match="capacity of 0 blocks"):
        LruStack(0)
