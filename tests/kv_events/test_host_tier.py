"""What a host tier of removed blocks would have held: by hand, and against plain lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.kv_events.events import AllBlocksCleared
from pagedkv.kv_events.host_tier import FIFO, LRU, ORDERS, VictimTier, held
from pagedkv.kv_events.residency import Residency
from tests.kv_events.logs import log, removed, stored


def loaded(steps, capacity, order=LRU):
    residency = Residency.of(log(*steps))
    return held(residency.moves, residency.arrivals, capacity, order).loaded.tolist()


ONE_BY_ONE = (
    [stored(1), stored(2), stored(3)],
    [removed(1), removed(2), removed(3)],
    [stored(1)],
    [removed(1), stored(4), removed(4)],
    [stored(1), stored(2), stored(3)],
)
"""1 2 3 leave in this order; 1 comes back and leaves again, then 4; at the end 1, 2 and 3 come back."""


@pytest.mark.parametrize(
    "capacity, order, returns",
    [
        (None, LRU, [1, 1, 1, 1]),
        (4, FIFO, [1, 1, 1, 1]),
        (3, LRU, [1, 1, 0, 1]),  # 1 2 3, read 1: 2 3 1, removed again: 2 3 1, 4 drops 2: 3 1 4
        (3, FIFO, [1, 0, 1, 1]),  # 1 2 3, 4 drops 1: 2 3 4
        (2, LRU, [0, 1, 0, 0]),  # 2 3, 1 drops 2: 3 1, 4 drops 3: 1 4
        (2, FIFO, [0, 1, 0, 0]),
        (1, LRU, [0, 0, 0, 0]),
    ],
)
def test_sizes_and_orders_by_hand(capacity, order, returns):
    first, *_, a, b, c = loaded(ONE_BY_ONE, capacity, order)
    back = loaded(ONE_BY_ONE, capacity, order)[3]
    assert (first, [back, a, b, c]) == (0, returns)


def test_what_lies_behind_a_missing_block_is_of_no_use():
    """2, 1 and 3 leave in this order, so that of two places 1 and 3 hold them: only 1 is a prefix."""
    steps = [stored(1, 2, 3)], [removed(2), removed(1), removed(3)], [stored(1, 2, 3)]
    assert loaded(steps, None) == [0, 3]
    assert loaded(steps, 2) == [0, 1]


def test_a_missing_block_ends_the_chunks_that_follow():
    steps = [stored(1, 2, 3)], [removed(2), removed(1), removed(3)], [stored(1, 2)], [stored(3, after=2)]
    assert loaded(steps, 2) == [0, 1, 0]
    later = *steps[:3], [], [stored(3, after=2)]
    assert loaded(later, 2) == [0, 1, 1], "the prefix may be on the GPU since long"


def test_what_another_tier_held_is_no_merit_and_no_hindrance():
    steps = [stored(1, 2), stored(1, medium="CPU")], [removed(2, 1)], [stored(1, 2)]
    assert loaded(steps, None) == [0, 1]


def test_a_reset_empties_the_tier():
    assert loaded([[stored(1)], [removed(1)], [AllBlocksCleared()], [removed(1)], [stored(1)]], None) == [0, 1]
    assert loaded([[stored(1)], [removed(1)], [AllBlocksCleared()], [stored(1)]], None) == [0, 0]


def test_a_block_is_stored_once_while_it_stays():
    residency = Residency.of(log(*ONE_BY_ONE))
    assert held(residency.moves, residency.arrivals, None, LRU).stores == 4
    assert held(residency.moves, residency.arrivals, 2, LRU).stores == 5, "1 was dropped in between"


class PlainTier:
    def __init__(self, capacity, order):
        self.capacity, self.order, self.blocks = capacity, order, []

    def use(self, block):
        if block in self.blocks:
            if self.order == LRU:
                self.blocks.remove(block)
                self.blocks.append(block)
        else:
            self.blocks = [*self.blocks, block][-self.capacity :]


@given(st.integers(1, 5), st.sampled_from(ORDERS), st.lists(st.tuples(st.booleans(), st.integers(0, 8)), max_size=60))
def test_the_tier_is_a_plain_list(capacity, order, uses):
    tier, plain = VictimTier(capacity, order), PlainTier(capacity, order)
    for reads, block in uses:
        if not reads:
            tier.take(block)
            plain.use(block)
        elif block in tier:
            tier.read(block)
            plain.use(block)
        assert [b for b in range(9) if b in tier] == sorted(plain.blocks)


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=4), st.lists(st.integers(0, 9), max_size=4))))
def test_no_tier_loads_more_than_came_back(steps):
    residency = Residency.of(log(*([removed(*out), stored(*into)] for out, into in steps)))
    most = np.array([int(m.came_back.sum()) for m in residency.moves if hasattr(m, "came_back")], int)
    whole = held(residency.moves, residency.arrivals, None, LRU).loaded
    assert (whole <= most).all()
    for capacity in (1, 3, 6):
        for order in ORDERS:
            assert (held(residency.moves, residency.arrivals, capacity, order).loaded <= whole).all()
