"""Judgements of networks whose answer is known."""

import math

import pytest

from pagedkv.learn.judge import judge
from pagedkv.learn.network import CONTEXT
from pagedkv.prefetch._symbols import Symbol
from tests.learn.networks import constant

NEXT, RETURNS = Symbol(0, 1), Symbol(1, 0)
CALLS = [[(1, 0, 10)], [(2, 0, 10)]] * 8
"""Two requests in turn, ten blocks each: nine of ten outcomes are the next block, one is a jump to the other one."""


def test_a_network_that_always_expects_the_next_block():
    """Of 160 accesses, the last 100 are judged: 90 next blocks, 10 jumps. The next block has score 1, a return 0, all
    else 0: e / (e + 2) and 1 / (e + 2)."""
    found = judge(constant([NEXT, RETURNS], [1.0, 0.0, 0.0]), CALLS[:6] + [], CALLS[6:], top=2)
    whole = math.log2(math.e + 2)
    assert (found.places, found.jumps) == (96, 9)
    assert found.first == pytest.approx(87 / 96)
    assert found.among_top == 1.0
    assert found.bits == pytest.approx((87 * (whole - math.log2(math.e)) + 9 * whole) / 96)
    assert (found.first_of_jumps, found.among_top_of_jumps) == (0.0, 1.0)
    assert judge(constant([NEXT, RETURNS], [1.0, 0.0, 0.0]), CALLS[:6], CALLS[6:], top=1).among_top_of_jumps == 0.0


def test_what_has_no_class_is_no_hit():
    """The network expects something else most, and is right at the jumps; but something else names no block."""
    found = judge(constant([NEXT], [0.0, 5.0]), [], CALLS)
    assert found.jumps > 0
    assert (found.first_of_jumps, found.among_top_of_jumps) == (0.0, 0.0)
    assert found.first == pytest.approx(1 - found.jumps / found.places), "among symbols with a class, NEXT is first"


def test_places_begin_where_there_is_a_context():
    network = constant([NEXT], [1.0, 0.0])
    assert judge(network, [], CALLS).places == 160 - CONTEXT
    assert judge(network, CALLS[:10], CALLS[10:]).places == 60


def test_nothing_to_judge():
    found = judge(constant([NEXT], [1.0, 0.0]), CALLS, [])
    assert (found.places, found.jumps) == (0, 0)
    assert math.isnan(found.first) and math.isnan(found.bits) and math.isnan(found.among_top_of_jumps)
