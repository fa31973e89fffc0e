"""DCPT against sequences worked by hand."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.dcpt import Dcpt
from tests.prefetch.feedback import answer, burst
from tests.prefetch.views import access


def test_the_deltas_after_the_first_occurrence_are_replayed_and_repeats_dropped():
    """10 11 20 21 30: deltas 1 9 1 9; 1 9 was followed by 1 9: 31 40.
    31: deltas 1 9 1 9 1; 9 1 was followed by 9 1: 40 41, of which 40 was the last block proposed.
    40: 1 9 was followed by 1 9 1 9 first: 41 50 51 60; up to 41 it was proposed before."""
    policy = Dcpt()
    assert [access(policy, index) for index in (10, 11, 20, 21)] == [[], [], [], []]
    assert [access(policy, index) for index in (30, 31, 40)] == [[31, 40], [41], [50, 51, 60]]


def test_a_ring_full_of_one_delta_reaches_as_far_as_the_ring():
    """Five deltas of 1: the first pair is followed by three. One access further, only the last of them is new."""
    policy = Dcpt(deltas=5)
    assert answer(policy, *burst(0, 0, 10)) == [(0, 10), (0, 11), (0, 12)]
    assert access(policy, 10) == [13]


def test_the_ring_forgets():
    """Deltas 1 2 9 8 7 1 2: in a ring of 7 the pair 1 2 is followed by 9 8 7 1 2; in one of 6 there is no other."""
    indices = [0, 1, 3, 12, 20, 27, 28, 30]
    for ring, expected in [(7, [39, 47, 54, 55, 57]), (6, [])]:
        policy = Dcpt(deltas=ring)
        assert [access(policy, index) for index in indices][-1] == expected


def test_streams_do_not_mix():
    policy = Dcpt()
    interleaved = [(stream, 10 * stream + 3 * turn) for turn in range(4) for stream in (1, 2)]
    assert answer(policy, *interleaved) == [(1, 22), (2, 32)]


def test_the_same_block_again_is_no_delta():
    policy = Dcpt()
    assert [access(policy, index) for index in (0, 3, 3, 6, 6, 9)][-1] == [12]


def test_a_delta_that_does_not_fit_matches_nothing_and_ends_a_replay():
    """2047 and -2048 fit into 12 bits. Where 2048 does not: 1 1 ? 1 1 replays nothing, and ? 1 ? 1 no ? 1."""
    fits, misfits = Dcpt(), Dcpt()
    assert [access(fits, index) for index in (0, 2047, 4094, 6141)][-1] == [8188]
    assert [access(fits, index) for index in (4093, 2045)] == [[], []]
    assert [access(misfits, index) for index in (0, 1, 2, 2050, 2051, 2052)] == [[]] * 6
    assert [access(misfits, index) for index in (4100, 4101)] == [[], []]


def test_negative_addresses_are_left_out():
    policy = Dcpt()
    assert [access(policy, index) for index in (12, 8, 4, 0)] == [[], [], [], []]


def test_the_table_drops_the_stream_used_longest_ago():
    """A table of two. Stream 1 is used again before 3 comes, so 2 goes; it has to learn its stride anew."""
    policy = Dcpt(streams=2)
    for stream, index in [(1, 0), (2, 0), (1, 3), (2, 3), (2, 6), (1, 6), (3, 0)]:
        answer(policy, (stream, index))
    assert answer(policy, (1, 9)) == [(1, 12)]
    assert answer(policy, (2, 9)) == []


@pytest.mark.parametrize("parameter, least", [("deltas", 3), ("streams", 1)])
def test_bad_parameters(parameter, least):
    with pytest.raises(PagedKVError, match=f"dcpt: {parameter} is a whole number from {least} on, not 0"):
        Dcpt(**{parameter: 0})
