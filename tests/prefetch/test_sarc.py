"""SARC's sequential prefetching against sequences worked by hand."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.sarc import Sarc
from tests.prefetch.views import access, told, uses


def test_a_sequential_stream_from_its_first_fault():
    """Threshold 2: the fault at 1 is sequential and fetches [2, 10), trigger at 9 - 4 = 5. Use of 5: [10, 18), trigger
    13. Use of 13: [18, 26)."""
    policy = Sarc()
    groups = {1: range(2, 10), 5: range(10, 18), 13: range(18, 26), 21: range(26, 34)}
    for index in range(24):
        assert access(policy, index, "use" if index > 1 else "fault") == list(groups.get(index, []))


@pytest.mark.parametrize("threshold, first", [(1, 0), (2, 1), (3, 2), (5, 4)])
def test_as_many_blocks_in_a_row_as_the_threshold_says(threshold, first):
    policy = Sarc(threshold=threshold)
    assert [access(policy, index) for index in range(first)] == [[]] * first
    assert access(policy, first) == list(range(first + 1, first + 9))


def test_random_faults_bring_nothing():
    policy = Sarc()
    assert [access(policy, index) for index in (10, 30, 20, 9, 28, 12)] == [[]] * 6


def test_streams_may_interleave():
    """Counters belong to blocks, so that a pause or another stream between two blocks does not matter."""
    policy = Sarc(degree=2, trigger=0)
    accesses = [(1, 0, "fault"), (2, 0, "fault"), (1, 50, "fault"), (1, 1, "fault"), (1, 51, "fault"), (2, 1, "fault")]
    assert policy.propose(told(*accesses)) == [Fetch(1, 2, 2), Fetch(1, 52, 2), Fetch(2, 2, 2)]


def test_a_predecessor_that_left_does_not_count():
    """Counter of 1 is 2 only if 0 is still there. Of threshold 3: 0 1 counted 1 2; 1 left; 2 starts again at 1."""
    policy = Sarc()
    access(policy, 0)
    policy.propose(told(evicted=[(0, 0, False)]))
    assert [access(policy, index) for index in (1, 2)] == [[], list(range(3, 11))]


def test_a_block_that_comes_back_is_counted_anew():
    """0 1 2 are counted 1 2 3. They leave. A fault at 2 alone is a first one."""
    policy = Sarc(threshold=3)
    for index in range(3):
        access(policy, index)
    policy.propose(told(evicted=[(0, index, False) for index in range(3)]))
    assert access(policy, 2) == []


def test_first_uses_count_too():
    """0 faults, 1 and 2 are used: 3 is the fourth in a row."""
    policy = Sarc(threshold=4)
    access(policy, 0)
    assert [access(policy, index, kind) for index, kind in ((1, "use"), (2, "late"))] == [[], []]
    assert access(policy, 3) == list(range(4, 12))


def test_only_the_trigger_brings_the_next_group_and_only_once():
    policy = Sarc(degree=4, trigger=1)
    assert [access(policy, index) for index in (0, 1)] == [[], [2, 3, 4, 5]]
    assert [access(policy, index, "use") for index in (2, 3, 5)] == [[]] * 3
    assert access(policy, 4, "late") == [6, 7, 8, 9]
    assert access(policy, 4, "use") == []


def test_a_fault_at_the_trigger_is_a_sequential_miss():
    """Trigger block 4 of [2, 6) was lost. 2 and 3 were used: 4 is sequential; its group is [5, 9), not [6, 10)."""
    policy = Sarc(degree=4, trigger=1)
    access(policy, 0)
    access(policy, 1)
    uses(policy, 2, 3)
    assert access(policy, 4) == [5, 6, 7, 8]


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"threshold": 0}, "sarc: threshold is a whole number from 1 on, not 0"),
        ({"degree": 0}, "sarc: degree is a whole number from 1 on, not 0"),
        ({"trigger": -1}, "sarc: trigger is a whole number from 0 on, not -1"),
        ({"degree": 4}, "sarc: trigger 4 is not inside a group of 4 blocks (degree)"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        Sarc(**parameters)
    assert str(error.value) == message
