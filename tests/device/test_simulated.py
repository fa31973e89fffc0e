"""The simulated device: a clock that only goes forward, and two links that know of each other."""

import math

import pytest

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
