"""One direction of the link, in numbers worked by hand: a block of 4096 bytes takes 1 ms, a submission 0.5 ms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.device.calibration import CopyCost
from pagedkv.device.link import Link
from pagedkv.device.measured import PlannedLink

MS = 1e-3
COST = CopyCost(4096 / MS, 0.5 * MS, ((2048, 0.1 * MS), (4096, 0.2 * MS)))
SMOOTH = CopyCost(4096 / MS, 0.5 * MS, ((2048, 0.0), (4096, 0.0)))


def test_a_submission_costs_overhead_pieces_and_bytes():
    """3 pieces of 4096 bytes: 0.5 + i x (0.2 + 1)."""
    transfer = Link(COST).submit(0.0, 3, 4096)
    assert transfer.start_s == 0.0
    np.testing.assert_allclose(transfer.ready_s, [1.7 * MS, 2.9 * MS, 4.1 * MS])
    assert transfer.done_s == pytest.approx(4.1 * MS)


def test_quanta_are_submissions_of_their_own():
    """5 pieces in quanta of 2: a submission before pieces 1, 3 and 5."""
    transfer = Link(SMOOTH).submit(0.0, 5, 4096, quantum=2)
    np.testing.assert_allclose(transfer.ready_s, np.array([1.5, 2.5, 4.0, 5.0, 6.5]) * MS)


def test_submissions_are_served_in_order():
    link = Link(SMOOTH)
    link.submit(0.0, 2, 4096)
    second = link.submit(1 * MS, 1, 4096)
    assert second.start_s == pytest.approx(2.5 * MS)
    assert second.done_s == pytest.approx(4.0 * MS)
    third = link.submit(10 * MS, 1, 4096)
    assert third.start_s == pytest.approx(10 * MS), "an idle link starts at once"
    assert link.busy_s == pytest.approx((2.5 + 1.5 + 1.5) * MS)
    assert link.bytes == 4 * 4096


def both_directions():
    one, other = Link(SMOOTH, 0.5), Link(SMOOTH, 0.5)
    one.opposite, other.opposite = other, one
    return one, other


def test_the_opposite_direction_slows_bytes_down():
    """At half the rate a block takes 2 ms, as long as the other direction is busy when its piece starts; what
    is not bytes is not slowed down."""
    one, other = both_directions()
    other.submit(0.0, 10, 4096)
    assert one.submit(1 * MS, 2, 4096).done_s == pytest.approx((1 + 0.5 + 2 * 2) * MS)
    assert one.submit(20 * MS, 1, 4096).done_s == pytest.approx(21.5 * MS)


def test_only_pieces_that_start_beside_the_other_direction_are_slowed_down():
    """The other direction is busy until 3.5 ms. Pieces of 2 ms arrive at 2.5 and 4.5, others of 1 ms at 5.5 and 6.5; a
    planner that has not looked yet takes all of them for slow."""
    one, other = both_directions()
    other.submit(0.0, 3, 4096)
    np.testing.assert_allclose(one.submit(0.0, 4, 4096).ready_s, np.array([2.5, 4.5, 5.5, 6.5]) * MS)
    planned = PlannedLink(SMOOTH, 0.5)
    planned.opposite = other
    np.testing.assert_allclose(planned.submit(0.0, 4, 4096).ready_s, np.array([2.5, 4.5, 6.5, 8.5]) * MS)


def test_how_long_it_was_busy_by_a_moment_that_lies_in_what_is_left():
    """Busy from 0 to 1.5 and from 10 to 12.5 ms."""
    link = Link(SMOOTH)
    link.submit(0.0, 1, 4096)
    link.submit(10 * MS, 2, 4096)
    found = [link.busy_by(at * MS) for at in (10, 11, 12.5, 20)]
    assert found == pytest.approx([1.5 * MS, 2.5 * MS, 4 * MS, 4 * MS])


def test_an_idle_opposite_direction_changes_nothing():
    one, _ = both_directions()
    assert one.submit(0.0, 2, 4096).done_s == pytest.approx(2.5 * MS)


def test_a_submission_that_waits_is_judged_at_its_start():
    """The other direction is busy until 1.5 ms. The first one starts at 0, slowed: 0.5 + 2 ms. The second one is made
    at 1 ms, but starts behind it at 2.5 ms, when the other direction is idle: 0.5 + 1 ms."""
    one, other = both_directions()
    other.submit(0.0, 1, 4096)
    assert one.submit(0.0, 1, 4096).done_s == pytest.approx(2.5 * MS)
    assert one.submit(1 * MS, 1, 4096).done_s == pytest.approx(4.0 * MS)


def test_piece_overhead_between_the_calibrated_sizes():
    """Linear in the logarithm: half way from 2048 to 4096 lies 2048 x sqrt 2. Constant outside."""
    assert COST.piece_overhead_s(1024) == COST.piece_overhead_s(2048) == 0.1 * MS
    assert COST.piece_overhead_s(8192) == COST.piece_overhead_s(4096) == 0.2 * MS
    assert COST.piece_overhead_s(round(2048 * math.sqrt(2))) == pytest.approx(0.15 * MS, rel=1e-3)


def test_scaling_speeds_every_term_up():
    twice = COST.scaled(2.0)
    assert Link(twice).submit(0.0, 3, 4096).done_s == pytest.approx(Link(COST).submit(0.0, 3, 4096).done_s / 2)
    assert Link(COST.scaled(math.inf)).submit(7.0, 1000, 4096).done_s == 7.0


@given(
    st.lists(st.tuples(st.floats(0, 0.05), st.integers(1, 9), st.sampled_from([None, 1, 4])), min_size=1, max_size=12)
)
def test_the_link_moves_one_thing_at_a_time(submissions):
    """Whatever is submitted, arrivals never go back in time, nothing starts before it is asked for, and the link is
    busy for exactly the sum of its transfers."""
    link, now, last, busy = Link(SMOOTH), 0.0, 0.0, 0.0
    for wait, pieces, quantum in submissions:
        now += wait
        transfer = link.submit(now, pieces, 4096, quantum)
        assert transfer.start_s >= max(now, last) - 1e-12
        assert (np.diff(transfer.ready_s) > 0).all() and transfer.ready_s[0] > transfer.start_s
        last = transfer.done_s
        busy += transfer.done_s - transfer.start_s
    assert link.busy_s == pytest.approx(busy)
    assert link.free_at_s == last
