"""The simulated device: a clock that only goes forward, and two links that know of each other."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pagedkv.device.base import PlainStep
from pagedkv.device.cost import MeasuredCost, PathCost, Table
from pagedkv.device.simulated import SimulatedDevice
from tests.engine.build import MS, TINY, calibration


def test_the_clock_never_goes_back():
    device = SimulatedDevice(calibration(), TINY)
    assert device.now_s == 0.0
    device.advance_to(2.0)
    device.advance_to(1.0)
    assert device.now_s == 2.0


def test_links_contend():
    """Together both directions move as much as one alone: each keeps half its rate while the other one is busy."""
    device = SimulatedDevice(calibration(contention=0.5), TINY)
    device.d2h.submit(0.0, 8, TINY.block_bytes)
    assert device.h2d.submit(0.0, 3, TINY.block_bytes).done_s == pytest.approx(6 * MS)


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0, math.inf])
def test_link_scale_applies_to_both_links(scale):
    device = SimulatedDevice(calibration(submit_s=MS), TINY, scale)
    for link in (device.h2d, device.d2h):
        assert link.submit(0.0, 3, TINY.block_bytes).done_s == pytest.approx(4 * MS / scale)
        link.free_at_s = 0.0
    assert device.block_load_s == pytest.approx(MS / scale)


def test_block_load_time_is_what_one_more_block_adds():
    device = SimulatedDevice(calibration(submit_s=MS, piece_s=0.25 * MS), TINY)
    ready = device.h2d.submit(0.0, 4, TINY.block_bytes).ready_s
    assert ready[3] - ready[2] == pytest.approx(device.block_load_s) == pytest.approx(1.25 * MS)


def step(tokens: int) -> PlainStep:
    one = np.ones(1, np.int64)
    return PlainStep([], one, 100 * one, tokens * one, one == 1)


@pytest.mark.parametrize("tokens, slower", [(1, 0.3), (2, 0.0)])
def test_loads_beside_a_step_that_only_decodes_make_it_take_longer(tokens, slower):
    """Three of eight blocks of 1 ms each have arrived when a step of 3 ms begins at 3 ms; it takes 1.1 times that."""
    device = SimulatedDevice(replace(calibration(), compute_slowdown=1.1), TINY)
    device.h2d.submit(0.0, 8, TINY.block_bytes)
    device.advance_to(3 * MS)
    device.launch(step(tokens))
    device.advance_to(6 * MS)
    assert device.finish_step(3 * MS, 0.0, 3 * MS) == pytest.approx((0.0, (3 + slower) * MS))


def test_loads_that_arrive_before_the_step_begins_do_not():
    device = SimulatedDevice(replace(calibration(), compute_slowdown=1.1), TINY)
    device.h2d.submit(0.0, 2, TINY.block_bytes)
    device.advance_to(3 * MS)
    device.launch(step(1))
    device.advance_to(6 * MS)
    assert device.finish_step(1 * MS, 2 * MS, 3 * MS) == (2 * MS, 3 * MS)


def test_a_wait_counts_as_stall_only_behind_the_last_launch():
    """The step waits for its loads for 4 ms and launches for 3; its kernels take 2: it ends at 6 ms, of which 1 ms is
    stall. Without loads it would end at 3."""
    path = PathCost(0.0, Table(((1, 2 * MS),)), Table(((1, 0.0),)), launch_s=3 * MS)
    device = SimulatedDevice(replace(calibration(), compute=MeasuredCost("tiny", path, path)), TINY)
    alone = device.compute_s(*step(2).work)
    assert alone == pytest.approx(3 * MS)
    compute_s = device.waited_s(step(2), 4 * MS, alone)
    assert compute_s == pytest.approx(2 * MS)
    device.launch(step(2))
    device.advance_to(6 * MS)
    assert device.finish_step(0.0, 4 * MS, compute_s) == pytest.approx((1 * MS, 5 * MS))
