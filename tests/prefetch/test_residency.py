"""What a page table would tell, from accesses and feedback."""

from hypothesis import given
from hypothesis import strategies as st

from pagedkv.engine.view import View
from pagedkv.prefetch._residency import Residency
from tests.prefetch.views import told


def after(*views: View) -> Residency:
    residency = Residency()
    for view in views:
        take(residency, view)
    return residency


def take(residency: Residency, view: View) -> None:
    residency.update(view)
    residency.accessed(view.accesses)


def drawn(residency: Residency, first: int = 0, count: int = 10, stream: int = 0) -> str:
    """`x` is present, `.` absent; as long as something is known."""
    return "".join("x" if present else "." for present in residency.present(stream, first, count))


def test_nothing_is_known_at_first():
    assert drawn(after()) == ""


def test_what_is_read_or_arrives_is_there_until_it_is_evicted():
    residency = after(told((0, 0, "fault"), (0, 1, "use"), (0, 2, "late"), arrived=[(0, 3)]))
    assert drawn(residency) == "xxxx"
    take(residency, told(evicted=[(0, 1, False), (0, 3, True)]))
    assert drawn(residency) == "x.x."


def test_below_a_known_block_what_was_never_told_is_there():
    """Blocks 0..4 were created on the GPU and never left it: only 5 did. Above 5 there may be nothing."""
    assert drawn(after(told(evicted=[(0, 5, False)]))) == "xxxxx."


def test_only_the_range_that_is_looked_at_counts():
    """Known are 2 and 5. Of [3, 5) nothing is known, of [3, 6) the last one is."""
    residency = after(told((0, 2, "fault"), evicted=[(0, 5, False)]))
    assert [drawn(residency, first, count) for first, count in [(3, 2), (3, 3), (0, 5), (6, 4)]] == [
        "",
        "xx.",
        "xxx",
        "",
    ]


def test_of_one_view_evictions_count_after_arrivals_and_accesses_last():
    residency = after(told((0, 1, "fault"), arrived=[(0, 2)], evicted=[(0, 1, False), (0, 2, True)]))
    assert drawn(residency) == "xx."


def test_what_is_expected_is_there_until_the_opposite_is_told():
    residency = after(told((0, 0, "fault"), evicted=[(0, 1, False)]))
    residency.expected(0, 2, 2)
    residency.expected(0, 7, 0)
    assert drawn(residency) == "x.xx"
    take(residency, told(evicted=[(0, 3, True)]))
    assert drawn(residency) == "x.x."


def test_streams_are_apart():
    residency = after(told((1, 2, "fault"), (5, 0, "fault")))
    assert [drawn(residency, stream=stream) for stream in (1, 2, 5)] == ["xxx", "", "x"]


EVENTS = st.lists(st.tuples(st.sampled_from(["read", "arrive", "leave"]), st.integers(0, 1), st.integers(0, 2000)))


@given(EVENTS, st.integers(0, 1500), st.integers(1, 800))
def test_as_a_dictionary_of_events_tells(events, first, count):
    residency, last = Residency(), {}
    for event, stream, index in events:
        view = told(
            *([(stream, index, "fault")] if event == "read" else []),
            arrived=[(stream, index)] if event == "arrive" else [],
            evicted=[(stream, index, False)] if event == "leave" else [],
        )
        take(residency, view)
        last[stream, index] = event != "leave"
    for stream in (0, 1):
        known = [index for of, index in last if of == stream and first <= index < first + count]
        end = max(known, default=first - 1) + 1
        expected = [last.get((stream, index), True) for index in range(first, end)]
        assert residency.present(stream, first, count).tolist() == expected


@given(EVENTS, st.integers(0, 1500), st.integers(1, 800))
def test_rows_of_present_addresses_are_those_of_the_mask(events, index, most):
    residency = Residency()
    for event, stream, address in [*events, ("read", 0, index)]:
        here = [(stream, address, False)]
        take(residency, told(evicted=here) if event == "leave" else told((stream, address, "fault")))
    first = max(0, index - most)
    before = residency.present(0, first, index - first + 1).tolist()[:-1][::-1]
    assert residency.present_before(0, index, most) == (before + [False]).index(False)
    behind = residency.present(0, index, most).tolist()
    assert residency.present_behind(0, index, most) == (behind + [False]).index(False)
