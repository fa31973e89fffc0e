"""Resume prefetch holds no room for a pause, and fetches at the return."""

from pagedkv.engine.view import Pause
from pagedkv.prefetch.base import Fetch, Hints
from pagedkv.prefetch.resume_prefetch import ResumePrefetch
from tests.prefetch.schedules import by, view


def test_only_when_the_turn_has_entered_the_queue():
    """Even with all the room there is. Request 7 never paused: it is loaded on demand."""
    policy, pause = ResumePrefetch(), Pause(1, 41, 2.0)
    paused = view(10, paused=[pause], blocks={41: 3})
    assert policy.propose(paused) == []
    assert policy.hints(paused) == Hints(demote=(41,))
    queued = view(15, plan=[by(7, step=16, blocks=2), by(41, step=17, blocks=3)])
    assert policy.propose(queued) == [Fetch(41, 0, 3, 16)]
    assert policy.hints(queued) == Hints(keep=(41,))


def test_it_has_to_be_told_of_a_queue_that_only_grew():
    assert ResumePrefetch.at_queue_entry is True
