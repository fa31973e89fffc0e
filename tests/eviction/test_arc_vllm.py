"""vLLM's ARC by hand, where it differs from the paper's."""

from pagedkv.eviction._ghosts import B1, B2, T1, T2
from pagedkv.eviction.arc_vllm import ArcVllm
from tests.eviction.cache import Cache, array
from tests.eviction.test_arc import lists


def test_by_hand():
    """Three slots. 3 replaces 1, the older one of T1. The ghost 1 raises the target to 1; T1, with 2 and 3, is longer
    and gives 2; but 1 enters T1 again. For 4, T1 has 3 and 1, at least the target, and gives 3."""
    arc = ArcVllm()
    cache = Cache(arc, 3)
    cache.use(0, 1, 2, 0)
    cache.use(3, 1)
    assert (cache.evicted, arc.target) == ([1, 2], 1)
    assert lists(arc, range(4)) == {T1: [1, 3], T2: [0], B1: [2], B2: []}
    cache.use(4)
    assert cache.evicted == [1, 2, 3]


def test_t1_gives_as_long_as_it_has_the_whole_part_of_the_target():
    """T1 holds 1 and 2, the target is 2.9: T1 gives. With 3 it would not."""
    arc = ArcVllm()
    cache = Cache(arc, 4)
    cache.use(0, 1, 2, 0)
    arc.target = 2.9
    assert cache.order() == [1, 0, 2]
    arc.target = 3.0
    assert cache.order() == [0, 1, 2]


def test_victims_of_one_call_are_chosen_before_anything_enters():
    """T1 has 3 4 5, the target is 2: T1 gives until it is shorter than 2, then T2. Each new block would have made T1
    longer, and the paper's ARC goes on with it."""
    arc = ArcVllm()
    cache = Cache(arc, 6)
    cache.use(0, 1, 2, 0, 1, 2, 3, 4, 5)
    arc.target = 2.0
    cache.enter(9, 8, 7)
    assert cache.evicted == [3, 4, 0]


def test_each_ghost_list_is_as_long_as_the_cache():
    """After six evictions from T1, its last three ghosts are left; the paper's ARC would have none."""
    arc = ArcVllm()
    cache = Cache(arc, 3)
    cache.use(*range(9))
    assert lists(arc, range(9)) == {T1: [6, 7, 8], T2: [], B1: [3, 4, 5], B2: []}


def test_a_referenced_ghost_becomes_the_latest_ghost():
    """3 is read while it is a ghost, and gets no slot. Of the ghosts 3 4 5, 4 is then the first to be forgotten."""
    arc = ArcVllm()
    cache = Cache(arc, 3)
    cache.use(*range(9))
    arc.touch(array(3))
    cache.use(9)
    assert lists(arc, range(10))[B1] == [3, 5, 6]


def test_the_fraction_of_the_target_is_kept():
    """B1 holds 2 ghosts and B2 3: a reference to B1 raises the target by 1.5, another one to 3, one to B2 lowers it."""
    arc = ArcVllm()
    arc.attach(8)
    arc.admit(array(0, 1, 2, 3, 4))
    arc.touch(array(0, 1, 2))
    arc.evicted(array(0, 1, 2, 3, 4))
    arc.touch(array(3))
    assert arc.target == 1.5
    arc.touch(array(0))
    assert arc.target == 0.5
