"""A plan with wrong members: how many, which, and that an error stays the same error."""

import numpy as np
import pytest

from pagedkv.engine.view import Planned
from pagedkv.prefetch._noisy_plan import NoisyPlan

PLAN = [Planned(10 + n, n, n + 1) for n in range(1000)]


def wrong(noisy: list[Planned]) -> set[int]:
    """Steps at which `noisy` names another request than `PLAN`."""
    return {entry.step for entry in noisy if entry.request != entry.step - 10}


def test_without_noise_the_plan_is_the_plan():
    assert NoisyPlan(0.0, seed=1).corrupt(PLAN) == PLAN


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
def test_a_share_p_of_the_members_is_wrong(p):
    """Of 1000 draws, within four standard deviations."""
    noisy = NoisyPlan(p, seed=1).corrupt(PLAN)
    assert [entry.step for entry in noisy] == [entry.step for entry in PLAN]
    assert abs(len(wrong(noisy)) - 1000 * p) <= 4 * (1000 * p * (1 - p)) ** 0.5


def test_a_stand_in_brings_its_own_blocks():
    assert all(entry.blocks == entry.request + 1 for entry in NoisyPlan(1.0, seed=1).corrupt(PLAN))


def test_an_error_does_not_depend_on_when_the_plan_is_asked_for():
    """Seen whole, or as it grows by 100 entries a call, with other objects of the same numbers: the same steps are
    wrong; and what was wrong once keeps its stand-in."""
    whole = NoisyPlan(0.3, seed=1).corrupt(PLAN)
    growing = NoisyPlan(0.3, seed=1)
    first = growing.corrupt([Planned(np.int64(entry.step), entry.request, entry.blocks) for entry in PLAN[:100]])
    for end in range(200, 1100, 100):
        later = growing.corrupt(PLAN[:end])
    assert later[:100] == first
    assert wrong(later) == wrong(whole)


def test_other_seeds_make_other_errors():
    assert wrong(NoisyPlan(0.3, seed=1).corrupt(PLAN)) != wrong(NoisyPlan(0.3, seed=2).corrupt(PLAN))


def test_a_stand_in_that_is_no_longer_planned_is_left_out():
    """Of two, each stands in for the other; when one has joined the batch, the other's place is taken by nobody. One
    alone has nobody who could stand in for it."""
    noise = NoisyPlan(1.0, seed=1)
    assert [entry.request for entry in noise.corrupt(PLAN[:2])] == [1, 0]
    assert noise.corrupt(PLAN[1:2]) == []
    assert NoisyPlan(1.0, seed=1).corrupt(PLAN[:1]) == []
