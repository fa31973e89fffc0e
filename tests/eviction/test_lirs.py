"""LIRS by hand, against the paper's rules on lists, and against libCacheSim, which differs in one of them."""

from collections import OrderedDict

import pytest

from pagedkv.eviction.lirs import Lirs
from tests.eviction.cache import Cache, misses, unit_size_trace
from tests.eviction.streams import MADE, PUBLIC, public_stream


class Reference:
    """The paper's rules for one access at a time, with a stack of at most two capacities.

    `demoting`: as in libCacheSim, a hit on an HIR block that has left the stack also turns the oldest LIR block into an
    HIR block, although the number of LIR blocks has not changed. That pushes a block out of the queue, if the queue has
    room for one only the very block that was hit, which then counts as resident without being in the queue.
    """

    def __init__(self, capacity: int, demoting: bool) -> None:
        self.capacity, self.demoting = capacity, demoting
        self.most_hir = max(1, int(0.01 * capacity))
        self.lir = 0
        self.stack: OrderedDict[int, str] = OrderedDict()  # LIR, HIR or ghost, the latest last
        self.queue: OrderedDict[int, None] = OrderedDict()
        self.ghosts: OrderedDict[int, None] = OrderedDict()
        self.misses = 0

    def access(self, content: int) -> None:
        kind = self.stack.get(content)
        if kind is not None:
            self.stack.move_to_end(content)
        if content in self.queue:
            self.queue.move_to_end(content)
        if kind == "LIR":
            self.prune()
        elif kind == "HIR":
            self.queue.pop(content, None)
            self.promote(content)
        elif content in self.queue:
            while self.demoting and self.lir + 1 > self.capacity - self.most_hir:
                self.demote()
            self.stack[content] = "HIR"
        else:
            self.miss(content, kind)
        while len(self.stack) > 2 * self.capacity and self.ghosts:
            del self.stack[self.ghosts.popitem(last=False)[0]]

    def miss(self, content: int, kind: str | None) -> None:
        self.misses += 1
        if kind == "ghost":
            self.promote(content)
            self.ghosts.pop(content, None)
        elif self.lir < self.capacity - self.most_hir:
            self.promote(content)
        else:
            self.make_room()
            self.stack[content] = "HIR"
            self.queue[content] = None

    def promote(self, content: int) -> None:
        while self.lir + 1 > self.capacity - self.most_hir:
            self.demote()
        self.stack[content] = "LIR"
        self.lir += 1

    def demote(self) -> None:
        content, _ = self.stack.popitem(last=False)
        self.lir -= 1
        self.make_room()
        self.queue[content] = None
        self.prune()

    def make_room(self) -> None:
        while len(self.queue) + 1 > self.most_hir:
            content, _ = self.queue.popitem(last=False)
            if content in self.stack:
                self.stack[content] = "ghost"
                self.ghosts[content] = None

    def prune(self) -> None:
        while self.stack and self.stack[next(iter(self.stack))] != "LIR":
            self.ghosts.pop(self.stack.popitem(last=False)[0], None)


def reference_misses(stream: list[int], capacity: int, demoting: bool = False) -> int:
    reference = Reference(capacity, demoting)
    for content in stream:
        reference.access(content)
    return reference.misses


A, D, B, C, E = range(5)


def test_by_hand():
    """Three slots, two for LIR blocks: first A and D. B is HIR. C replaces B, which stays in the stack as a ghost. B
    replaces C and, as it is still in the stack, becomes LIR; A, the oldest, becomes HIR and leaves the stack. A is hit,
    goes on the stack; D is hit, so that the ghost C at the bottom is pruned. A is hit in the stack and becomes LIR for
    B. E replaces B."""
    cache = Cache(Lirs(), 3)
    cache.use(A, D, B, C)
    assert cache.evicted == [B]
    cache.use(B)
    assert cache.evicted == [B, C]
    cache.use(A, D, A)
    assert cache.order() == [B, D, A]
    cache.use(E)
    assert cache.evicted == [B, C, B]
    assert cache.order() == [E, D, A]


def test_a_loop_does_not_wash_the_cache_out():
    """5 blocks in a loop, 4 slots: LRU hits nothing, LIRS its 3 LIR blocks in every round."""
    assert misses(Lirs(), [0, 1, 2, 3, 4] * 10, 4) == 5 + 9 * 2


def test_lir_blocks_go_when_the_others_are_in_use():
    """C, the only HIR block, is in use."""
    cache = Cache(Lirs(), 3)
    cache.use(A, D)
    cache.enter(C)
    cache.use(E)
    assert cache.evicted == [A]


def test_a_prefetched_ghost_comes_in_as_a_new_block():
    """B, a ghost, is prefetched: it replaces C and is HIR. Its first use finds it in the stack, and makes it LIR."""
    cache = Cache(Lirs(), 3)
    cache.use(A, D, B, C)
    cache.prefetch(B)
    assert cache.order() == [B, A, D]
    cache.use(B)
    assert cache.order() == [A, D, B]


def test_a_return_counts_once():
    """B came back from the ghosts as an LIR block and was dropped; 8 is LIR instead. Prefetched, B is a new block."""
    cache = Cache(Lirs(), 3)
    cache.use(A, D, B, C, B)
    cache.drop(B)
    cache.prefetch(8)
    cache.prefetch(B)
    assert cache.evicted == [B, C, A]
    assert cache.order() == [B, D, 8]


def test_a_dropped_lir_block_makes_room_for_another():
    """D is dropped; C, a new block, becomes LIR in its place."""
    cache = Cache(Lirs(), 4)
    cache.use(A, D, B, E)
    assert cache.order() == [E, A, D, B]
    cache.drop(D)
    cache.use(C)
    assert cache.order() == [E, A, B, C]


def test_ghosts_are_forgotten_when_the_stack_is_too_long():
    """Two slots, one LIR block, A, which runs; the stack may have 4: A, the HIR block, and the last two ghosts."""
    cache = Cache(Lirs(), 2)
    cache.enter(A)
    cache.use(1, 2, 3, 4, 5)
    assert list(cache.policy._stack) == [A, 3, 4, 5]


@pytest.mark.parametrize("capacity", [40, 100, 400])
@pytest.mark.parametrize("stream", MADE)
def test_as_the_paper(stream, capacity):
    made = MADE[stream]()
    assert misses(Lirs(), made, capacity) == reference_misses(made, capacity)


@pytest.mark.parametrize("capacity", [100, 1000])
@pytest.mark.parametrize("stream", PUBLIC)
def test_as_the_paper_on_public_traces(public, stream, capacity):
    found = public_stream(stream, public)
    assert misses(Lirs(), found, capacity) == reference_misses(found, capacity)


@pytest.mark.parametrize("capacity", [40, 100, 400])
@pytest.mark.parametrize("stream", MADE)
def test_libcachesim_differs_in_that_one_rule(tmp_path, stream, capacity):
    libcachesim = pytest.importorskip("libcachesim")
    made = MADE[stream]()
    oracle = libcachesim.LIRS(capacity)
    ratio, _ = oracle.process_trace(unit_size_trace(libcachesim, made, tmp_path / "trace.bin"))
    assert reference_misses(made, capacity, demoting=True) == round(ratio * len(made))
