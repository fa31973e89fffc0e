"""Plan-aware eviction: what no planned request reads goes first, by age; then the furthest planned use."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.eviction._queue import anything
from pagedkv.eviction.plan_aware import PlanAware
from tests.eviction.cache import array, order

SETS = st.lists(st.lists(st.integers(0, 15), unique=True, max_size=6), max_size=5)


def test_without_a_plan_it_is_lru():
    policy = PlanAware()
    policy.insert(array(12, 11, 10))
    policy.insert(array(21, 20))
    assert order(policy, [10, 11, 12, 20, 21]) == [12, 11, 10, 21, 20]


def test_unplanned_by_age_then_furthest_use():
    """The plan: request A (10 11) is next, then B (20 21), then C (30). 40 and 41 are nobody's. Released in the order
    10 11 41 20 21 30 40."""
    policy = PlanAware()
    policy.insert(array(10, 11, 41, 20, 21, 30, 40))
    policy.replan([array(10, 11), array(20, 21), array(30)])
    assert order(policy, [10, 11, 20, 21, 30, 40, 41]) == [41, 40, 30, 20, 21, 10, 11]


def test_of_several_planned_readers_the_nearest_counts():
    """Block 5 is a prefix of the first and of the last request, 6 only of the middle one, 7 of the last."""
    policy = PlanAware()
    policy.insert(array(5, 6, 7))
    policy.replan([array(5), array(6), array(5, 7)])
    assert order(policy, [5, 6, 7]) == [7, 6, 5]


def test_a_new_plan_replaces_the_old_one():
    """First 1 is planned next and 2 after it; then only 3. 1 and 2 are unplanned again, by age."""
    policy = PlanAware()
    policy.insert(array(3, 1, 2))
    policy.replan([array(1), array(2)])
    assert order(policy, [1, 2, 3]) == [3, 2, 1]
    policy.replan([array(3)])
    assert order(policy, [1, 2, 3]) == [1, 2, 3]
    policy.replan([])
    assert order(policy, [1, 2, 3]) == [3, 1, 2]


def test_contents_younger_than_the_plan_are_unplanned():
    """The plan knows contents up to 2; 5000 came later."""
    policy = PlanAware()
    policy.replan([array(2), array()])
    policy.insert(array(2, 5000))
    assert order(policy, [2, 5000]) == [5000, 2]


@given(plans=st.lists(SETS, max_size=3), inserted=st.permutations(range(16)), barred=st.sets(st.integers(0, 15)))
def test_order_is_that_of_a_plain_sort(plans, inserted, barred):
    policy, plan = PlanAware(), []
    policy.insert(array(*inserted[:12]))
    for plan in plans:
        policy.replan([array(*contents) for contents in plan])
    policy.insert(array(*inserted[12:]))
    place = {c: next((i for i, contents in enumerate(plan) if c in contents), len(plan)) for c in range(16)}
    expected = [c for c in sorted(inserted, key=lambda c: -place[c]) if c not in barred]
    forbidden = sorted(barred)
    assert policy.victims(16, lambda c: ~np.isin(c, forbidden)).tolist() == expected
    assert policy.victims(3, anything).tolist() == sorted(inserted, key=lambda c: -place[c])[:3]
