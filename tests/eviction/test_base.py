"""The two kinds of eviction order against plain lists, under random insertions, removals and masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.engine.ladder import Level
from pagedkv.errors import PagedKVError
from pagedkv.eviction._queue import anything
from pagedkv.eviction.base import EvictionPolicy, QueueEviction, RankedEviction
from pagedkv.eviction.registry import EVICTIONS
from tests.eviction.cache import array, order

SOME = st.lists(st.integers(0, 11), unique=True, max_size=6)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), SOME),
        st.tuples(st.just("remove"), SOME),
        st.tuples(st.just("victims"), st.integers(0, 8), st.sets(st.integers(0, 11))),
        st.tuples(st.just("evict"), st.integers(0, 8), st.sets(st.integers(0, 11))),
    ),
    max_size=25,
)


class Queue(QueueEviction):
    name = "queue"


class ByColour(RankedEviction):
    """Contents of equal `content % 3` have equal ranks."""

    name = "colour"

    def rank(self, contents: np.ndarray) -> np.ndarray:
        return -(contents % 3)


def preferred(policy: EvictionPolicy, members: list[int]) -> list[int]:
    """The model: `members` are in order of insertion, and sorting is stable."""
    return sorted(members, key=lambda c: -(c % 3)) if isinstance(policy, ByColour) else list(members)


@pytest.mark.parametrize("kind", [Queue, ByColour])
@given(operations=OPERATIONS)
def test_victims_are_those_of_a_plain_list(kind, operations):
    """`evict` takes the victims out, `victims` only looks. Who comes in again goes to the end. Not all that is resident
    is a member."""
    policy, members = kind(), []
    for name, what, *barred in operations:
        if name == "insert":
            policy.insert(array(*what))
            members = [c for c in members if c not in what] + what
        elif name == "remove":
            policy.remove(array(*what))
            members = [c for c in members if c not in what]
        else:
            forbidden = sorted(barred[0])
            victims = policy.victims(what, lambda c, no=forbidden: ~np.isin(c, no))
            expected = [c for c in preferred(policy, members) if c not in barred[0]][:what]
            assert victims.tolist() == expected
            if name == "evict":
                policy.remove(victims)
                members = [c for c in members if c not in expected]
        assert policy.members(np.arange(12)).tolist() == [c in members for c in range(12)]
    assert policy.victims(12, anything).tolist() == preferred(policy, members)


@pytest.mark.parametrize("kind", [Queue, ByColour])
@given(batches=st.lists(SOME, max_size=5), count=st.integers(0, 12))
def test_a_batch_equals_one_by_one(kind, batches, count):
    together, apart = kind(), kind()
    for batch in batches:
        together.insert(array(*batch))
        for content in batch:
            apart.insert(array(content))
    one_by_one = []
    for _ in range(count):
        victim = apart.victims(1, anything)
        apart.remove(victim)
        one_by_one += victim.tolist()
    assert together.victims(count, anything).tolist() == one_by_one


def test_equal_ranks_leave_by_age():
    """Ranks: 5 and 2 have -2, 4 and 1 have -1, 3 has 0. Of equals, who came first goes first."""
    policy = ByColour()
    policy.insert(array(3, 4, 5))
    policy.insert(array(1, 2))
    assert order(policy, [1, 2, 3, 4, 5]) == [5, 2, 4, 1, 3]


def test_runs_interleave():
    """Runs 0 1 2 and 5 4 3, by rank: 2, 5, 1 and 4, 0 and 3. Age decides among equals, whatever run they are in."""
    policy = ByColour()
    policy.insert(array(0, 1, 2))
    policy.insert(array(5, 4, 3))
    assert order(policy, list(range(6))) == [2, 5, 1, 4, 0, 3]


def test_masked_members_keep_their_place():
    policy = Queue()
    policy.insert(array(1, 2, 3))
    assert policy.victims(2, lambda c: c != 1).tolist() == [2, 3]
    assert order(policy, [1, 2, 3]) == [1, 2, 3]


@pytest.mark.parametrize("kind", [Queue, ByColour])
def test_contents_far_apart_and_none_at_all(kind):
    policy = kind()
    policy.insert(array())
    policy.remove(array(5000))
    assert not policy.members(array(0, 9999)).any()
    assert policy.members(array()).tolist() == []
    policy.insert(array(30000, 0))
    assert sorted(order(policy, [0, 30000, 7])) == [0, 30000]
    assert policy.victims(0, anything).tolist() == []


def test_the_registry_knows_the_policies_by_name_and_level():
    levels = {name: policy.level for name, policy in EVICTIONS.all().items()}
    assert levels.items() >= {"lru": Level.I0, "min": Level.I6, "plan_aware": Level.I4}.items()
    with pytest.raises(PagedKVError) as error:
        EVICTIONS.get("second chance")
    assert str(error.value) == f"eviction policy 'second chance' is unknown; known are {', '.join(sorted(levels))}"
