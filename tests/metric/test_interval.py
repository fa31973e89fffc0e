"""The bootstrap interval of the stall removed, where its value is known without drawing."""

import math

import numpy as np
import pytest

from pagedkv.metric.interval import BLOCKS, stall_removed_interval


def test_a_constant_ratio_has_no_spread():
    """Every block of steps, and so every resample, removes 3/4."""
    reference = np.random.Generator(np.random.PCG64(1)).random(4 * BLOCKS)
    assert stall_removed_interval(0.25 * reference, reference) == pytest.approx((0.75, 0.75))


def test_equal_runs_remove_nothing_and_no_stall_removes_everything():
    reference = np.arange(1.0, 2 * BLOCKS + 1)
    assert stall_removed_interval(reference, reference) == (0.0, 0.0)
    assert stall_removed_interval(0 * reference, reference) == (1.0, 1.0)


def test_more_stall_than_the_reference_is_a_negative_share():
    reference = np.ones(BLOCKS)
    assert stall_removed_interval(3 * reference, reference) == (-2.0, -2.0)


def test_half_of_the_blocks_removed():
    """One step a block, half of them without stall: a resample removes k/40 with k binomial(40, 1/2), whose standard
    deviation is sqrt(10)/40; 1.96 of them are 0.155. Quantiles of 1,000 draws lie within one step of 1/40 of it."""
    reference = np.ones(BLOCKS)
    own = np.where(np.arange(BLOCKS) % 2, 1.0, 0.0)
    low, high = stall_removed_interval(own, reference)
    assert low == pytest.approx(0.5 - 0.155, abs=0.026)
    assert high == pytest.approx(0.5 + 0.155, abs=0.026)


def test_the_interval_holds_the_value_and_is_the_same_in_every_run():
    random = np.random.Generator(np.random.PCG64(2))
    reference, own = random.random(997), random.random(997) * 0.8
    low, high = stall_removed_interval(own, reference)
    assert low < 1 - own.sum() / reference.sum() < high
    assert stall_removed_interval(own, reference) == (low, high)
    assert stall_removed_interval(own, reference, seed=1) != (low, high)


@pytest.mark.parametrize("own,reference", [([0.0] * 50, [0.0] * 50), ([0.1] * (BLOCKS - 1), [0.2] * (BLOCKS - 1))])
def test_without_a_stall_or_with_too_few_steps_there_is_none(own, reference):
    assert all(math.isnan(end) for end in stall_removed_interval(np.array(own), np.array(reference)))
