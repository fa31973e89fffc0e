"""Kendall's tau by hand, and which pair is named."""

from __future__ import annotations

import math

import pytest

from pagedkv.fidelity.order import compare


def test_by_hand():
    # Pairs in measured order: 1<2, 1<3, 1<4, 2<3, 2<4, 3<4; the simulation swaps the last two.
    found = compare([1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 40.0, 30.0])
    assert found.tau == pytest.approx((5 - 1) / 6)
    assert (found.pairs, found.notable, found.agreeing, found.unlike) == (6, 6, 5, (2, 3))
    assert found.gains == pytest.approx((0.25, 0.25))


def test_same_and_opposite():
    assert compare([3.0, 1.0, 2.0], [30.0, 10.0, 20.0]).tau == 1
    assert compare([3.0, 1.0, 2.0], [1.0, 3.0, 2.0]).tau == -1


def test_ties():
    # tau-b: one pair is tied when simulated, the other five agree.
    found = compare([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 3.0])
    assert found.tau == pytest.approx(5 / math.sqrt(6 * 5))
    assert found.unlike == (2, 3)
    assert math.isnan(compare([1.0, 1.0], [1.0, 2.0]).tau)


def test_rounding_is_a_tie():
    """Bug: two policies that do the same differed by 1e-16 s when simulated, which cost a tau of 0.82."""
    assert compare([1.0, 1.0, 2.0], [1.0, 1.0 + 1e-15, 2.0]).tau == 1


def test_small_gains_do_not_count_as_notable():
    found = compare([100.0, 101.0, 110.0], [101.0, 100.0, 110.0])
    assert (found.notable, found.agreeing, found.unlike) == (2, 2, (0, 1))
