"""The statistics themselves, on cases that can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.workload.sessions import Session, Turn, assemble
from pagedkv.workload.statistics import dispersion, infinite_hit, lru_hit, open_loop_s, prompt_pieces, return_gaps_s

PIECES = [np.array(ids) for ids in ([0, 1, 2], [0, 1, 3], [0, 4], [0, 1, 2])]


def test_dispersion_of_regular_arrivals_is_0_and_of_pairs_is_1():
    assert dispersion(np.arange(101.0), 10) == 0
    pairs = np.array([0, 0, 2, 2, 4, 4, 6, 6, 8])  # 2, 0, 2, 0 … a second
    assert dispersion(pairs, 1) == 1


def test_infinite_hit_counts_what_was_seen():
    assert infinite_hit(PIECES) == pytest.approx(1 - 5 / 11)


def test_lru_evicts_the_deepest_piece_of_the_oldest_request():
    # After two requests 4 pieces have been touched; with room for 3, piece 2 has left, and after the third 3 has, too.
    assert lru_hit(PIECES, 3) == pytest.approx((2 + 1 + 2) / 11)
    assert lru_hit(PIECES, 5) == pytest.approx(infinite_hit(PIECES))


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=12))
def test_lru_without_eviction_is_the_infinite_cache(paths):
    """Ids of a random trie: a path's id is the path itself, numbered."""
    names: dict[tuple[int, ...], int] = {}
    pieces = [
        np.array([names.setdefault(tuple(path[: k + 1]), len(names)) for k in range(len(path))]) for path in paths
    ]
    assert lru_hit(pieces, 1000) == pytest.approx(infinite_hit(pieces))
    rates = [lru_hit(pieces, capacity) for capacity in (1, 2, 4, 8, 16)]
    assert rates == sorted(rates)  # LRU is a stack algorithm


def test_open_loop_adds_service_and_pause():
    turns = [Turn(0, 20, 1), Turn(2, 20, 1), Turn(3, 20, 1)]
    table = assemble([Session(1.0, turns), Session(5.0, [Turn(0, 9, 1)])], "t", 0, {})
    assert open_loop_s(table).tolist() == [1, 3, 6, 5]
    assert open_loop_s(table, 0.5).tolist() == [1, 3.5, 7, 5]


def test_a_partly_filled_piece_is_equal_only_to_one_filled_as_far():
    turns = [Turn(0, 40, 10, 50, np.array([0, 1])), Turn(0, 40, 5, 40, np.array([0, 1]))]
    table = assemble([Session(0.0, [turns[0], turns[1], Turn(0, 64, 1, 64, np.array([0, 1]))])], "t", 32, {})
    first, again, full = (ids.tolist() for ids in prompt_pieces(table))
    assert first == again == [0, -1 - (1 * 32 + 8)]
    assert full == [0, 1]
    assert [ids.tolist() for ids in prompt_pieces(table, coarser=2)] == [[], [], [1]]


def test_return_gaps_follow_the_deepest_shared_piece():
    pieces = [np.array(ids) for ids in ([0, 1], [0, 2], [0, 1, 3], [0], [0, 1, 4])]
    assert return_gaps_s(np.array([0.0, 1, 5, 6, 9]), pieces, common=1).tolist() == [5, 4]
