"""What each level has left to predict, on streams made by hand."""

import numpy as np
import pytest

from pagedkv.predict.ladder import address_bits, logical_bits, queue_bits, schedule_bits
from pagedkv.predict.streams import ARRIVES, Entering, Pages


def pages(*runs: tuple[int, int]) -> Pages:
    """Requests that read their blocks one after the other: (request, blocks)."""
    step = np.concatenate([np.full(blocks, i) for i, (_, blocks) in enumerate(runs)])
    request = np.concatenate([np.full(blocks, r) for r, blocks in runs])
    block = np.concatenate([np.arange(blocks) for _, blocks in runs])
    return Pages(step, request, block, 1000 * request + block)


ROUND = pages(*[(turn % 4, 50) for turn in range(40)])


def test_logical_order_costs_next_to_nothing_and_scattered_addresses_do():
    scattered = np.random.default_rng(1).permutation(10_000)[ROUND.content]
    assert logical_bits(ROUND, 4) < 0.25
    assert address_bits(scattered, 0) > 5
    # A round that repeats exactly can be learned by heart, once it has been seen.
    assert address_bits(scattered, 4) < address_bits(scattered, 0)


def test_blocks_that_lie_in_order_are_as_cheap_by_address():
    assert address_bits(np.arange(2000), 1) < 0.05


def test_a_stream_without_accesses_has_no_entropy():
    nothing = Pages(*(np.zeros(0, np.int64),) * 4)
    assert np.isnan(logical_bits(nothing, 1)) and np.isnan(address_bits(nothing.content, 1))


def entries(*rows: tuple[int, int, int]) -> list[Entering]:
    return [Entering(step, request, 10, position) for step, request, position in rows]


def test_the_head_of_the_queue_costs_nothing_where_the_order_of_requests_does():
    rng = np.random.default_rng(2)
    shuffled = entries(*[(10 * i, int(r), 0) for i, r in enumerate(rng.integers(0, 8, 400))])
    known, queue = schedule_bits(shuffled, 4000), queue_bits(shuffled, 4000, [10] * 400)
    assert known.who / 400 > 2 and queue.who / 400 < 0.1
    assert queue.total < known.total


def test_a_planned_time_costs_nothing_and_an_unplanned_one_does():
    rng = np.random.default_rng(3)
    steps = np.cumsum(rng.integers(1, 9, 400))
    random_times = entries(*[(int(step), i % 4, 0) for i, step in enumerate(steps)])
    gaps = np.diff(steps, prepend=0).tolist()
    told, untold = queue_bits(random_times, 4000, gaps), queue_bits(random_times, 4000, [None] * 400)
    assert told.when / 400 < 0.5 and untold.when / 400 > 2.5


def test_a_mixture_of_queued_and_sudden_entries_costs_their_entropy():
    rng = np.random.default_rng(4)
    positions = np.where(rng.random(2000) < 0.5, 0, ARRIVES)
    mixed = entries(*[(i, i, int(p)) for i, p in enumerate(positions)])
    assert queue_bits(mixed, 2000, [1] * 2000).who / 2000 == pytest.approx(1.0, abs=0.05)
