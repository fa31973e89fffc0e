"""G/DC against sequences worked by hand, and against a search that reads the whole history each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.ghb_gdc import STREAM_BLOCKS, GhbGdc
from tests.prefetch.feedback import answer, burst
from tests.prefetch.views import access


def test_the_deltas_after_the_last_occurrence_are_replayed():
    """Misses 0 1 2 64 65 66 128 129: deltas 1 1 62 1 1 62 1. The pair 62 1 was there before, 1 62 1 followed."""
    policy = GhbGdc(degree=3)
    proposed = [access(policy, index) for index in (0, 1, 2, 64, 65, 66, 128, 129)]
    assert proposed[:5] == [[]] * 5
    assert proposed[-1] == [130, 192, 193]


def test_a_replay_runs_on_into_itself():
    """The same, five deep: 1 62 1 of the history, then 1 62 as just replayed: 130 192 193, 194 256. At 66 the pair 1 1
    was followed by 62 1 1, and the replay of that by 62 1."""
    policy = GhbGdc(degree=5)
    proposed = {index: access(policy, index) for index in (0, 1, 2, 64, 65, 66, 128, 129)}
    assert proposed[129] == [130, 192, 193, 194, 256]
    assert proposed[66] == [128, 129, 130, 192, 193]


def test_a_stride_needs_three_deltas_and_goes_as_far_as_the_degree():
    policy = GhbGdc(degree=4)
    assert [access(policy, index) for index in (0, 3, 6, 9)] == [[], [], [], [12, 15, 18, 21]]


def test_first_uses_and_late_blocks_belong_to_the_history():
    policy = GhbGdc(degree=2)
    kinds = ["fault", "use", "late", "use"]
    assert [access(policy, i, kind) for i, kind in enumerate(kinds)][-1] == [4, 5]


def test_of_two_older_occurrences_the_newer_one_counts():
    """Deltas 1 2 5, 1 2 7, 1 2: the pair 1 2 was followed by 5 and, later, by 7 1 2."""
    policy = GhbGdc(degree=3)
    indices = [0, 1, 3, 8, 9, 11, 18, 19, 21]
    assert [access(policy, index) for index in indices][-1] == [28, 29, 31]


def test_an_order_of_requests_that_repeats_is_learnt():
    """Requests 1 and 2 take turns with two blocks each. Deltas 1 J 1 K 1 J 1, J from (1, 1) to (2, 0), K back: after
    the second turn of 2 has begun with its run, J 1 was followed by K 1."""
    policy = GhbGdc(degree=4)
    assert answer(policy, *burst(1, 0, 2), *burst(2, 0, 2), *burst(1, 0, 2)) == []
    assert answer(policy, *burst(2, 0, 2)) == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_a_replay_ends_before_block_zero_of_the_first_stream():
    policy = GhbGdc(degree=4)
    assert [access(policy, index) for index in (18, 13, 8, 3)] == [[], [], [], []]


def test_what_left_the_history_is_not_found():
    """Deltas 1 2 5, then 100 200 300 400, then 1 2: the older 1 2 and the two misses on its ends are ten back."""
    indices = [0, 1, 3, 8, 108, 308, 608, 1008, 1009, 1011]
    for history, expected in [(10, [1016]), (9, [])]:
        policy = GhbGdc(history=history, degree=1)
        assert [access(policy, index) for index in indices][-1] == expected


def searched(addresses: list[int], history: int, degree: int) -> list[int]:
    """The rule, read off the last `history` addresses."""
    addresses = addresses[-history:]
    deltas = [b - a for a, b in zip(addresses, addresses[1:], strict=False)]
    for at in range(len(deltas) - 2, 0, -1):
        if deltas[at - 1 : at + 1] == deltas[-2:]:
            found = [addresses[-1]]
            for _ in range(degree):
                deltas.append(deltas[at + 1])
                found.append(found[-1] + deltas[-1])
                at += 1
            return found[1:]
    return []


CALLS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(1, 7)), min_size=1, max_size=40)


@given(CALLS, st.integers(4, 12), st.integers(1, 5))
def test_it_finds_what_a_search_through_the_history_finds(calls, history, degree):
    """Also where the runs of a call are long, and the history is cut."""
    policy, addresses = GhbGdc(history=history, degree=degree), []
    for stream, first, count in calls:
        run = burst(stream, first, count)
        proposed = answer(policy, *run)
        addresses += [stream * STREAM_BLOCKS + index for _, index in run]
        expected = searched(addresses, history, degree)
        inside = expected[: next((i for i, address in enumerate(expected) if address < 0), degree)]
        named = [divmod(address, STREAM_BLOCKS) for address in inside]
        assert list(dict.fromkeys(proposed)) == list(dict.fromkeys(named))


@pytest.mark.parametrize("parameter, least", [("history", 4), ("degree", 1)])
def test_bad_parameters(parameter, least):
    with pytest.raises(PagedKVError, match=f"ghb_gdc: {parameter} is a whole number from {least} on, not 0"):
        GhbGdc(**{parameter: 0})
