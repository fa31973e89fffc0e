"""Bounds of scripts worked by hand."""

import numpy as np
import pytest

from pagedkv.bound import bound_for, intervals_of, least_loads
from pagedkv.bound import windows as windows_module
from pagedkv.engine.script import Leave
from pagedkv.errors import PagedKVError
from tests.bound.toy import Exhaustive, script_of

# Steps:      0     1     2     3     4
ROTATION = [{0}, {1}, {2}, {0}, {1}]
"""Blocks 0, 1, 2 are created by steps 0, 1, 2; 0 is idle over 1..2 and read by 3, 1 is idle over 2..3 and read by 4."""


def test_intervals_of_a_rotation():
    intervals = intervals_of(script_of(ROTATION, [1.0] * 5))
    groups = list(zip(intervals.leave.tolist(), intervals.entry.tolist(), intervals.blocks.tolist(), strict=True))
    assert groups == [(1, 3, 1), (2, 4, 1)]
    assert intervals.working.tolist() == [1, 1, 1, 1, 1]


def test_a_block_is_in_the_batch_while_any_request_holds_it():
    """Block 0 is held over 0..1 by its creator and over 1..2 by a second request: it leaves before 3, not before 2."""
    script = script_of([{0}, {0}, {0}, {1}, {0}], [1.0] * 5)
    holder = script.events[3].leaves.pop()
    script.events[1].enters.append(script.events[4].enters[0])
    script.events[2].leaves.append(Leave(7, holder.contents, holder.partial, False))
    script.events[3].leaves.append(holder)
    intervals = intervals_of(script)
    assert (intervals.leave.tolist(), intervals.entry.tolist()) == ([3], [4])
    assert intervals.working.tolist() == [1, 1, 1, 1, 1]


def test_blocks_idle_over_the_same_steps_are_one_group():
    intervals = intervals_of(script_of([{0, 1, 2}, {3}, {0, 1, 2}], [1.0] * 3))
    assert (intervals.leave.tolist(), intervals.entry.tolist(), intervals.blocks.tolist()) == ([1], [2], [3])


def test_leaving_and_entering_at_one_boundary_is_not_idle():
    script = script_of([{0}, {0, 1}], [1.0, 1.0])
    script.events[1].leaves.append(Leave(0, np.array([0]), np.array([]), False))
    entry = script_of([{0}, {1}, {0}], [1.0] * 3).events[2].enters[0]
    script.events[1].enters.append(entry)
    intervals = intervals_of(script)
    assert len(intervals.leave) == 0
    assert intervals.working.tolist() == [1, 2]


def test_two_slots_load_one_block_of_the_rotation():
    """With 2 slots one idle block fits beside each step's own. Both are idle over step 2: 1 ends last and goes."""
    steps, loads = least_loads(intervals_of(script_of(ROTATION, [1.0] * 5)), 2)
    assert (steps.tolist(), loads.tolist()) == ([3, 4], [0, 1])


def test_one_slot_forces_each_load_into_the_open():
    """With one slot a load can start only when the step before has computed. Loads before 3 and before 4, each 2.5 s
    of bare stall. B1 counts all the time before: by step 4, 2 loads in 4 s of compute, 5 - 4 = 1 s of stall. B2:
    windows (2, 3] and (3, 4], each 2 distinct blocks, 1 slot, no time in between."""
    bounds = bound_for(script_of(ROTATION, [1.0] * 5), 1, 2.5)
    assert bounds.min_loads == 2
    assert bounds.b1_stall_s == pytest.approx(1.0)
    assert bounds.b2_stall_s == pytest.approx(5.0)
    assert bounds.stall_s == bounds.b2_stall_s
    assert Exhaustive(ROTATION, 1).stall([2] * 5, 5) == 10  # in half seconds


def test_idle_time_counts_as_link_time():
    """As above, but 2 s of idle time lie in front of step 4: its load of 2.5 s shows for 0.5 s."""
    bounds = bound_for(script_of(ROTATION, [1.0] * 5, [0.0, 0.0, 0.0, 0.0, 2.0]), 1, 2.5)
    assert bounds.b2_stall_s == pytest.approx(3.0)
    assert bounds.compute_s == pytest.approx(5.0)
    assert Exhaustive(ROTATION, 1).stall([2] * 5, 5, [0, 0, 0, 0, 4]) == 6


def test_a_window_spans_steps():
    """5 blocks, 3 slots. Window (4, 6]: steps 4..6 use 4, 0, 1, all there when it opens, and 3 slots: nothing. Window
    (4, 8] adds 2 and 3: 5 - 3 = 2 loads in the compute of 5, 6 and 7, 3 s; at 4 s a block 8 - 3 = 5 s of stall."""
    rotation = [{0}, {1}, {2}, {3}, {4}, {0}, {1}, {2}, {3}]
    bounds = bound_for(script_of(rotation, [1.0] * 9), 3, 4.0)
    assert bounds.b2_stall_s == pytest.approx(5.0)
    # 2 blocks have to go over the link after step 2 and before step 8: by 8, 8 - 8 = 0 s.
    assert (bounds.min_loads, bounds.b1_stall_s) == (2, 0.0)
    assert Exhaustive(rotation, 3).stall([1] * 9, 4) == 5


def test_what_is_resident_at_the_cut_is_free():
    """Cut before step 3: with 2 slots, block 2 (used by step 2) and one of 0 and 1 are on the GPU. With 3, all are."""
    script = script_of(ROTATION, [1.0] * 5)
    assert bound_for(script, 2, 2.5, warmup_steps=3).min_loads == 1
    assert bound_for(script, 3, 2.5, warmup_steps=3).min_loads == 0
    # The load may take the compute of step 3: 1.5 s of 2.5 s show.
    assert bound_for(script, 2, 2.5, warmup_steps=3).stall_s == pytest.approx(1.5)
    assert bound_for(script, 2, 2.5, warmup_steps=3).compute_s == pytest.approx(2.0)
    assert bound_for(script, 1, 2.5, warmup_steps=5).stall_s == 0.0


def test_enough_room_costs_nothing():
    bounds = bound_for(script_of(ROTATION, [1.0] * 5), 3, 1e9)
    assert (bounds.min_loads, bounds.stall_s) == (0, 0.0)


def test_fewer_windows_give_a_weaker_bound(monkeypatch):
    """On a trace with too many windows the long ones are left out; what remains is valid."""
    rotation = [{0}, {1}, {2}, {3}, {4}, {0}, {1}, {2}, {3}]
    script = script_of(rotation, [1.0] * 9)
    full = bound_for(script, 3, 4.0).b2_stall_s
    monkeypatch.setattr(windows_module, "CELLS", 1)
    assert 0.0 <= bound_for(script, 3, 4.0).b2_stall_s < full


def test_what_cannot_be_bounded_is_refused():
    script = script_of([{0, 1}, {2}], [1.0, 1.0])
    with pytest.raises(PagedKVError, match="capacity of 1 blocks is below the largest read set"):
        bound_for(script, 1, 1.0)
    with pytest.raises(PagedKVError, match="warm-up of 3 steps does not fit a trace of 2"):
        bound_for(script, 2, 1.0, warmup_steps=3)
    script.events[1].leaves.append(Leave(0, np.array([2]), np.array([]), False))
    script.events[1].leaves.append(Leave(0, np.array([2]), np.array([]), False))
    with pytest.raises(PagedKVError, match="content 2 leaves the batch at step 1"):
        intervals_of(script)
