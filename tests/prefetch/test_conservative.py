"""Conservative makes the replacements of MIN, when they can be made."""

import pytest

from pagedkv.bound import intervals_of, least_loads
from pagedkv.engine.ladder import Level
from pagedkv.engine.min_schedule import MinStay
from pagedkv.engine.replay import Rotation
from pagedkv.engine.view import View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.conservative import Conservative
from tests.engine.build import record, replay, table
from tests.prefetch.schedules import view

SCHEDULE = [
    MinStay(2, 9, 7, 0, 3, loads=False),
    MinStay(4, 8, 6, 0, 1, loads=True),
    MinStay(5, 7, 5, 2, 2, loads=True),
    MinStay(6, 6, 4, 0, 9, loads=True),
]
KEPT = Fetch(7, 0, 3, 9, layers=0)


def at(step: int) -> View:
    return view(step, min_schedule=lambda: SCHEDULE)


def test_from_the_step_on_from_which_there_is_room_the_first_use_first():
    """What MIN keeps is named first, so that no load evicts it, and nothing of it is fetched."""
    policy = Conservative()
    for step, fetched, wake in [
        (1, [], 2),
        (2, [KEPT], 4),
        (4, [KEPT, Fetch(6, 0, 1, 8)], 5),
        (5, [KEPT, Fetch(5, 2, 2, 7), Fetch(6, 0, 1, 8)], 6),
        (6, [KEPT, Fetch(4, 0, 9, 6), Fetch(5, 2, 2, 7), Fetch(6, 0, 1, 8)], None),
        (8, [KEPT, Fetch(6, 0, 1, 8)], None),
        (10, [], None),
    ]:
        assert policy.propose(at(step)) == fetched
        assert policy.wake_step(at(step)) == wake


def test_calls_that_were_skipped_change_nothing():
    policy = Conservative()
    assert policy.propose(at(7)) == [KEPT, Fetch(5, 2, 2, 7), Fetch(6, 0, 1, 8)]


def test_it_needs_the_whole_trace():
    with pytest.raises(PagedKVError, match="level I5 may not read 'min_schedule'"):
        Conservative().propose(view(0, level=Level.I5))


@pytest.mark.parametrize("pool, quantum", [(20, 4), (20, 8), (24, 4), (24, 8)])
def test_it_loads_what_min_loads_and_some_of_it_earlier(pool, quantum):
    """Four requests take turns, one at a time. MIN on demand has the least number of loads here; Conservative has the
    same, and less stall. Aggressive has less stall still, for more than twice the loads."""
    rows = [{"prompt": 50 + 16 * n, "output": 40} for n in range(4)]
    engine = {"max_num_seqs": 1, "max_num_batched_tokens": 256, "quantum_steps": quantum, "pool_blocks": pool}
    trace, _ = record(table(rows), settings=engine)
    loads, stalls = {}, {}
    for policy in ("none", "conservative", "clairvoyant"):
        run = replay(trace, policy, pool=pool, rotation=Rotation(1, quantum), eviction="min")
        run.run()
        counts, issued = run.memory.counts, run.memory.issuer.counts.issued
        loads[policy], stalls[policy] = counts.demand_loads + issued, counts.stall_s
    least = least_loads(intervals_of(run.script), pool - 1)[1][-1]
    assert loads["none"] == loads["conservative"] == least
    assert 2 * least < loads["clairvoyant"]
    assert stalls["clairvoyant"] < stalls["conservative"] < stalls["none"]
