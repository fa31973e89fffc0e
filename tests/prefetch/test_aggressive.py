"""Aggressive lists everything that its plan names, however far."""

import pytest

from pagedkv.engine.ladder import Level
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.aggressive import Aggressive
from pagedkv.prefetch.base import Fetch
from tests.prefetch.schedules import by, view

PLAN = [by(4, step=12, blocks=2), by(7, step=13, blocks=0), by(5, step=900, blocks=3)]
LEVELS = {"stay": Level.I4, "len_pred": Level.I4, "true": Level.I5, "future": Level.I6}


@pytest.mark.parametrize("plan", LEVELS)
def test_in_order_of_use_and_each_spares_those_before_it(plan):
    """Request 7 has no block yet. The due steps keep 5 from evicting what 4 is fetched for."""
    policy = Aggressive(plan=plan)
    assert policy.propose(view(10, level=LEVELS[plan], plan=PLAN)) == [Fetch(4, 0, 2, 12), Fetch(5, 0, 3, 900)]
    assert policy.wake_step(view(10)) is None


@pytest.mark.parametrize("plan", LEVELS)
def test_the_level_is_that_of_the_plan(plan):
    assert Aggressive(plan=plan).level == LEVELS[plan]


@pytest.mark.parametrize("plan", ["true", "future"])
def test_a_lower_level_does_not_suffice(plan):
    with pytest.raises(PagedKVError, match="may not read"):
        Aggressive(plan=plan).propose(view(10, level=Level(LEVELS[plan] - 1), plan=PLAN))


def test_who_reads_the_whole_future_is_an_oracle():
    assert [Aggressive(plan=plan).family for plan in ("stay", "true", "future")] == ["schedule", "schedule", "oracle"]
    assert Aggressive.family == "schedule"


def test_a_noisy_plan_has_wrong_members():
    """Of three, each is replaced by one of the two others."""
    fetched = Aggressive(plan="noisy", p=1.0).propose(view(10, plan=PLAN))
    for entry in PLAN:
        assert entry.request not in [fetch.stream for fetch in fetched if fetch.due_step == entry.step]
