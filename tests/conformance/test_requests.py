"""From what a case says to a request table."""

from pathlib import Path

import pytest

from pagedkv.conformance.cases import Case
from pagedkv.conformance.random_requests import random_requests
from pagedkv.conformance.requests import KnownTokens, requests_of
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError

RANGES = {"seed": 1, "requests": 6, "span_s": 1.0, "prompt_tokens": [5, 40], "output_tokens": [1, 20]}


def made(*listed):
    return requests_of(Case("toy", "toy", "", EngineSettings(16), {"requests": listed}), Path(), {})


def drawn(**more):
    return requests_of(Case("toy", "toy", "", EngineSettings(16), {"random": {**RANGES, **more}}), Path(), {})


def test_known_tokens_make_a_tree_in_which_equal_beginnings_are_equal_blocks():
    known = KnownTokens()
    assert known.ids([("a", 40)]).tolist() == [0, 1]
    assert known.ids([("a", 100)]).tolist() == [0, 1, 2, 3, 4, 5]
    assert known.ids([("a", 16), ("b", 16)]).tolist() == [0, 6]
    assert known.ids([("a", 20), ("b", 12)]).tolist() == [0, 7]
    assert known.ids([("b", 16)]).tolist() == [8]
    assert known.ids([("a", 10), ("b", 5)]).tolist() == []


def test_sessions_are_sorted_by_arrival_with_their_turns_behind_them_and_aborts_follow_their_rows():
    requests = made(
        {"arrival_s": 2.0, "prompt_tokens": 1, "output_tokens": 1, "abort_s": 2.5},
        {"arrival_s": 1.0, "session": "s", "prompt_tokens": 2, "output_tokens": 1},
        {"session": "s", "pause_s": 0.5, "prompt_tokens": 3, "output_tokens": 1, "abort_s": 9.0},
    )
    assert requests.table.prompt_tokens.tolist() == [2, 3, 1]
    assert requests.table.turn.tolist() == [0, 1, 0]
    assert requests.aborts == {1: 9.0, 2: 2.5}


def test_what_is_known_reaches_into_the_output_and_no_further():
    table = made({"prompt_tokens": 20, "output_tokens": 30, "known": [["doc", 200]]}).table
    assert table.known_tokens.tolist() == [48] and len(table.block_ids(0)) == 3


def test_repeated_requests_are_apart():
    table = made({"arrival_s": 1.0, "prompt_tokens": 1, "output_tokens": 1, "repeat": 3, "every_s": 0.5}).table
    assert table.arrival_s.tolist() == [1.0, 1.5, 2.0]


def test_a_turn_needs_a_session_that_has_begun():
    with pytest.raises(PagedKVError, match="case 'toy': session 's' has no first turn"):
        made({"session": "s", "pause_s": 1.0, "prompt_tokens": 1, "output_tokens": 1})


def test_random_requests_depend_on_the_seed_alone():
    assert random_requests(**RANGES) == random_requests(**RANGES)
    assert random_requests(**RANGES) != random_requests(**{**RANGES, "seed": 2})


def test_random_requests_keep_their_ranges():
    table = drawn(requests=200).table
    assert (table.prompt_tokens.min(), table.prompt_tokens.max()) == (5, 40)
    assert (table.output_tokens.min(), table.output_tokens.max()) == (1, 20)
    assert table.arrival_s.min() >= 0 and table.arrival_s.max() <= 1.0


def test_a_random_turn_goes_on_from_all_that_was_said():
    table = drawn(turns=[3, 3], pause_s=[0.1, 0.2], prefixes=2, prefix_tokens=[32, 32]).table
    for row in range(0, len(table), 3):
        first, second = table.block_ids(row), table.block_ids(row + 1)
        assert second[: len(first)].tolist() == first.tolist()
    assert len({table.block_ids(row)[0] for row in range(0, len(table), 3)}) == 2


def test_whole_blocks_and_shares_of_aborts():
    assert not (drawn(whole_blocks=True).table.prompt_tokens % 16).any()
    assert len(drawn(aborted=1.0, abort_after_s=[0.1, 0.2]).aborts) == 6
