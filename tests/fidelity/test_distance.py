"""The banded distance against the textbook one."""

from __future__ import annotations

import numpy as np
import pytest

from pagedkv.fidelity.distance import edit_distance


def textbook(one, other):
    above = list(range(len(other) + 1))
    for row, left in enumerate(one, 1):
        here = [row]
        for column, right in enumerate(other, 1):
            here.append(min(above[column] + 1, here[-1] + 1, above[column - 1] + (left != right)))
        above = here
    return above[-1]


@pytest.mark.parametrize("seed", range(40))
def test_equals_the_textbook_within_the_band(seed):
    random = np.random.default_rng(seed)
    one = random.integers(0, 4, random.integers(0, 30))
    other = random.integers(0, 4, random.integers(0, 30))
    assert edit_distance(one, other) == textbook(one.tolist(), other.tolist())


@pytest.mark.parametrize("seed", range(20))
def test_a_narrow_band_is_exact_as_far_as_it_reaches_and_never_too_low(seed):
    random = np.random.default_rng(seed)
    one, other = random.integers(0, 3, 40), random.integers(0, 3, 36)
    right = textbook(one.tolist(), other.tolist())
    for band in (1, 3, 8, 40):
        found = edit_distance(one, other, band)
        assert found >= right
        assert found == right or right > band


def test_a_shift_costs_what_was_put_in():
    steps = np.arange(5000)
    assert edit_distance(steps, np.concatenate([[-1, -2], steps])) == 2
    assert edit_distance(steps, np.delete(steps, [10, 4000])) == 2
    assert edit_distance(steps, steps) == 0
