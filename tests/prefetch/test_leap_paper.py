"""Leap against sequences worked by hand. w: newest deltas looked at; c: prefetched blocks used since the last fault."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.prefetch._leap import majority
from pagedkv.prefetch.leap_paper import LeapPaper
from tests.prefetch.views import access, blocks, seen, uses


@pytest.mark.parametrize(
    "deltas, found",
    [([], None), ([3], 3), ([1, 2], None), ([1, 1, 2, 2], None), ([1, 2, 1, 1], 1), ([2, 1, 1, 3, 1], 1), ([0, 0], 0)],
)
def test_majority_needs_one_more_than_half(deltas, found):
    """floor(w/2) + 1: 1 of 1, 2 of 2 and of 3, 3 of 4 and of 5."""
    assert majority(deltas) == found


@given(st.lists(st.integers(-2, 2), max_size=12))
def test_majority_is_what_counting_finds(deltas):
    often = [value for value, count in Counter(deltas).items() if count >= len(deltas) // 2 + 1]
    assert majority(deltas) == (often[0] if often else None)


def test_trends_come_and_go():
    """H = 8, w = 4 then 8. All accesses fault, so c = 0 and the window is 1 where the fault follows the trend.

    Deltas: -3 -3 -3 -3 -58 +2 +2 +2 +2 +2 +4 +41 -39 +2 +2.
    45 42 3F 3C: trend -3, followed.        02: w=4 has -3 three times, not followed.
    04, 06: w=4 has no majority; of all, 6 and 7, four are -3; not followed.
    08: w=4 has +2 three times. 0A, 0C: +2. 10: +2 three times in 4, not followed.
    39, 12: no majority in 4, +2 five times in 8, not followed. 14, 16: the same, followed.
    """
    faults = [0x48, 0x45, 0x42, 0x3F, 0x3C, 0x02, 0x04, 0x06, 0x08, 0x0A, 0x0C, 0x10, 0x39, 0x12, 0x14, 0x16]
    policy = LeapPaper(history=8, splits=2)
    proposed = {fault: access(policy, fault) for fault in faults}
    assert {fault: found for fault, found in proposed.items() if found} == {
        0x45: [0x42],
        0x42: [0x3F],
        0x3F: [0x3C],
        0x3C: [0x39],
        0x08: [0x0A],
        0x0A: [0x0C],
        0x0C: [0x0E],
        0x14: [0x16],
        0x16: [0x18],
    }


def test_w_doubles_up_to_the_history():
    """Newest first: +1, +5, +1, +7, then +1 four times. Neither w = 4 (two) nor less has a majority, w = 8 has (six).
    With splits=1 w starts at 8 and finds the same; a history of 4 never looks that far."""
    faults = [0, 1, 2, 3, 4, 11, 12, 17, 18]
    last = {}
    for history, splits in [(8, 2), (8, 1), (4, 1)]:
        policy = LeapPaper(history=history, splits=splits)
        last[history, splits] = [access(policy, fault) for fault in faults][-1]
    assert last == {(8, 2): [19], (8, 1): [19], (4, 1): []}


def test_hits_grow_the_window_and_misses_halve_it():
    """Window: power of two from c+1 upwards, at most 8. c = 1: 2; 2: 4; 4: 8; 8: 16, capped.

    Then c = 0 and no fault follows the trend, which stays +1 as long as the newest 4 or 8 deltas say so: 8/2, 4/2, 2/2.
    At 1000 four of eight are not enough, but the window is 0 anyway.
    """
    policy = LeapPaper(history=8, splits=2)
    assert [access(policy, fault) for fault in (0, 1, 2)] == [[], [2], [3]]
    for used, fault, window in [([3], 4, 2), ([5, 6], 7, 4), ([8, 9, 10, 11], 12, 8), (range(13, 21), 21, 8)]:
        uses(policy, *used)
        assert access(policy, fault) == list(range(fault + 1, fault + 1 + window))
    assert access(policy, 100) == [101, 102, 103, 104]
    assert access(policy, 300) == [301, 302]
    assert access(policy, 600) == [601]
    assert access(policy, 1000) == []


def test_hits_count_once():
    """c = 3 gives 4 at the first fault; the next one, c = 0, follows the trend: 1, but at least 4/2."""
    policy = LeapPaper()
    access(policy, 0)
    uses(policy, 1, 2, 3)
    assert access(policy, 4) == [5, 6, 7, 8]
    assert access(policy, 5) == [6, 7]


def test_window_max_caps():
    policy = LeapPaper(window_max=3)
    access(policy, 0)
    uses(policy, *range(1, 7))
    assert access(policy, 7) == [8, 9, 10]


def test_without_a_trend_around_the_fault_at_the_last_one():
    """History 4. Faults 100 102 104: trend +2. Uses of 106, 111, 118: c = 3, deltas +2 +5 +7, and +82 at the fault: no
    trend, window 4, so one and two strides of 2 to each side."""
    policy = LeapPaper(history=4, splits=1)
    assert [access(policy, fault) for fault in (100, 102, 104)] == [[], [104], [106]]
    uses(policy, 106, 111, 118)
    assert access(policy, 200) == [202, 198, 204, 196]


def test_around_a_fault_nothing_lies_before_block_zero():
    policy = LeapPaper(history=4, splits=1)
    for fault in (100, 102, 104):
        access(policy, fault)
    uses(policy, 106, 111, 118)
    assert access(policy, 2) == [4, 0, 6]


def test_without_any_trend_yet_the_neighbours():
    """Uses of 5, 9, 2 (deltas +4 -7), fault 20 (+18): c = 3, window 4, stride 1."""
    policy = LeapPaper()
    uses(policy, 5, 9, 2)
    assert access(policy, 20) == [21, 19, 22, 18]


def test_negative_trend():
    """Faults 50 48 46: -2. One use: window 2."""
    policy = LeapPaper()
    assert [access(policy, fault) for fault in (50, 48, 46)] == [[], [46], [44]]
    uses(policy, 44)
    assert access(policy, 42) == [40, 38]


def test_uses_belong_to_the_history():
    """0 faults, 3 and 6 are used, 9 faults: three deltas of +3, though only one is between faults."""
    policy = LeapPaper()
    access(policy, 0)
    uses(policy, 3, 6)
    assert access(policy, 9) == [12, 15, 18, 21]


def test_the_same_block_again_is_a_trend_that_leads_nowhere():
    policy = LeapPaper()
    assert [access(policy, 5) for _ in range(4)] == [[], [], [], []]


def test_histories_per_stream_or_for_all():
    """Streams 1 and 2 alternate, each sequential. Apart: +1 in each. Together the deltas are 100 -99 100 -99 100, of
    which 100 is the majority (1 of 1, 2 of 3, 3 of 5) exactly when stream 2 faults, and followed then."""
    accesses = [
        (1, 0, "fault"),
        (2, 100, "fault"),
        (1, 1, "fault"),
        (2, 101, "fault"),
        (1, 2, "fault"),
        (2, 102, "fault"),
    ]
    assert blocks(LeapPaper().propose(seen(*accesses))) == [(1, 2), (2, 102), (1, 3), (2, 103)]
    assert blocks(LeapPaper(per_stream=False).propose(seen(*accesses))) == [(2, 200), (2, 201), (2, 202)]


@pytest.mark.parametrize("name", ["history", "splits", "window_max"])
def test_bad_parameters(name):
    with pytest.raises(PagedKVError, match=f"leap_paper: {name} is a whole number from 1 on, not 0"):
        LeapPaper(**{name: 0})
