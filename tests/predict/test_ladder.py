"""What each level has left to predict, on streams made by hand."""

import numpy as np
import pytest

from pagedkv.predict.ladder import address_bits, logical_bits, queue_bits, schedule_bits
from pagedkv.predict.streams import ARRIVES, Entering, Pages


def pages(*runs: tuple[int, int]) -> Pages:
    """Requests that read their blocks one after the other: (request, blocks)."""
    stream = np.concatenate([np.full(blocks, r) for r, blocks in runs])
    return Pages(stream, np.concatenate([np.arange(blocks) for _, blocks in runs]))


ROUND = pages(*[(turn % 4, 50) for turn in range(40)])


def test_logical_order_costs_next_to_nothing_and_scattered_addresses_do():
    scattered = np.random.default_rng(1).permutation(10_000)[1000 * ROUND.stream + ROUND.index]
    assert logical_bits(ROUND, 4) < 0.25
    assert address_bits(scattered, 0) > 5
    # A round that repeats exactly can be learned by heart, once it has been seen.
    assert address_bits(scattered, 4) < address_bits(scattered, 0)


def test_blocks_that_lie_in_order_are_as_cheap_by_address():
    assert address_bits(np.arange(2000), 1) < 0.05


def test_a_stream_without_accesses_has_no_entropy():
    nothing = Pages(*(np.zeros(0, np.int64),) * 2)
    assert np.isnan(logical_bits(nothing, 1)) and np.isnan(address_bits(nothing.index, 1))


def entries(*rows: tuple[int, int, int]) -> list[Entering]:
    """(step, request, position) of requests that read their own pages."""
    return [Entering(step, request, 10, position, request) for step, request, position in rows]


def test_the_head_of_the_queue_costs_nothing_where_the_order_of_requests_does():
    rng = np.random.default_rng(2)
    shuffled = entries(*[(10 * i, int(r), 0) for i, r in enumerate(rng.integers(0, 8, 400))])
    known, queue = schedule_bits(shuffled, 4000), queue_bits(shuffled, 4000, 1, None)
    assert known.who / 400 > 2 and queue.who / 400 < 0.1
    assert queue.total < known.total


def test_turns_of_a_rotation_cost_nothing_beside_the_plan():
    """Three enter together every 16 steps, but now and then a turn is late, which the plan does not know."""
    rng = np.random.default_rng(3)
    turns = np.cumsum(np.where(rng.random(300) < 0.1, 17, 16))
    rotation = entries(*[(int(step), i % 9, 0) for step in turns for i in range(3)])
    told, untold = queue_bits(rotation, 6000, 3, 16), queue_bits(rotation, 6000, 3, None)
    assert told.when / 900 < 0.3 < untold.when / 900


def test_an_arrival_costs_the_choice_of_whose_pages_it_reads():
    """New requests that read, each, the pages of one of eight others: three bits, whoever sees the queue."""
    rng = np.random.default_rng(4)
    first = [Entering(i, i, 10, 0, i) for i in range(8)]
    arriving, latest = [], list(range(8))
    for i in range(8, 2008):
        document = int(rng.integers(0, 8))
        arriving.append(Entering(i, i, 10, ARRIVES, latest[document]))
        latest[document] = i
    queue = queue_bits([*first, *arriving], 3000, 1, None)
    assert queue.who / 2008 == pytest.approx(3.0, abs=0.2)
