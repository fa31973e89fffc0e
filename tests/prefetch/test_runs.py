"""Runs of accesses, and ranges of proposals."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.engine.view import Accesses
from pagedkv.prefetch._runs import Ranges, runs
from tests.prefetch.feedback import fed
from tests.prefetch.views import blocks


def test_a_run_ends_where_the_stream_or_the_step_changes():
    """4 5 6 of stream 1; 7 of stream 2 though it is next; 9 after a gap; 8 is a step back; 8 again."""
    accesses = [(1, 4), (1, 5), (1, 6), (2, 7), (2, 9), (2, 8), (2, 8)]
    view = fed(*((stream, index, "fault") for stream, index in accesses))
    assert runs(view.accesses) == [(1, 4, 3), (2, 7, 1), (2, 9, 1), (2, 8, 1), (2, 8, 1)]
    assert runs(Accesses.none()) == []


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4)), max_size=20))
def test_runs_written_out_are_the_accesses(accesses):
    columns = np.array(accesses, np.int64).reshape(-1, 2).T
    found = runs(Accesses(columns[0], columns[1], columns[0]))
    assert [(stream, first + i) for stream, first, count in found for i in range(count)] == accesses
    for (stream, first, count), following in zip(found, found[1:], strict=False):
        assert following[:2] != (stream, first + count), "two runs that are one"


def test_adjoining_and_overlapping_ranges_are_one():
    wanted = Ranges()
    for stream, first, count in [(1, 3, 2), (1, 5, 1), (1, 4, 3), (1, 2, 1), (2, 3, 1)]:
        wanted.add(stream, first, count)
    assert [(f.stream, f.first, f.count) for f in wanted.fetches()] == [(1, 3, 4), (1, 2, 1), (2, 3, 1)]


def test_nothing_lies_before_block_zero():
    wanted = Ranges()
    for first, count in [(-3, 2), (-3, 3), (-2, 4), (7, 0)]:
        wanted.add(0, first, count)
    assert blocks(wanted.fetches()) == [(0, 0), (0, 1)]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-2, 6), st.integers(1, 3)), max_size=12))
def test_ranges_hold_the_proposed_blocks_in_the_order_of_their_first_mention(proposals):
    wanted = Ranges()
    for proposal in proposals:
        wanted.add(*proposal)
    plain = [(stream, i) for stream, first, count in proposals for i in range(first, first + count) if i >= 0]
    assert list(dict.fromkeys(blocks(wanted.fetches()))) == list(dict.fromkeys(plain))
