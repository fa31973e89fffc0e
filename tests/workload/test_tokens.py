"""Token ids follow block ids: equal ids, equal tokens; everything else is private."""

from __future__ import annotations

import numpy as np

from pagedkv.workload.tokens import known_tokens
from tests.engine.build import table

VOCABULARY = 1000


def test_equal_ids_are_equal_tokens_and_others_are_not():
    rows = [
        {"prompt": 40, "output": 8, "ids": [5, 6]},
        {"prompt": 50, "output": 8, "ids": [5, 7]},
        {"prompt": 40, "output": 8},
    ]
    first, second, private = (known_tokens(table(rows), row, VOCABULARY) for row in range(3))
    assert (len(first), len(second), len(private)) == (40, 50, 40)
    np.testing.assert_array_equal(first[:16], second[:16])
    for other in (second[16:32], private[:16]):
        assert (first[16:32] != other).mean() > 0.8
    assert (first[32:40] != second[32:40]).mean() > 0.8, "tokens behind the known ones are private"
    assert first.dtype == np.int32
    assert first.min() >= 0
    assert first.max() < VOCABULARY


def test_outputs_that_a_later_turn_quotes_are_known():
    rows = [{"prompt": 20, "output": 12, "ids": [1, 2]}, {"prompt": 48, "output": 4, "ids": [1, 2, 3]}]
    first, second = (known_tokens(table(rows), row, VOCABULARY) for row in range(2))
    assert len(first) == 32
    np.testing.assert_array_equal(first, second[:32])


def test_tokens_spread_over_the_vocabulary():
    tokens = known_tokens(table([{"prompt": 20000, "output": 1}]), 0, VOCABULARY)
    counts = np.bincount(tokens, minlength=VOCABULARY)
    # Chi-square with 999 degrees of freedom: mean 999, standard deviation 45.
    assert abs(((counts - 20) ** 2 / 20).sum() - 999) < 5 * 45
