"""Streams: the published sequence, the distributions, independence of keys."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.workload.rng import Stream

KEYS = st.lists(st.one_of(st.integers(-(2**63), 2**63), st.text(max_size=4)), max_size=4).map(tuple)


def test_bits_are_splitmix64():
    stream = Stream()
    stream._state = 1234567  # the test vector published with the algorithm
    assert [stream.bits() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@settings(deadline=None)
@given(KEYS, KEYS)
def test_equal_keys_and_only_those_give_equal_streams(one, other):
    assert (Stream(*one).bits() == Stream(*other).bits()) == (one == other)


@pytest.mark.parametrize("bits", [0, 2**64 - 1])
def test_uniform_is_never_0_or_1(bits, monkeypatch):
    monkeypatch.setattr(Stream, "bits", lambda _: bits)
    assert 0 < Stream().uniform() < 1


@pytest.mark.parametrize(
    "draw, mean, sigma",
    [
        (lambda s: s.uniform(), 0.5, 12**-0.5),
        (lambda s: s.exponential(3.0), 3.0, 3.0),
        (lambda s: s.normal(2.0, 0.5), 2.0, 0.5),
        (lambda s: math.log(s.lognormal(1.0, 0.25)), 1.0, 0.25),
        (lambda s: s.beta(0.63, 1.6), 0.63 / 2.23, math.sqrt(0.63 * 1.6 / (2.23**2 * 3.23))),
        (lambda s: s.choice([1, 3]), 0.75, math.sqrt(0.75 * 0.25)),
        (lambda s: math.log(s.mixture([(1, 5, 0), (3, 9, 0)])), 8.0, math.sqrt(3)),
    ],
)
def test_moments(draw, mean, sigma):
    stream = Stream("moments")
    values = np.array([draw(stream) for _ in range(20_000)])
    assert values.mean() == pytest.approx(mean, abs=5 * sigma / 20_000**0.5)
    assert values.std() == pytest.approx(sigma, rel=0.05)


def test_tokens_are_clipped():
    assert Stream(1).tokens([(1, -5, 0)]) == 1
    assert Stream(1).tokens([(1, 9, 0)], most=100) == 100
