"""The Lempel-Ziv rate against its definition, and the bound drawn from it."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.predict.lempel_ziv import fano_accuracy, lempel_ziv_bits, lempel_ziv_mean_bits, match_lengths


def by_definition(symbols: list[int]) -> list[int]:
    """The shortest lengths not seen wholly before."""
    n, lengths = len(symbols), []
    for i in range(n):
        length = 1
        while i + length <= n and occurs(symbols[:i], symbols[i : i + length]):
            length += 1
        lengths.append(length)
    return lengths


def occurs(past: list[int], word: list[int]) -> bool:
    return any(past[j : j + len(word)] == word for j in range(len(past) - len(word) + 1))


@settings(max_examples=200)
@given(st.lists(st.integers(0, 2), max_size=40))
def test_lengths_are_those_of_the_definition(symbols):
    assert match_lengths(symbols) == by_definition(symbols)


def test_rates_of_known_streams():
    flips = random.Random(1).choices([0, 1], k=20_000)
    for rate in (lempel_ziv_bits, lempel_ziv_mean_bits):
        assert rate(match_lengths(flips)) == pytest.approx(1.0, abs=0.12)
        assert rate(match_lengths([0, 1, 2] * 4000)) < 0.02
        assert rate([]) == 0.0


def test_one_long_repetition_hides_what_is_new_from_the_sum_but_not_from_the_mean():
    new = list(range(3000))
    lengths = match_lengths([*new, *new[:1000], *range(3000, 6000)])
    assert lempel_ziv_bits(lengths) < 0.2
    assert lempel_ziv_mean_bits(lengths) > 8


@pytest.mark.parametrize("accuracy", [0.3, 0.5, 0.9])
def test_fano_is_solved(accuracy):
    n = 10
    bits = -accuracy * math.log2(accuracy) - (1 - accuracy) * math.log2(1 - accuracy)
    bits += (1 - accuracy) * math.log2(n - 1)
    assert fano_accuracy(bits, n) == pytest.approx(accuracy)


def test_fano_at_its_ends():
    assert fano_accuracy(0.0, 100) == 1.0
    assert fano_accuracy(math.log2(8), 8) == pytest.approx(1 / 8)
    assert fano_accuracy(3.0, 1) == 1.0
