"""Extents say the same as the arrays they were cut from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.trace.extents import expand, extents


def cut(contents, slots):
    return list(extents(np.array(contents, np.int64), np.array(slots, np.int64)))


@pytest.mark.parametrize(
    "contents, slots, expected",
    [
        ([], [], []),
        ([5], [9], [(0, 1, 9, 1)]),
        ([5, 6, 7], [1, 2, 3], [(0, 3, 1, 1)]),
        ([5, 6, 7], [3, 2, 1], [(0, 3, 3, -1)]),
        ([5, 6, 7], [1, 2, 9], [(0, 2, 1, 1), (2, 1, 9, 1)]),
        ([5, 6, 7, 8], [1, 2, 1, 0], [(0, 2, 1, 1), (2, 2, 1, -1)]),
        ([5, 6, 8, 9], [1, 2, 3, 4], [(0, 2, 1, 1), (2, 2, 3, 1)]),
        ([7, 6, 5], [1, 2, 3], [(0, 1, 1, 1), (1, 1, 2, 1), (2, 1, 3, 1)]),
        ([5, 6], [1, 3], [(0, 1, 1, 1), (1, 1, 3, 1)]),
        ([5, 6], [4, 4], [(0, 1, 4, 1), (1, 1, 4, 1)]),
    ],
)
def test_by_hand(contents, slots, expected):
    """Contents count up by one; slots up or down by one. A turn, a gap or a standstill starts a new extent."""
    assert cut(contents, slots) == expected


STEPS = st.lists(st.tuples(st.sampled_from([1, 1, 1, 1, 5, -2]), st.sampled_from([1, 1, 1, -1, -1, 0, 3])), max_size=40)


@given(STEPS)
def test_round_trip(steps):
    contents = 100 + np.cumsum([0, *(step for step, _ in steps)])
    slots = 200 + np.cumsum([0, *(step for _, step in steps)])
    offset, count, first_slot, stride = np.array(cut(contents, slots), np.int64).T
    assert offset.tolist() == (np.cumsum(count) - count).tolist(), "they follow each other without gap or overlap"
    assert expand(contents[offset], count).tolist() == contents.tolist()
    assert expand(first_slot, count, stride).tolist() == slots.tolist()


@given(STEPS)
def test_two_neighbours_are_one_extent_only_where_they_could_not_be_longer(steps):
    """Greedy: an extent ends where its first stride does not go on."""
    contents = np.cumsum([0, *(step for step, _ in steps)])
    slots = np.cumsum([0, *(step for _, step in steps)])
    found = cut(contents, slots)
    for (offset, count, slot, stride), (following, *_) in zip(found[:-1], found[1:], strict=True):
        goes_on = contents[following] == contents[offset] + count and slots[following] == slot + count * stride
        assert not goes_on or count == 1


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 5), st.sampled_from([1, -1, 3])), max_size=12))
def test_expansion_is_concatenated_ranges(rows):
    first, count, stride = np.array(rows, np.int64).reshape(-1, 3).T
    expected = [f + s * i for f, n, s in rows for i in range(n)]
    assert expand(first, count, stride).tolist() == expected
    assert expand(first, count, 2).tolist() == [f + 2 * i for f, n, _ in rows for i in range(n)]


def test_narrow_columns_do_not_overflow():
    """Strides are stored as int8 and counts as int32."""
    slots = expand(np.array([1000]), np.array([300], np.int32), np.array([-1], np.int8))
    assert (slots[0], slots[-1], len(slots)) == (1000, 701, 300)
