"""Fixed horizon: within P of the use, not before."""

import pytest

from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.fixed_horizon import FixedHorizon
from tests.prefetch.schedules import by, view

PLAN = [by(4, step=11, blocks=2), by(5, step=13, blocks=3), by(6, step=20, blocks=1)]


@pytest.mark.parametrize(
    "load_s, requests, wake",
    [(0.3, [4], 12), (1.0, [4], 12), (2.5, [4, 5], 17), (10.0, [4, 5, 6], None)],
)
def test_the_horizon_is_the_steps_that_a_fetch_takes(load_s, requests, wake):
    """Before step 10, steps of 1 s: P is 1, 1, 3 and 10. Request 5, due at 13, comes within P = 1 at step 12; 6, due
    at 20, within P = 3 at 17."""
    policy, now = FixedHorizon(), view(10, plan=PLAN, block_load_s=load_s, quantum_left=1)
    assert [fetch.stream for fetch in policy.propose(now)] == requests
    assert policy.wake_step(now) == wake


def test_a_given_horizon_takes_its_place():
    policy, now = FixedHorizon(steps=3), view(10, plan=PLAN, quantum_left=1)
    assert policy.propose(now) == [Fetch(4, 0, 2, 11), Fetch(5, 0, 3, 13)]
    assert policy.label == "fixed_horizon(steps=3)"


def test_before_the_first_step_its_time_is_not_known():
    assert [f.stream for f in FixedHorizon().propose(view(10, plan=PLAN, step_s=0.0))] == [4]


def test_a_quotient_that_is_whole_but_for_rounding_is_whole():
    """0.3 / 0.1 is above 3 in binary by less than a billionth; P is 3, not 4."""
    now = view(10, plan=[by(1, step=13, blocks=1), by(2, step=14, blocks=1)], block_load_s=0.1 * 3, step_s=0.1)
    assert [fetch.stream for fetch in FixedHorizon().propose(now)] == [1]
