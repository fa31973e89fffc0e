"""Feedback-directed throttling: the rule, the counts, and what the inner policy is told."""

import pytest

from pagedkv.engine.ladder import Level
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.fdp import Fdp, Measured, change
from tests.prefetch.feedback import answer, burst, fed
from tests.prefetch.views import blocks


@pytest.mark.parametrize(
    "accuracy, lateness, pollution, expected",
    [
        (0.8, 0.02, 0.0, +1),
        (0.8, 0.02, 0.1, +1),
        (0.8, 0.0, 0.1, -1),
        (0.8, 0.0, 0.0, 0),
        (0.5, 0.02, 0.0, +1),
        (0.5, 0.02, 0.1, -1),
        (0.5, 0.0, 0.1, -1),
        (0.5, 0.0, 0.0, 0),
        (0.3, 0.02, 0.0, -1),
        (0.3, 0.02, 0.1, -1),
        (0.3, 0.0, 0.1, -1),
        (0.3, 0.0, 0.0, 0),
        (0.75, 0.02, 0.1, +1),
        (0.40, 0.01, 0.005, 0),
        (0.40, 0.02, 0.005, +1),
    ],
)
def test_the_table_of_changes(accuracy, lateness, pollution, expected):
    """The twelve cases of the paper's table 2, and the thresholds, which belong to the higher accuracy and the lower
    lateness and pollution."""
    assert change(accuracy, lateness, pollution) == expected


def test_counts_of_the_past_are_halved():
    """8 issued, 4 used: 4 and 2 after one interval. Then 2 issued and used: (4 + 2) / 2 = 3 and (2 + 2) / 2 = 2.
    Then nothing: the shares stay."""
    measured = Measured()
    measured.now.update(issued=8, used=4, late=1, misses=10, polluted=2)
    assert measured.close() == (0.5, 0.25, 0.2)
    measured.now.update(issued=2, used=2)
    assert measured.close() == (2 / 3, 0.125, 0.2)
    assert measured.close() == (2 / 3, 0.125, 0.2)


def test_nothing_measured_is_nothing():
    assert Measured().close() == (0.0, 0.0, 0.0)


def evictions(count, first=1000, by_prefetch=False):
    return [(9, index, by_prefetch) for index in range(first, first + count)]


def reach(policy):
    """How far ahead next-n fetches, where the degree does not limit: after enough accesses in its call."""
    found = answer(policy, *burst(7, 5000, 200))
    return found[-1][1] - 5199


def test_next_n_gets_the_distance_of_each_level():
    """Starts at level 3, distance 16. Accurate and late: up to 32, 64, and no further. Inaccurate and late: down to 4,
    in an interval each, as soon as the past has faded; and no further."""
    policy = Fdp(interval=10)
    assert reach(policy) == 16
    for expected in (32, 64, 64):
        uses = [(1, index, "late") for index in range(8)]
        policy.propose(fed(*uses, arrived=[(1, index, True) for index in range(8)], evicted=evictions(10)))
        assert reach(policy) == expected
    found = []
    for _ in range(9):
        policy.propose(fed((1, 9, "late"), arrived=[(1, 9, True)] * 100, evicted=evictions(10)))
        found.append(reach(policy))
    assert list(dict.fromkeys(found)) == [32, 16, 8, 4]
    assert found[-2:] == [4, 4]


def test_an_interval_ends_with_its_evictions():
    """4 and 5 evictions of 10 change nothing, one more does. The next interval begins at 0."""
    policy = Fdp(interval=10)
    late = [(1, index, "late") for index in range(8)]
    arrived = [(1, index, True) for index in range(8)]
    for count, expected in [(4, 16), (5, 16), (1, 32), (9, 32), (1, 64)]:
        policy.propose(fed(*late, arrived=arrived, evicted=evictions(count)))
        assert reach(policy) == expected


