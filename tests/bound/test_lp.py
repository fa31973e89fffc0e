"""The two linear programs on scripts worked by hand."""

import math

import pytest

from pagedkv.bound import block_lp_stall_s, bound_for, group_lp_stall_s, intervals_of, link_time, phases_of
from pagedkv.errors import PagedKVError
from tests.bound.toy import script_of

ROTATION = [{0}, {1}, {2}, {0}, {1}]


def _b3(sets, compute, capacity, tau, warmup=0, idle=None, **limits):
    script = script_of(sets, compute, idle)
    return block_lp_stall_s(intervals_of(script), capacity, tau, link_time(script, warmup), warmup, **limits)


def _b4(sets, compute, capacity, tau, warmup=0, idle=None, layers=1, **options):
    script = script_of(sets, compute, idle)
    link = link_time(script, warmup, layers)
    return group_lp_stall_s(phases_of(intervals_of(script), capacity, link, warmup), tau, **options)


@pytest.mark.parametrize("program", [_b3, _b4])
def test_rotation_by_hand(program):
    """One slot: both loads are in the open, 2.5 s each. Two slots: one load, best that of block 1, of which the compute
    of step 3 hides 1 s. Three slots hold all."""
    assert program(ROTATION, [1.0] * 5, 1, 2.5) == pytest.approx(5.0)
    assert program(ROTATION, [1.0] * 5, 2, 2.5) == pytest.approx(1.5)
    assert program(ROTATION, [1.0] * 5, 3, 1e6) == 0.0


@pytest.mark.parametrize("program", [_b3, _b4])
def test_idle_time_and_the_cut(program):
    assert program(ROTATION, [1.0] * 5, 1, 2.5, idle=[0.0, 0.0, 0.0, 0.0, 2.0]) == pytest.approx(3.0)
    assert program(ROTATION, [1.0] * 5, 2, 2.5, warmup=3) == pytest.approx(1.5)
    assert program(ROTATION, [1.0] * 5, 3, 2.5, warmup=3) == 0.0
    assert program(ROTATION, [1.0] * 5, 1, 2.5, warmup=5) == 0.0


@pytest.mark.parametrize("program", [_b3, _b4])
def test_a_free_link_or_nothing_to_load_forces_nothing(program):
    assert program(ROTATION, [1.0] * 5, 1, 0.0) == 0.0
    assert program([{0}, {1}], [1.0, 1.0], 2, 5.0) == 0.0


def test_programs_above_their_limit_are_not_solved():
    """B3: idle intervals of blocks 0 and 1 over steps 1..3 and 2..4, 5 phases each, 3 variables a phase; 5 stalls, 2
    residencies at the cut: 37. B4: 2 groups, 5 phases with 5 variables: 27."""
    assert math.isnan(_b3(ROTATION, [1.0] * 5, 1, 2.5, largest=36))
    assert _b3(ROTATION, [1.0] * 5, 1, 2.5, largest=37) == pytest.approx(5.0)
    assert math.isnan(_b4(ROTATION, [1.0] * 5, 1, 2.5, largest=26))
    assert _b4(ROTATION, [1.0] * 5, 1, 2.5, largest=27) == pytest.approx(5.0)


def test_without_the_program_the_best_other_bound_stands():
    script = script_of(ROTATION, [1.0] * 5)
    bounds = bound_for(script, 1, 2.5, largest_program=0)
    assert math.isnan(bounds.b4_stall_s)
    assert bounds.stall_s == bounds.b2_stall_s == pytest.approx(5.0)


def test_recompute_shares_the_work_of_a_stall():
    """Each load of 2.5 s is in the open. Recomputing a block takes 5 s of engine time, and meanwhile the link brings
    two thirds of it: 1 / (1/2.5 + 1/5) = 5/3 s each. Recompute that costs nothing leaves nothing; one that takes for
    ever changes nothing."""
    assert _b4(ROTATION, [1.0] * 5, 1, 2.5, recompute_s=5.0) == pytest.approx(10 / 3)
    assert _b4(ROTATION, [1.0] * 5, 1, 2.5, recompute_s=0.0) == 0.0
    assert _b4(ROTATION, [1.0] * 5, 1, 2.5, recompute_s=1e9) == pytest.approx(5.0)


def test_idle_time_serves_recompute_too():
    """2 s of idle time before step 4: link and recompute have done 2 (1/2.5 + 1/5) = 1.2 blocks of the one needed. The
    block of step 3 takes 5/3 s as before."""
    idle = [0.0, 0.0, 0.0, 0.0, 2.0]
    assert _b4(ROTATION, [1.0] * 5, 1, 2.5, idle=idle, recompute_s=5.0) == pytest.approx(5 / 3)


def test_layers_let_a_step_start_with_its_first_pieces():
    """One slot, 2 layers. Block 0 is loaded after step 2 has computed: its first half takes 1.25 s before step 3
    starts, the second half overlaps the 0.5 s of the first layer: 2.5 - 0.5 = 2 s of stall. The same for block 1."""
    assert _b4(ROTATION, [1.0] * 5, 1, 2.5, layers=2) == pytest.approx(4.0)


def test_the_first_layer_waits_however_long_the_step():
    """Steps of 10 s: only the first half of each block is in the open, 1.25 s; B2, which asks for the last layer, sees
    nothing."""
    script = script_of(ROTATION, [10.0] * 5)
    bounds = bound_for(script, 1, 2.5, layers=2)
    assert bounds.b4_stall_s == pytest.approx(2.5)
    assert bounds.b2_stall_s == 0.0


def test_layers_and_recompute_together_are_refused():
    with pytest.raises(PagedKVError, match="layers or recompute"):
        _b4(ROTATION, [1.0] * 5, 1, 2.5, layers=2, recompute_s=1.0)
