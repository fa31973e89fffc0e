"""S3-FIFO by hand (libCacheSim: test_libcachesim.py)."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.eviction.s3_fifo import S3Fifo
from tests.eviction.cache import Cache


def small_and_main() -> Cache:
    """Four slots, two of them small. Before the first eviction 0 and 1 fill small, 2 and 3 enter main."""
    cache = Cache(S3Fifo(small_share=0.5), 4)
    cache.use(0, 1, 2, 3)
    return cache


def test_by_hand():
    """0 is read twice. For 4, small gives: 0 has earned its place in main, 1 goes and is a ghost. For 5, main, with 2 3
    0, is too long and gives 2. The ghost 1 enters main, for which small gives 4. 3 is read. For 6, main is too long
    again: 3 pays, 0, which started from nothing, goes."""
    cache = small_and_main()
    cache.use(0, 0)
    cache.use(4)
    assert cache.evicted == [1]
    cache.use(5)
    assert cache.evicted == [1, 2]
    cache.use(1)
    assert cache.evicted == [1, 2, 4]
    cache.use(3)
    cache.use(6)
    assert cache.evicted == [1, 2, 4, 0]


def test_one_reference_is_not_enough():
    cache = small_and_main()
    cache.use(0, 4)
    assert cache.evicted == [0]


def test_what_leaves_main_is_no_ghost():
    """2 left main as above. Read again, it enters small, as its place before 5 shows."""
    cache = small_and_main()
    cache.use(0, 0, 4, 5)
    assert cache.evicted == [1, 2]
    cache.use(2)
    assert cache.evicted == [1, 2, 4]
    assert cache.order()[:2] == [5, 2]


def test_main_counts_up_to_three():
    """2 is read five times, 3 not at all. Main gives 3 after one payment of 2; 2 has two left."""
    cache = small_and_main()
    cache.use(2, 2, 2, 2, 2, 0, 0, 4, 5)
    assert cache.evicted == [1, 3]
    assert cache.policy._uses[2] == 2


def test_blocks_in_use_are_skipped():
    """0, the first of small, is in use: 1 goes. When 0 is released it is the first again."""
    cache = small_and_main()
    cache.enter(0)
    cache.use(4)
    cache.leave(0)
    cache.use(5)
    assert cache.evicted == [1, 0]


def test_when_small_is_in_use_main_gives():
    cache = small_and_main()
    cache.enter(0)
    cache.enter(1)
    cache.use(4)
    assert cache.evicted == [2]


def test_a_prefetched_ghost_enters_small_and_its_first_use_is_a_reference():
    """1 is prefetched after it was evicted. After one use it is one short of main."""
    cache = small_and_main()
    cache.use(0, 0, 4)
    cache.prefetch(1)
    assert cache.evicted == [1, 2]
    cache.use(1)
    assert cache.policy._uses[1] == 1
    cache.use(7)
    assert cache.order()[:1] == [1]


def test_blocks_that_enter_together_count_as_if_they_were_in():
    """Main, with 2 3 0, is too long for one block: it gives 2, and is not any more; small gives 4."""
    cache = small_and_main()
    cache.use(0, 0, 4)
    cache.enter(6, 5)
    assert cache.evicted == [1, 2, 4]


def test_ghosts_that_enter_together_make_main_too_long():
    """Six slots, two of them small. Main has its four; 0 and 1 are ghosts. For the first of them small gives 6, which
    makes main one too long, so that it gives 2 for the second."""
    cache = Cache(S3Fifo(small_share=0.34), 6)
    cache.use(0, 1, 2, 3, 4, 5, 6, 7)
    assert cache.evicted == [0, 1]
    cache.enter(1, 0)
    assert cache.evicted == [0, 1, 6, 2]


def test_ghosts_that_enter_together_keep_main_too_long():
    """Six slots, two of them small. 6 has moved to main, which with 2 3 4 5 6 is one too long; 0 and 1 are ghosts. Both
    enter main, so that it gives a victim for each of them."""
    cache = Cache(S3Fifo(small_share=0.34), 6)
    cache.use(0, 1, 2, 3, 4, 5, 6, 7, 6, 6, 8)
    assert cache.evicted == [0, 1, 7]
    cache.enter(1, 0)
    assert cache.evicted == [0, 1, 7, 2, 3]


def test_a_block_that_has_just_earned_its_place_goes_if_all_others_are_in_use():
    """Main is too long, but 2, 3 and 0 are in use. Small gives 4, which moves to main: nobody else is left."""
    cache = small_and_main()
    cache.use(0, 0, 4, 4, 4)
    cache.enter(2, 3, 0)
    cache.use(5)
    assert cache.evicted == [1, 4]


def test_dropped_blocks_are_no_ghosts():
    s3 = S3Fifo(small_share=0.5)
    cache = Cache(s3, 4)
    cache.use(0, 1, 2, 3)
    cache.drop(1, 3)
    assert cache.order() == [0, 2]
    assert not s3._ghosts


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"small_share": 1.5}, "s3_fifo: small_share is a number from 0 to 1, not 1.5"),
        ({"promote_at": 0}, "s3_fifo: promote_at is one of 1, 2, 3, not 0"),
        ({"ghosts": 3}, "eviction policy 's3_fifo' has no parameter 'ghosts'; it has: small_share, ghost_share, "),
    ],
)
def test_parameters_are_checked(parameters, message):
    with pytest.raises(PagedKVError, match=message):
        S3Fifo(**parameters)
