"""Code lengths: hand-worked, bounded below by what is possible, and small where there is nothing to learn."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.predict.coder import ContextMixture, code_length, side_code_length


def test_the_first_symbols_by_hand():
    model = ContextMixture(order=0, alphabet=4)
    assert model.bits("a", ()) == pytest.approx(2.0)  # nothing known: 1/4
    # one "a" seen, one distinct symbol: (1 + 1/4) / 2
    assert model.bits("a", ()) == pytest.approx(-math.log2(1.25 / 2))
    # two seen, one distinct; a new symbol gets the escape share of the uniform chance: (0 + 1/4) / 3
    assert model.bits("b", ()) == pytest.approx(-math.log2(0.25 / 3))


@given(st.lists(st.integers(0, 3), max_size=6), st.integers(0, 2))
def test_chances_of_all_symbols_add_up_to_one(past, order):
    total = 0.0
    for symbol in range(4):
        model = ContextMixture(order, 4)
        for i, seen in enumerate(past):
            model.bits(seen, past[max(0, i - order) : i])
        total += 2 ** -model.bits(symbol, past[max(0, len(past) - order) :])
    assert total == pytest.approx(1.0)


def test_a_cycle_costs_nothing_once_it_is_known_and_only_with_context():
    cycle = [0, 1, 2, 3] * 300
    assert code_length(cycle, 1, 4) / len(cycle) < 0.1
    assert code_length(cycle, 0, 4) / len(cycle) > 1.9


def test_coin_flips_cost_a_bit_each():
    flips = random.Random(1).choices([0, 1], k=4000)
    assert 0.99 < code_length(flips, 4, 2) / len(flips) < 1.1


def test_a_side_that_tells_the_symbol_leaves_nothing():
    flips = random.Random(2).choices([0, 1], k=2000)
    assert side_code_length(flips, flips, 2) / len(flips) < 0.05
    unrelated = random.Random(3).choices([0, 1], k=2000)
    assert side_code_length(flips, unrelated, 2) / len(flips) > 0.98


def test_an_alphabet_without_symbols_is_refused():
    with pytest.raises(PagedKVError, match="alphabet of 0"):
        ContextMixture(1, 0)
