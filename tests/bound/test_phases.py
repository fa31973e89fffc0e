"""Phases of scripts worked by hand."""

import numpy as np

from pagedkv.bound import intervals_of, link_time, phases_of
from tests.bound.toy import script_of

# Steps:   0    1    2       3       4    5
SETS = [{0}, {1}, {1, 2}, {1, 2}, {0}, {3}]
"""Block 0 is idle over 1..3. Block 2 joins in the middle; 1 and 2 leave before 4 for good."""
COMPUTE = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
IDLE = [0.5, 0.25, 0.125, 0.0, 3.0, 0.0]


def _phases(warmup=0, layers=1):
    script = script_of(SETS, COMPUTE, IDLE)
    return phases_of(intervals_of(script), 4, link_time(script, warmup, layers), warmup)


def test_creation_alone_begins_no_phase():
    """Phases begin at 0, at 1 (block 0 leaves) and at 4 (it is read, and others leave); step 5 comes after the last
    interval. Steps 1..3 are one phase: 14 s of compute and the idle time before step 2. Its room is that of step 2."""
    phases = _phases()
    assert phases.gap_s.tolist() == [0.5, 0.25, 3.0]
    assert phases.run_s.tolist() == [1.0, 14.125, 16.0]
    assert phases.inside_s.tolist() == [0.0, 0.125, 0.0]
    assert phases.room.tolist() == [3, 2, 3]
    assert (phases.leave.tolist(), phases.entry.tolist(), phases.blocks.tolist()) == ([1], [2], [1])


def test_phases_of_a_cut_trace_begin_without_time():
    """Cut before step 3: phase 0 is the step before it, where block 0 may sit on the GPU beside 1 and 2. Step 3 neither
    lacks a block of step 2 nor reads an idle one, so that it belongs to that phase, and 8 s of link with it."""
    phases = _phases(warmup=3)
    assert phases.gap_s.tolist() == [0.0, 3.0]
    assert phases.run_s.tolist() == [8.0, 16.0]
    assert phases.room.tolist() == [2, 3]
    assert (phases.leave.tolist(), phases.entry.tolist()) == ([0], [1])


def test_the_last_of_four_layers_starts_after_three_quarters_of_a_step():
    phases = _phases(layers=4)
    assert phases.layers == 4
    assert phases.late_s.tolist() == [0.75, 1.5, 12.0]
    assert (_phases().late_s == 0).all()


def test_a_trace_without_idle_blocks_has_no_group():
    script = script_of([{0}, {1}], [1.0, 1.0])
    phases = phases_of(intervals_of(script), 2, link_time(script), 0)
    assert len(phases.blocks) == 0
    assert np.isfinite(phases.run_s).all()
