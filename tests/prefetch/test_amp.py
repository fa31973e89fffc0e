"""AMP against sequences worked by hand.

p: blocks that the next group takes; g: distance of the trigger from the end of a group. Requests of one block, trigger
above 4 blocks, unless a test says otherwise.
"""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.amp import Amp
from pagedkv.prefetch.base import Fetch
from tests.prefetch.views import access, blocks, told, uses


def test_a_sequential_stream_from_its_first_fault():
    """0: a run with p = 1. 1 continues it: fetch 1 block, p = 2; its last block is used: p = 3. 3: fetch 3, p = 4; last
    used: p = 5. 7: fetch 5 (more than 4: g = 2, trigger 12 - 2 = 10), p = 6. Use of 10: fetch 6, trigger 18 - 2 = 16;
    use of 12, the last of its group: p = 7. Use of 16: fetch 7, and so on: no fault any more."""
    policy = Amp()
    groups = {1: [2], 3: [4, 5, 6], 7: range(8, 13), 10: range(13, 19), 16: range(19, 26), 23: range(26, 34)}
    there = set()
    for index in range(30):
        fetched = access(policy, index, "use" if index in there else "fault")
        assert fetched == list(groups.get(index, []))
        there |= set(fetched)
    assert not there & {0, 1, 3, 7}
    assert set(range(8, 30)) <= there


def test_a_lone_fault_brings_nothing():
    policy = Amp()
    assert [access(policy, index) for index in (10, 20, 9, 12)] == [[]] * 4


def test_a_run_ends_when_its_last_block_leaves():
    """1 continues the run of 0. If 0 has left before, 1 begins a new run."""
    policy = Amp()
    access(policy, 0)
    policy.propose(told(evicted=[(0, 0, False)]))
    assert [access(policy, index) for index in (1, 2)] == [[], [3]]


def grown(**parameters) -> Amp:
    """A run whose fault at 7 has fetched [8, 12] with the trigger at 10; p = 6, g = 2."""
    policy = Amp(**parameters)
    for index in (0, 1, 3, 7):
        access(policy, index)
        if index == 1:
            uses(policy, 2)
        if index == 3:
            uses(policy, 4, 5, 6)
    return policy


def after_trigger(policy: Amp) -> list[int]:
    """The group that the use of 10 fetches."""
    return access(policy, 10, "use")


def test_the_trigger_fetches_the_next_group():
    assert after_trigger(grown()) == list(range(13, 19))


def test_a_block_evicted_unused_shrinks_p_and_g():
    """12 and 11 leave unused: p = 6 - 2 = 4, g = min(3, 0) = 0. The next group is [13, 16], without a trigger."""
    policy = grown()
    policy.propose(told(evicted=[(0, 12, True), (0, 11, True)]))
    assert after_trigger(policy) == [13, 14, 15, 16]
    assert [access(policy, index, "use") for index in (13, 14, 15, 16)] == [[]] * 4
    assert access(policy, 17) == [18, 19, 20, 21, 22], "p = 5 after the last of the group was used"


def test_p_and_g_have_floors():
    policy = grown()
    policy.propose(told(evicted=[(0, index, True) for index in (8, 9, 10, 11, 12)]))
    assert access(policy, 8) == [9], "p = 6 - 5 = 1"
    policy.propose(told(evicted=[(0, 9, True)]))
    assert access(policy, 9) == [10], "p = 2 - 1 = 1 and not 0"


def test_a_used_block_that_leaves_changes_nothing():
    policy = grown()
    uses(policy, 8)
    policy.propose(told(evicted=[(0, 8, False), (0, 3, False), (0, 12, False)]))
    assert after_trigger(policy) == list(range(13, 19))


def test_waiting_for_the_first_block_of_a_group_makes_the_next_trigger_earlier():
    """8 is late: g = 3. The trigger of [8, 12] stays at 10; the next group [13, 18] has it at 18 - 3 = 15."""
    policy = grown()
    assert access(policy, 8, "late") == []
    assert after_trigger(policy) == list(range(13, 19))
    assert access(policy, 14, "use") == []
    assert access(policy, 15, "use") == list(range(19, 25))


def test_waiting_for_another_block_does_not():
    policy = grown()
    assert access(policy, 9, "late") == []
    after_trigger(policy)
    assert access(policy, 15, "use") == []
    assert access(policy, 16, "use") == list(range(19, 25))


def test_g_grows_until_the_first_block_is_the_trigger():
    """p is held at 5. 8 late: g = 3, so [13, 17] has its trigger at 14. 13 late: g = 4, [18, 22] has it at 18. 18 late:
    g = 5, and the trigger of [23, 27] can be no earlier than 23."""
    policy = grown(degree_max=5)
    access(policy, 8, "late")
    assert access(policy, 10, "use") == list(range(13, 18))
    access(policy, 13, "late")
    assert access(policy, 14, "use") == list(range(18, 23))
    assert access(policy, 18, "late") == list(range(23, 28))
    assert access(policy, 23, "late") == list(range(28, 33))


def test_a_late_trigger_still_triggers():
    assert access(grown(), 10, "late") == list(range(13, 19))


def test_a_fault_at_a_prefetched_block_is_a_miss():
    """8 never came. The run goes on behind it, with p = 6 blocks."""
    policy = grown()
    assert access(policy, 8) == list(range(9, 15))


def test_requests_of_several_blocks():
    """p starts at 3 and grows by 3: 1 fetches 3, p = 6, last used: 9; 5 fetches 9."""
    policy = Amp(request=3)
    assert [access(policy, index) for index in (0, 1)] == [[], [2, 3, 4]]
    uses(policy, 2, 3, 4)
    assert access(policy, 5) == list(range(6, 15))


def test_degree_max_caps():
    policy = grown(degree_max=5)
    assert after_trigger(policy) == list(range(13, 18))


def test_runs_of_interleaved_streams_are_apart():
    accesses = [(stream, index, "fault") for index in range(2) for stream in (1, 2)]
    assert Amp().propose(told(*accesses)) == [Fetch(1, 2, 1), Fetch(2, 2, 1)]


def test_two_runs_in_one_stream():
    policy = Amp()
    assert [access(policy, index) for index in (0, 100, 1, 101)] == [[], [], [2], [102]]
    uses(policy, 2)
    assert access(policy, 3) == [4, 5, 6]
    assert access(policy, 102) == [103, 104], "102 is a miss of the second run: its p is 2"


def test_what_was_not_prefetched_here_is_ignored():
    policy = Amp()
    assert access(policy, 5, "use") == []
    assert blocks(policy.propose(told(evicted=[(0, 5, True)]))) == []


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"request": 0}, "amp: request is a whole number from 1 on, not 0"),
        ({"asynchronous_above": -1}, "amp: asynchronous_above is a whole number from 0 on, not -1"),
        ({"degree_max": 0}, "amp: degree_max is a whole number from 1 on, not 0"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        Amp(**parameters)
    assert str(error.value) == message
