"""Markov tables worked by hand, over blocks and over requests."""

import pytest

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.markov import Markov
from tests.prefetch.feedback import answer
from tests.prefetch.views import access


def follow(policy, *indices):
    """What is proposed after each miss of a sequence in stream 0."""
    return [access(policy, index) for index in indices]


def test_successors_come_newest_first():
    """5 is followed by 7, then by 2, then by 7 again."""
    policy = Markov(degree=4)
    assert follow(policy, 5, 7, 5, 2, 5, 7, 5) == [[], [], [7], [], [2, 7], [5], [7, 2]]


def test_width_limits_what_is_kept_and_degree_what_is_fetched():
    """5 is followed by 1, 2 and 3. Two are kept; one is fetched."""
    assert follow(Markov(width=2, degree=4), 5, 1, 5, 2, 5, 3, 5)[-1] == [3, 2]
    assert follow(Markov(width=2, degree=1), 5, 1, 5, 2, 5, 3, 5)[-1] == [3]


def test_a_successor_may_lie_in_another_stream():
    policy = Markov()
    assert answer(policy, (1, 4), (2, 0), (1, 4)) == [(2, 0)]


def test_first_uses_count_as_misses():
    policy = Markov()
    access(policy, 5)
    access(policy, 7, "use")
    access(policy, 9, "late")
    assert follow(policy, 5, 7) == [[7], [9]]


def test_order_two_tells_apart_what_order_one_confuses():
    """1 5 is followed by 2, 3 5 by 4. Order 1 knows only that 5 was followed by 4 and, before, by 2."""
    sequence = (1, 5, 2, 3, 5, 4, 1, 5)
    assert follow(Markov(order=1), *sequence)[-1] == [4, 2]
    assert follow(Markov(order=2), *sequence)[-1] == [2]


def test_order_two_has_no_state_before_the_second_miss():
    assert follow(Markov(order=2), 5, 5, 5) == [[], [], [5]]


def test_depth_walks_on_from_the_newest_successor_after_the_last_miss_of_a_call():
    """1 2 3 4, 1: depth 1 fetches 2; depth 3 also 3 and 4. 4 was followed by 1, so that depth 5 comes round.
    In one call of 1 2, only 2 starts a walk: 2 after 1, then 3 4 1 after 2."""
    for depth, expected in [(1, [2]), (3, [2, 3, 4]), (5, [2, 3, 4, 1, 2])]:
        assert list(dict.fromkeys(follow(Markov(depth=depth), 1, 2, 3, 4, 1)[-1])) == list(dict.fromkeys(expected))
    policy = Markov(depth=3)
    follow(policy, 1, 2, 3, 4)
    assert answer(policy, (0, 1), (0, 2)) == [(0, 2), (0, 3), (0, 4), (0, 1)]


def test_the_table_drops_the_state_recorded_longest_ago():
    """1 -> 2, 2 -> 3, 3 -> 1: with two states, the third drops that of 1."""
    assert [follow(Markov(table=table), 1, 2, 3, 1)[-1] for table in (3, 2)] == [[2], []]


# ------------------------------------------------------------ over requests
def batch(*requests: int, blocks: int = 3) -> View:
    """A batch of requests, each of which reads `blocks` blocks."""
    reads = tuple((request, 0, blocks) for request in requests)
    return View(Level.I3, {"batch": requests, "reads": reads})


def test_a_request_that_followed_another_is_fetched_whole():
    """Batches of one: 1, 2, 3, then 1 again, which was followed by 2; 2 by 3, which now is known to have 3 blocks."""
    policy = Markov(over="requests")
    assert [policy.propose(batch(request)) for request in (1, 2, 3)] == [[], [], []]
    assert policy.propose(batch(1, blocks=9)) == [Fetch(2, 0, 3)]
    assert policy.propose(batch(2)) == [Fetch(3, 0, 3)]
    assert policy.propose(batch(3)) == [Fetch(1, 0, 9)]


def test_only_entries_count_and_the_batch_is_not_fetched():
    """2 after 1, 3 after 2, both of which stay; 2 leaves. 1 returns after 3: of what followed it, 2 runs again."""
    policy = Markov(over="requests")
    for requests in [(1, 2), (1, 2), (1, 2, 3), (2, 3), (2, 3, 1)]:
        assert policy.propose(batch(*requests)) == []
    assert policy.propose(batch(3)) == []
    assert policy.propose(batch(3, 1)) == [Fetch(2, 0, 3)]


def test_over_requests_depth_reaches_the_next_batch():
    """Rotation of 1 2, 3 4. When 1 2 enter again, 1 was followed by 2 and 2 by 3; depth 2 also finds 4."""
    for depth, expected in [(1, [3]), (2, [3, 4])]:
        policy = Markov(over="requests", depth=depth)
        for requests in [(1, 2), (3, 4)]:
            policy.propose(batch(*requests))
        fetched = policy.propose(batch(1, 2))
        assert list(dict.fromkeys(fetch.stream for fetch in fetched)) == expected


def test_an_empty_batch_forgets_nothing():
    policy = Markov(over="requests")
    for requests in [(1,), (), (2,), ()]:
        assert policy.propose(batch(*requests)) == []
    assert policy.propose(batch(1)) == [Fetch(2, 0, 3)]


def test_levels():
    blocks, requests = Markov(), Markov(over="requests")
    assert (blocks.level, blocks.spatial) == (Level.I0, True)
    assert (requests.level, requests.spatial) == (Level.I3, False)
    assert Markov.level == Level.I0


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"over": "sessions"}, "markov: over is one of blocks, requests, not 'sessions'"),
        ({"order": 3}, "markov: order is one of 1, 2, not 3"),
        ({"degree": 0}, "markov: degree is a whole number from 1 on, not 0"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        Markov(**parameters)
    assert str(error.value) == message
