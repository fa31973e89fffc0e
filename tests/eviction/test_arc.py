"""ARC by hand (libCacheSim: test_libcachesim.py)."""

from hypothesis import given
from hypothesis import strategies as st

from pagedkv.eviction._ghosts import B1, B2, T1, T2
from pagedkv.eviction.arc import Arc
from tests.eviction.cache import STREAMS, Cache, array, misses


def lists(arc: Arc, contents: range) -> dict[int, list[int]]:
    """Contents by the list they are in."""
    where = arc._located(array(*contents)).tolist()
    return {name: [c for c, at in zip(contents, where, strict=True) if at == name] for name in (T1, T2, B1, B2)}


def test_by_hand():
    """Three slots. 0 is read twice and enters T2. 3 replaces 1, which T1 gives because it is longer than the target, 0.
    The ghost 1 raises the target to 1; T1, with 2 and 3, is still longer and gives 2; 1 enters T2. For 4, T1 is as long
    as the target, so T2 gives 0. The ghost 0 lowers the target by 1; T1 gives 3."""
    arc = Arc()
    cache = Cache(arc, 3)
    cache.use(0, 1, 2, 0)
    cache.use(3)
    assert (cache.evicted, arc.target) == ([1], 0)
    cache.use(1)
    assert (cache.evicted, arc.target) == ([1, 2], 1)
    assert lists(arc, range(4)) == {T1: [3], T2: [0, 1], B1: [2], B2: []}
    cache.use(4)
    assert (cache.evicted, arc.target) == ([1, 2, 0], 1)
    cache.use(0)
    assert (cache.evicted, arc.target) == ([1, 2, 0, 3], 0)
    assert lists(arc, range(5)) == {T1: [4], T2: [0, 1], B1: [2, 3], B2: []}


def test_with_nothing_read_twice_it_is_a_queue_without_ghosts():
    """T1 fills the cache: what leaves it is forgotten, for |T1| + |B1| is the capacity at most."""
    arc = Arc()
    cache = Cache(arc, 3)
    cache.use(0, 1, 2, 3, 4)
    assert cache.evicted == [0, 1]
    assert lists(arc, range(5)) == {T1: [2, 3, 4], T2: [], B1: [], B2: []}


def test_a_ghost_moves_the_target_by_the_ratio_of_the_ghost_lists():
    """B1 holds 4, B2 holds 0, 1 and 2: a reference to 4 raises the target by 3."""
    arc = Arc()
    arc.attach(8)
    arc.admit(array(0, 1, 2, 3, 4))
    arc.touch(array(0, 1, 2))
    arc.evicted(array(0, 1, 2, 4))
    assert lists(arc, range(5)) == {T1: [3], T2: [], B1: [4], B2: [0, 1, 2]}
    arc.touch(array(4))
    assert arc.target == 3
    arc.touch(array(2))
    assert arc.target == 2


def test_when_t1_is_as_long_as_the_target_a_ghost_of_b2_takes_from_it():
    """T1 holds 3 and 4, T2 holds 1, 0 is a ghost of B2. A new block takes from T2, the ghost from T1, although either
    finds the target at 2."""
    for block, target, victim in ((9, 2.0, 1), (0, 3.0, 3)):
        arc = Arc()
        cache = Cache(arc, 3)
        cache.use(0, 1, 2, 0, 3, 1, 4)
        arc.target = target
        cache.use(block)
        assert arc.target == 2
        assert cache.evicted[-1] == victim


def test_a_victim_does_not_shorten_t1_if_it_makes_room_for_a_new_block():
    """T1 holds 2 and 3, one more than the target. It gives both for two new blocks."""
    arc = Arc()
    cache = Cache(arc, 4)
    cache.use(0, 1, 2, 3, 0, 1)
    arc.target = 1.0
    cache.enter(5, 4)
    assert cache.evicted == [2, 3]


def test_blocks_that_enter_together_count_as_if_they_were_in():
    """T1 holds 3 alone, the target is 0. The three new blocks of a request make T1 longer than the target each, but are
    in use: 3 goes for the first, and T2 gives the other two."""
    cache = Cache(Arc(), 4)
    cache.use(0, 1, 2, 3, 0, 1, 2)
    cache.enter(6, 5, 4)
    assert cache.evicted == [3, 0, 1]


def test_a_block_in_use_is_skipped():
    """T1 holds 1 and 2, of which 1 runs."""
    cache = Cache(Arc(), 3)
    cache.use(0, 0)
    cache.enter(1)
    cache.use(2)
    cache.use(3)
    assert cache.evicted == [2]


def test_a_prefetched_ghost_is_a_new_block():
    """1 was evicted from T1 and is prefetched: the target stays, it enters T1, and its first use lifts it to T2."""
    arc = Arc()
    cache = Cache(arc, 3)
    cache.use(0, 0, 1, 2, 3)
    cache.prefetch(1)
    assert arc.target == 0
    assert lists(arc, range(4)) == {T1: [1, 3], T2: [0], B1: [2], B2: []}
    cache.use(1)
    assert lists(arc, range(4)) == {T1: [3], T2: [0, 1], B1: [2], B2: []}


def test_dropped_blocks_leave_no_ghost():
    arc = Arc()
    cache = Cache(arc, 3)
    cache.use(0, 0, 1)
    cache.drop(0, 1)
    assert lists(arc, range(2)) == {T1: [], T2: [], B1: [], B2: []}


@given(STREAMS, st.integers(2, 6))
def test_lists_stay_within_their_bounds(stream, capacity):
    arc = Arc()
    misses(arc, stream, capacity)
    sizes = {name: len(found) for name, found in lists(arc, range(10)).items()}
    assert sizes == arc._sizes | {ghosts: len(arc._ghosts[ghosts]) for ghosts in (B1, B2)}
    assert sizes[T1] + sizes[B1] <= capacity
    assert sum(sizes.values()) <= 2 * capacity
    assert 0 <= arc.target <= capacity
