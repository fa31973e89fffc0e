"""Best-offset learning worked by hand, with short lists of offsets."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.best_offset import BestOffset, offsets_up_to
from tests.prefetch.feedback import fed
from tests.prefetch.views import blocks


def step(policy, index, arrived=(), prefetched=True, kind="fault", stream=0):
    """Blocks proposed after an access, before which `arrived` came in."""
    arrivals = [(stream, block, prefetched) for block in arrived]
    return [found for _, found in blocks(policy.propose(fed((stream, index, kind), arrived=arrivals)))]


def test_the_list_of_the_paper_has_52_offsets():
    found = offsets_up_to(256)
    assert len(found) == 52
    assert found[:14] == [1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 18, 20]
    assert found[-5:] == [225, 240, 243, 250, 256]
    assert offsets_up_to(1024)[-3:] == [972, 1000, 1024]


def test_a_stride_of_two_is_learnt_from_what_arrives():
    """Offsets 1 and 2, in turn tested; score 2 ends a phase. With 1 in force: fetch X + 1; when Y comes, enter Y - 1.

    10: no 9.              fetch 11
    12: 11 came, so 10 is recent; 12 - 2 is: one for 2. fetch 13
    14: 13 came; no 13.    fetch 15
    16: 15 came; 16 - 2 is: two for 2, and the round ends. From now 2: fetch 18.
    18: 18 came: enter 16. fetch 20
    """
    policy = BestOffset(largest=2, score_max=2)
    assert step(policy, 10) == [11]
    assert step(policy, 12, [11]) == [13]
    assert step(policy, 14, [13]) == [15]
    assert step(policy, 16, [15]) == [18]
    assert step(policy, 18, [18], kind="use") == [20]


def test_a_phase_lasts_until_the_end_of_the_round():
    """Offset 1 has score_max 1 after the first test, but 2 is still tested before 1 is chosen again: the fetch after
    the first test is of the old phase, and the scores start anew only after the second."""
    policy = BestOffset(largest=2, score_max=1, bad_score=0)
    policy.propose(fed(arrived=[(0, 10, True)]))
    assert step(policy, 10) == [11]
    assert step(policy, 11) == [12]
    # Second phase: 20 and 11 - 2 = 9, so that 2 wins if the score of 1 was forgotten.
    assert step(policy, 20) == [21]
    assert step(policy, 11) == [13]


def test_of_equal_scores_the_smaller_offset_wins():
    policy = BestOffset(largest=2, score_max=1, bad_score=0)
    policy.propose(fed(arrived=[(0, 10, True), (0, 9, True)]))
    assert step(policy, 10) == [11]
    assert step(policy, 10) == [11]


def test_without_a_good_offset_it_turns_off_and_on_again():
    """One offset, one round, and a score of 1 needed to stay on.

    5: no 4: off, nothing fetched. 7 is loaded on demand and enters as itself; a prefetched 20 does not count now.
    8: 7 is recent: on. 9 comes by prefetch: enter 8. 9: 8 is recent, stays on.
    """
    policy = BestOffset(largest=1, rounds=1, bad_score=0)
    assert step(policy, 5) == []
    policy.propose(fed(arrived=[(0, 7, False), (0, 20, True)]))
    assert step(policy, 21) == []
    assert step(policy, 8) == [9]
    assert step(policy, 9, [9], kind="use") == [10]


def test_demand_loads_do_not_count_while_it_is_on():
    """Else 1 would score at 11, and stay in force."""
    policy = BestOffset(largest=1, rounds=1, bad_score=0)
    assert step(policy, 11, [10], prefetched=False) == []


def test_a_score_has_to_be_above_bad_score():
    """Two rounds with one hit: 1 is not above 1. With bad_score 0 it is."""
    for bad_score, proposed in [(1, []), (0, [31])]:
        policy = BestOffset(largest=1, rounds=2, bad_score=bad_score)
        policy.propose(fed(arrived=[(0, 11, True)]))
        assert step(policy, 11) == [12]
        assert step(policy, 30) == proposed


def test_recent_requests_are_the_last_ones():
    """Of 11 and 21 (entered as 10 and 20), a table of one keeps 20; entered again, 10 is newer than 20."""
    for arrived, proposed in [([11, 21], []), ([11, 21, 11], [12])]:
        policy = BestOffset(largest=1, rounds=1, bad_score=0, recent=1)
        assert step(policy, 11, arrived) == proposed
    policy = BestOffset(largest=1, rounds=1, bad_score=0, recent=2)
    assert step(policy, 11, [11, 21, 11, 31]) == [12]


def test_offsets_stay_within_a_stream():
    policy = BestOffset(largest=1, rounds=1, bad_score=0)
    policy.propose(fed(arrived=[(1, 11, True)]))
    assert step(policy, 11, stream=2) == []


@pytest.mark.parametrize("parameter, least", [("largest", 1), ("recent", 1), ("rounds", 1), ("score_max", 1)])
def test_bad_parameters(parameter, least):
    with pytest.raises(PagedKVError, match=f"best_offset: {parameter} is a whole number from {least} on, not 0"):
        BestOffset(**{parameter: 0})
