"""What a page table would tell, from accesses and feedback."""

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.prefetch._residency import Residency
from tests.prefetch.views import told


def after(*views) -> Residency:
    residency = Residency()
    for view in views:
        take(residency, view)
    return residency


def take(residency: Residency, view) -> None:
    residency.update(view)
    residency.accessed(view.accesses)


def present(residency: Residency, count: int = 10, stream: int = 0) -> list[int]:
    return np.flatnonzero(residency.mask(stream, 0, count)).tolist()


def test_nothing_is_known_at_first():
    residency = after()
    assert (present(residency), residency.end(0), residency.present(0, 0)) == ([], 0, False)


def test_what_is_read_or_arrives_is_there_until_it_is_evicted():
    residency = after(told((0, 0, "fault"), (0, 1, "use"), (0, 2, "late"), arrived=[(0, 3)]))
    assert present(residency) == [0, 1, 2, 3]
    take(residency, told(evicted=[(0, 1, False), (0, 3, True)]))
    assert present(residency) == [0, 2]
    assert residency.end(0) == 4


def test_below_a_known_block_what_was_never_told_is_there():
    """Blocks 0..4 were created on the GPU and never left it: only 5 did."""
    residency = after(told(evicted=[(0, 5, False)]))
    assert present(residency) == [0, 1, 2, 3, 4]
    assert [residency.present(0, index) for index in (-1, 4, 5, 6)] == [False, True, False, False]


def test_of_one_view_evictions_count_after_arrivals_and_accesses_last():
    residency = after(told((0, 1, "fault"), arrived=[(0, 2)], evicted=[(0, 1, False), (0, 2, True)]))
    assert present(residency) == [0, 1]


def test_what_is_expected_is_there_until_the_opposite_is_seen():
    residency = after(told((0, 0, "fault")))
    residency.expected(0, 2, 2)
    residency.expected(0, 7, 0)
    assert (present(residency), residency.end(0)) == ([0, 1, 2, 3], 4)
    take(residency, told(evicted=[(0, 3, True)]))
    assert present(residency) == [0, 1, 2]


def test_streams_are_apart():
    residency = after(told((1, 2, "fault"), (5, 0, "fault")))
    assert [residency.end(stream) for stream in (1, 2, 5)] == [3, 0, 1]


def test_a_mask_is_as_long_as_asked_for():
    residency = after(told((0, 2, "fault")))
    assert residency.mask(0, 1, 4).tolist() == [True, True, False, False]
    assert residency.mask(0, 7, 2).tolist() == [False, False]
    assert residency.mask(9, 0, 2).tolist() == [False, False]


EVENTS = st.lists(st.tuples(st.sampled_from(["read", "arrive", "leave"]), st.integers(0, 1), st.integers(0, 2000)))


@given(EVENTS)
def test_as_a_dictionary_of_events_tells(events):
    residency, last = Residency(), defaultdict(dict)
    for event, stream, index in events:
        view = told(
            *([(stream, index, "fault")] if event == "read" else []),
            arrived=[(stream, index)] if event == "arrive" else [],
            evicted=[(stream, index, False)] if event == "leave" else [],
        )
        take(residency, view)
        last[stream][index] = event != "leave"
    for stream, known in last.items():
        expected = [known.get(index, True) for index in range(max(known) + 1)]
        assert residency.mask(stream, 0, len(expected)).tolist() == expected
        assert residency.end(stream) == len(expected)
