"""SARC's two lists by hand. A demanded block is touched before it gets its slot, a prefetched one is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.engine.replay import Rotation
from pagedkv.errors import PagedKVError
from pagedkv.eviction.lru import Lru
from pagedkv.eviction.sarc import RANDOM, SEQUENTIAL, Sarc
from tests.engine.build import record, replay, table
from tests.eviction.cache import STREAMS, array, misses, order


def made(capacity: int = 10, bottom: float = 0.2) -> Sarc:
    """With the defaults: bottom 2 blocks, and the sequential list may have 5."""
    sarc = Sarc(bottom=bottom)
    sarc.attach(capacity)
    return sarc


def create(sarc: Sarc, *contents: int) -> None:
    sarc.admit(array(*contents))
    sarc.insert(array(*contents))


def evict(sarc: Sarc, *contents: int) -> None:
    sarc.remove(array(*contents))
    sarc.evicted(array(*contents))


def prefetch(sarc: Sarc, *contents: int) -> None:
    """They exist, have been evicted, and come back before anybody reads them."""
    create(sarc, *contents)
    evict(sarc, *contents)
    sarc.admit(array(*contents))
    sarc.insert(array(*contents))


def read(sarc: Sarc, *contents: int, absent: bool = False) -> None:
    """A request enters, reads `contents`, and leaves."""
    sarc.remove(array(*contents))
    sarc.touch(array(*contents))
    if absent:
        sarc.admit(array(*contents))
    sarc.insert(array(*contents))


def mixed(sequential: int) -> Sarc:
    """Random 0..3, then so many sequential ones from 10 on."""
    sarc = made()
    create(sarc, 0, 1, 2, 3)
    prefetch(sarc, *range(10, 10 + sequential))
    return sarc


def test_up_to_its_size_the_sequential_list_is_spared():
    """4 sequential, of 5 that it may have: random ones go, and only then sequential ones."""
    assert order(mixed(4), range(8)) == [0, 1, 2, 3, 10, 11, 12, 13]


def test_what_it_has_too_much_goes_first():
    """7, of 5 that it may have: 10 and 11 go, then random ones."""
    assert order(mixed(7), range(8)) == [10, 11, 0, 1, 2, 3, 12, 13]


def test_a_short_list_is_not_told_from_the_other():
    """1 sequential block is less than the bottom of 2: the older goes, 0 to 3 are."""
    sarc = mixed(1)
    create(sarc, 4)
    assert order(sarc, range(6)) == [0, 1, 2, 3, 10, 4]


def test_a_hit_at_the_bottom_of_the_random_list_takes_room_from_the_sequential_one():
    """0 and 1 are the bottom. A read of 0 with nothing missed: 5 - 1 = 4. Of 3, which is above: nothing."""
    sarc = mixed(4)
    read(sarc, 0)
    assert sarc.desired == 4
    read(sarc, 3)
    assert sarc.desired == 4


def test_two_hits_count_twice():
    sarc = mixed(4)
    read(sarc, 1, 0)
    assert sarc.desired == 3


def test_sequential_misses_give_it_room():
    """10 and 11 are evicted and demanded again: m = 2. The hit at 0: 2 * 2 * 2 / 4 = 2 > 1, so 5 + 1. The next one, at
    1, has m = 0 again."""
    sarc = mixed(4)
    evict(sarc, 10, 11)
    read(sarc, 10, 11, absent=True)
    read(sarc, 0)
    assert sarc.desired == 6
    read(sarc, 1)
    assert sarc.desired == 5


def test_one_miss_in_a_list_of_four_is_worth_no_more_than_the_hit():
    """2 * 1 * 2 / 4 = 1, not more than 1."""
    sarc = mixed(4)
    evict(sarc, 10)
    read(sarc, 10, absent=True)
    read(sarc, 0)
    assert sarc.desired == 4


def test_a_demanded_random_block_stays_random_and_a_sequential_one_sequential():
    """4 sequential, 4 random, each demanded again: as before, the random ones go first."""
    sarc = mixed(4)
    for content in (10, 0):
        evict(sarc, content)
        read(sarc, content, absent=True)
    assert order(sarc, range(8)) == [1, 2, 3, 0, 11, 12, 13, 10]


def test_a_random_block_becomes_sequential_by_a_prefetch():
    sarc = mixed(5)
    evict(sarc, 0)
    sarc.admit(array(0))
    sarc.insert(array(0))
    assert order(sarc, range(9)) == [10, 1, 2, 3, 11, 12, 13, 14, 0]


def test_blocks_that_may_not_go_are_skipped():
    assert mixed(7).victims(3, lambda contents: contents != 10).tolist() == [11, 12, 0]


def test_an_evicted_bottom_block_is_no_hit():
    """0 leaves from the bottom and is demanded again: a miss, which says nothing about the bottom."""
    sarc = mixed(4)
    evict(sarc, 0)
    read(sarc, 0, absent=True)
    assert sarc.desired == 5


def test_the_size_stays_within_the_capacity():
    sarc = mixed(4)
    for _ in range(9):
        for content in range(4):
            read(sarc, content)
    assert sarc.desired == 0


@given(STREAMS, st.integers(1, 8))
def test_without_prefetches_it_is_lru(stream, capacity):
    assert misses(Sarc(), stream, capacity) == misses(Lru(), stream, capacity)


def test_in_the_engine_each_resident_block_is_in_one_list():
    """With LA-8, which fetches what later steps read; what a step itself reads is demanded, however it is loaded."""
    rows = [{"prompt": 40 + 9 * n, "output": 30 + n} for n in range(6)]
    trace, _ = record(table(rows), settings={"max_num_seqs": 2, "quantum_steps": 4, "pool_blocks": 20})
    made = replay(trace, "la_k", params={"k": 8}, pool=20, rotation=Rotation(2, 4), eviction="sarc")
    made.run()
    tiers, sarc = made.memory.tiers, made.memory.tiers.pool.eviction
    tiers.assert_consistency()
    assert made.memory.counts.useful > 0
    kinds = sarc._kind[tiers.pool.resident]
    assert set(kinds.tolist()) <= {RANDOM, SEQUENTIAL}
    assert [int((kinds == kind).sum()) for kind in (RANDOM, SEQUENTIAL)] == sarc._sizes[[RANDOM, SEQUENTIAL]].tolist()
    assert sarc._sizes[SEQUENTIAL] > 0


@pytest.mark.parametrize("value", [-0.1, 1.5, "a tenth"])
def test_bad_parameters(value):
    with pytest.raises(PagedKVError, match="sarc: bottom is a number from 0 to 1, not"):
        Sarc(bottom=value)
