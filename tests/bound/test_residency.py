"""B7 by hand, and against exhaustive search."""

from itertools import product

import numpy as np
import pytest

from pagedkv.bound import intervals_of, least_loads, link_time, residency_saved_s, residency_saving
from tests.bound.test_exhaustive import Instance
from tests.bound.toy import script_of


def _saving(groups, weight, room):
    begin, end, blocks, saved = (np.array(column) for column in zip(*groups, strict=True))
    return residency_saving(begin, end, blocks.astype(float), saved.astype(float), np.array(weight), np.array(room))


def test_what_fits_is_saved_whole():
    assert _saving([(0, 2, 3, 6.0), (1, 3, 1, 5.0)], [1.0, 1.0, 1.0], [4, 4, 4]) == pytest.approx(11.0)


def test_the_densest_goes_first_and_the_last_one_in_part():
    """Two groups of 2 blocks over one slot, worth 6 and 4; room for 3: 6 + 4 / 2."""
    assert _saving([(0, 1, 2, 4.0), (0, 1, 2, 6.0)], [1.0], [3]) == pytest.approx(8.0)


def test_each_slot_is_filled_by_itself():
    """A: slots 0..1, worth 4, 2 a slot. B: slots 1..2, worth 6, 3 a slot. Room 1: 2 + 3 + 3, though 6 is the most that
    can be had; the bound is not tight."""
    assert _saving([(0, 2, 1, 4.0), (1, 3, 1, 6.0)], [1.0, 1.0, 1.0], [1, 1, 1]) == pytest.approx(8.0)


def test_longer_slots_count_more():
    """A spans 1 s and 9 s and is worth 10, 1 a second. B spans the second slot, worth 18: 2 a second. 1 + 18."""
    assert _saving([(0, 2, 1, 10.0), (1, 2, 1, 18.0)], [1.0, 9.0], [1, 1]) == pytest.approx(19.0)


def test_an_uncertain_return_is_worth_its_expectation():
    """Room for one of two blocks: a return worth 10 with probability 0.3 gives way to a certain one worth 4."""
    assert _saving([(0, 1, 1, 0.3 * 10), (0, 1, 1, 4.0)], [1.0], [1]) == pytest.approx(4.0)


def test_a_group_without_time_is_counted_whole():
    assert _saving([(1, 1, 5, 7.0)], [1.0, 1.0], [0, 0]) == pytest.approx(7.0)


@pytest.mark.parametrize("seed", range(60))
def test_no_choice_saves_more(seed):
    rng = np.random.default_rng(seed)
    slots, groups = 5, 6
    begin = rng.integers(0, slots, groups)
    end = rng.integers(begin + 1, slots + 1)
    blocks, saved = rng.integers(1, 4, groups), rng.integers(1, 20, groups)
    weight, room = rng.integers(1, 5, slots), rng.integers(0, 7, slots)
    active = (np.arange(slots)[:, None] >= begin) & (np.arange(slots)[:, None] < end)
    kept = np.array(list(product([0, 1], repeat=groups)))
    fits = (kept @ (active * blocks).T <= room).all(axis=1)
    most = (kept @ saved)[fits].max()
    bound = residency_saving(begin, end, blocks.astype(float), saved.astype(float), weight.astype(float), room)
    assert bound >= most - 1e-9


def test_a_trace_saves_no_less_than_min_does():
    """Loads on every entry, less B7, are at most those of MIN."""
    for seed in range(100):
        instance = Instance(seed)
        script, cut = instance.script, instance.cut
        intervals, link = intervals_of(script), link_time(script, cut)
        saved = residency_saved_s(intervals, instance.capacity, 1.0, link, cut)
        entering = int(intervals.blocks[intervals.entry >= max(cut, 1)].sum())
        loads = least_loads(intervals, instance.capacity, cut)[1]
        assert entering - saved <= (loads[-1] if len(loads) else 0) + 1e-9, f"instance {seed}"


def test_a_rotation_by_hand():
    """Blocks 0 and 1 are idle over steps 1..2 and 2..3 of 1 s, 2.5 s each; beside each step's block one fits. Over step
    1: half of block 0; over 2: half of either; over 3: half of block 1."""
    script = script_of([{0}, {1}, {2}, {0}, {1}], [1.0] * 5)
    assert residency_saved_s(intervals_of(script), 2, 2.5, link_time(script)) == pytest.approx(3.75)
