"""Judgements of networks whose answer is known."""

import math

import pytest

from pagedkv.learn.judge import MOST_PLACES, judge
from pagedkv.learn.network import CONTEXT
from pagedkv.prefetch._symbols import Symbol
from tests.learn.networks import constant

NEXT, RETURNS = Symbol(0, 1), Symbol(1, 0)
CALLS = [[(1, 0, 10)], [(2, 0, 10)]] * 8
"""Two requests in turn, ten blocks each: nine of ten outcomes are the next block, one is a jump to the other one."""


def test_a_network_that_always_expects_the_next_block():
    """Of 160 accesses, the last 96 have a context: 87 next blocks, 9 jumps. The next block has score 1, a return 0, all
    else 0: e / (e + 2) and 1 / (e + 2)."""
    found = judge(constant([NEXT, RETURNS], [1.0, 0.0, 0.0]), CALLS[:6], CALLS[6:], top=2)
    whole = math.log2(math.e + 2)
    assert (found.all.places, found.jumps.places) == (96, 9)
    assert found.all.first == pytest.approx(87 / 96)
    assert found.all.among_top == pytest.approx(1.0)
    assert found.all.bits == pytest.approx((87 * (whole - math.log2(math.e)) + 9 * whole) / 96)
    assert (found.jumps.first, found.jumps.among_top) == (0.0, 1.0)
    assert found.jumps.bits == pytest.approx(whole)
    assert judge(constant([NEXT, RETURNS], [1.0, 0.0, 0.0]), CALLS[:6], CALLS[6:], top=1).jumps.among_top == 0.0


def test_what_has_no_class_is_no_hit():
    """The network expects something else most, and is right at the jumps; but something else names no block. Among
    symbols with a class, NEXT is first."""
    found = judge(constant([NEXT], [0.0, 5.0]), [], CALLS)
    assert found.jumps.places == 9
    assert (found.jumps.first, found.jumps.among_top) == (0.0, 0.0)
    assert found.all.first == pytest.approx(87 / 96)


def test_without_a_class_for_the_next_block_all_that_is_known_is_a_jump():
    found = judge(constant([RETURNS], [0.0, 0.0]), [], CALLS)
    assert (found.jumps.places, found.jumps.first) == (9, 1.0)


def test_places_begin_where_there_is_a_context():
    network = constant([NEXT], [1.0, 0.0])
    assert judge(network, [], CALLS).all.places == 160 - CONTEXT
    assert judge(network, CALLS[:10], CALLS[10:]).all.places == 60


def test_jumps_have_their_share_whatever_the_number_of_places_that_are_judged():
    """2000 next blocks after 100 of before, and 20 jumps of which a return is one."""
    calls = [[(1 + n % 2, 0, 101)] for n in range(20)]
    found = judge(constant([NEXT, RETURNS], [1.0, 0.0, 0.0]), [[(1, 0, 100)], [(2, 0, 1)]], calls)
    assert found.all.places == 2020 > 2 * MOST_PLACES
    assert found.jumps.places == 20
    assert found.all.first == pytest.approx(2000 / 2020)


def test_nothing_to_judge():
    found = judge(constant([NEXT], [1.0, 0.0]), CALLS, [])
    assert (found.all.places, found.jumps.places) == (0, 0)
    assert math.isnan(found.all.first) and math.isnan(found.jumps.bits)
