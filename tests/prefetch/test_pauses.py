"""Pauses of sessions, learned from when they are no longer listed."""

import pytest

from pagedkv.engine.view import Pause
from pagedkv.prefetch._pauses import MOST_LENGTHS, PauseHistory
from tests.prefetch.schedules import view


def history(*boundaries: tuple[int, list[Pause]], smoothing: float = 0.5) -> PauseHistory:
    made = PauseHistory(smoothing)
    for second, paused in boundaries:
        made.update(view(second, paused=paused))
    return made


def test_a_pause_ends_at_the_boundary_at_which_it_is_not_listed():
    """Session 1 pauses from 2 on and is gone at 12; 2 pauses still."""
    one, two = Pause(1, 100, 2.0), Pause(2, 200, 3.0)
    assert history((5, [one, two]), (12, [two])).lengths_s == [10.0]


def test_a_session_that_pauses_again_has_ended_its_last_pause():
    """Between two boundaries session 1 came back at once, ran, and paused again at 9."""
    assert history((5, [Pause(1, 100, 2.0)]), (10, [Pause(1, 101, 9.0)])).lengths_s == [8.0]


def test_the_newest_pause_weighs_a_half():
    """Session 1 pauses 8 and then 4 seconds; session 2 never has: it is given the mean over all."""
    learned = history((0, [Pause(1, 1, 0.0)]), (8, []), (10, [Pause(1, 2, 10.0)]), (14, []))
    assert learned.expected_s(1) == learned.expected_s(2) == 6.0
    assert history((0, [])).expected_s(1) is None


@pytest.mark.parametrize("smoothing, expected", [(1.0, 4.0), (0.25, 7.0)])
def test_smoothing(smoothing, expected):
    learned = history((0, [Pause(1, 1, 0.0)]), (8, []), (10, [Pause(1, 2, 10.0)]), (14, []), smoothing=smoothing)
    assert learned.expected_s(1) == expected


@pytest.mark.parametrize("elapsed, rest", [(0.0, 4.0), (2.0, 3.0), (3.0, 2.0), (6.0, None)])
def test_the_rest_of_a_pause_is_the_mean_of_those_that_lasted_longer(elapsed, rest):
    """Lengths 2, 4 and 6. Of a pause of 2, 2 or 4 are left; of one of 3, 1 or 3; none lasted longer than 6."""
    paused = [Pause(n, n, 0.0) for n in (1, 2, 3)]
    learned = history((0, paused), (2, paused[1:]), (4, paused[2:]), (6, []))
    assert learned.remaining_s(elapsed) == rest


def test_old_pauses_are_forgotten():
    learned = PauseHistory()
    for second in range(MOST_LENGTHS + 10):
        learned.update(view(second, paused=[Pause(second, 0, float(second))]))
        learned.update(view(second + 1))
    assert learned.lengths_s == [1.0] * MOST_LENGTHS