def test_degree_limits_new_blocks_an_access():
    """Level 3: 16 ahead, two new blocks an access. At the second one 2 is known: it was proposed. In a burst of three,
    so are 1 and 2, which were accessed: six more are new."""
    policy = Fdp()
    assert answer(policy, (0, 0)) == [(0, 1), (0, 2)]
    assert answer(policy, (0, 1)) == [(0, 2), (0, 3), (0, 4)]
    assert set(answer(policy, *burst(5, 0, 3))) - set(burst(5, 0, 3)) == set(burst(5, 3, 6))


def used_accurately(policy, **feedback):
    """An interval with eight prefetches, all used in time."""
    uses = [(1, index, "use") for index in range(8)]
    policy.propose(fed(*uses, arrived=[(1, index, True) for index in range(8)], **feedback))


def test_pollution_is_a_fault_on_what_a_prefetch_pushed_out():
    """A demand load pushing out the same block is none, nor is a fault on a block that came back in between."""
    for by_prefetch, returns, expected in [(True, False, 8), (False, False, 16), (True, True, 16)]:
        policy = Fdp(interval=10)
        policy.propose(fed(evicted=[(2, 40, by_prefetch)]))
        if returns:
            policy.propose(fed(arrived=[(2, 40, False)]))
            policy.propose(fed(evicted=[(2, 40, False)]))
        policy.propose(fed((2, 40, "fault")))
        used_accurately(policy, evicted=evictions(10))
        assert reach(policy) == expected


def test_a_fault_counts_against_the_eviction_of_the_same_call():
    policy = Fdp(interval=10)
    policy.propose(fed((2, 40, "fault"), evicted=[(2, 40, True)]))
    used_accurately(policy, evicted=evictions(10))
    assert reach(policy) == 8


def test_a_policy_without_a_reach_is_held_by_the_degree_alone():
    """DCPT answers 40 with 50 51 60 (worked out in its own test); at two new blocks an access, 60 is left out. After 40
    accesses in one call all of its 18 blocks are allowed."""
    policy = Fdp(inner="dcpt")
    found = [answer(policy, (0, index)) for index in (10, 11, 20, 21, 30, 31, 40)]
    assert found[-3:] == [[(0, 31), (0, 40)], [(0, 41)], [(0, 50), (0, 51)]]
    assert answer(Fdp(inner="dcpt"), *burst(0, 0, 40)) == burst(0, 40, 18)


def test_parameters_of_the_inner_policy():
    policy = Fdp(inner="next_n", inner_params={"trigger": "miss"})
    assert answer(policy, (0, 0), kind="use") == []
    assert policy.label == "fdp(next-8 miss)"
    assert reach(policy) == 16
    assert policy.label == "fdp(next-8 miss)", "the label does not follow the level"


def test_it_stands_where_its_inner_policy_stands():
    policy = Fdp(inner="best_offset")
    assert (policy.level, policy.feedback, policy.spatial, policy.replans) == (Level.I0, True, True, False)
    assert policy.wake_step(fed()) is None
    assert blocks(policy.propose(fed((0, 3, "fault")))) == [(0, 4)]


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"inner": "fdp"}, "fdp: inner is a speculative policy other than fdp, not 'fdp'"),
        ({"inner": "la_k"}, "fdp: inner is a speculative policy other than fdp, not 'la_k'"),
        ({"inner": "none"}, "fdp: inner is a speculative policy other than fdp, not 'none'"),
        (
            {"inner": "markov", "inner_params": {"over": "requests"}},
            "fdp: inner works on addresses; markov(over=requests) names requests",
        ),
        ({"inner_params": 3}, "fdp: inner_params maps parameters to values, not 3"),
        ({"inner_params": {"n": 0}}, "next_n: n is a whole number from 1 on, not 0"),
        ({"interval": 0}, "fdp: interval is a whole number from 1 on, not 0"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        Fdp(**parameters)
    assert str(error.value) == message
