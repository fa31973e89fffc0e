"""Hints: demoted blocks leave first, kept ones last, and the eviction policy decides among equals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.engine.address import Logical
from pagedkv.engine.advice import Advice
from pagedkv.engine.ladder import Level
from pagedkv.engine.replay import Rotation
from pagedkv.errors import PagedKVError
from pagedkv.eviction.lru import Lru
from pagedkv.eviction.registry import EVICTIONS
from pagedkv.prefetch.base import Fetch, Hints, PrefetchPolicy
from tests.engine.build import MS, checked, put_on_host, record, replay, serve, table, toy_memory
from tests.engine.strategies import engine_settings, request_tables
from tests.eviction.cache import anything, array

EVERYONE = np.arange(12)


def offered(eviction, contents):
    """`eviction` after the requests that held `contents` have left."""
    eviction.attach(len(EVERYONE))
    if hasattr(eviction, "next_use"):
        eviction.next_use = np.arange(len(EVERYONE)) % 5
    eviction.touch(array(*contents))
    eviction.admit(array(*contents))
    eviction.insert(array(*contents))
    return eviction


def test_first_demoted_first_and_first_kept_last():
    """LRU order 0 .. 7. Demoted are {5}, then {1, 6}; kept are {0, 3} last of all, and before them {2, 6}: block 6 is
    of a demoted and of a kept request, and stays as long as the kept one."""
    advice, lru = Advice(), offered(Lru(), range(8))
    advice.replace([array(5), array(1, 6)], [array(0, 3), array(2, 6)])
    order = advice.victims(lru, 8, anything, EVERYONE).tolist()
    assert order == [5, 1, 4, 7, 2, 6, 0, 3]
    assert advice.victims(lru, 3, lambda c: c != 1, EVERYONE).tolist() == [5, 4, 7]
    advice.replace([], [array(4)])
    assert advice.victims(lru, 9, anything, EVERYONE).tolist() == [0, 1, 2, 3, 5, 6, 7, 4]
    advice.replace([], [])
    assert not advice


SOME = st.lists(st.integers(0, 11), unique=True, max_size=5)


@pytest.mark.parametrize("name", list(EVICTIONS.all()))
@given(members=SOME, demote=st.lists(SOME, max_size=3), keep=st.lists(SOME, max_size=3), data=st.data())
def test_every_eviction_policy_obeys_advice(name, members, demote, keep, data):
    """Ranks never fall along the victims, and as many leave as may."""
    eviction, advice = offered(EVICTIONS.get(name)(), members), Advice()
    advice.replace([array(*some) for some in demote], [array(*some) for some in keep])
    count = data.draw(st.integers(1, 12), "count")
    barred = data.draw(st.sets(st.integers(0, 11), max_size=3), "barred")
    victims = advice.victims(eviction, count, lambda c: ~np.isin(c, sorted(barred)), EVERYONE).tolist()
    assert len(set(victims)) == len(victims) == min(count, len(set(members) - barred))
    assert set(victims) <= set(members) - barred

    def rank(content):
        kept = [len(keep) - place for place, some in enumerate(keep) if content in some]
        demoted = [place - len(demote) for place, some in enumerate(demote) if content in some]
        return max(kept + demoted, default=0)

    ranks = [rank(content) for content in victims]
    assert ranks == sorted(ranks)
    spared = set(members) - barred - set(victims)
    assert all(rank(content) >= max(ranks, default=0) for content in spared)


class Adviser(PrefetchPolicy):
    """Demotes the running requests, keeps every second waiting one, and says nothing every third time."""

    name = "adviser"
    level = Level.I4
    spatial = False
    replans = True

    def __init__(self):
        super().__init__()
        self.asked = 0

    def propose(self, view):
        self.asked += 1
        return [Fetch(entry.request, 0, entry.blocks, entry.step) for entry in view.plan(4)]

    def hints(self, view):
        return None if self.asked % 3 == 0 else Hints(demote=view.batch, keep=view.queue[::2])


@settings(max_examples=40, deadline=None)
@given(request_tables(), engine_settings(), st.sampled_from(list(EVICTIONS.all())))
def test_a_closed_loop_under_hints_stays_consistent_and_ends(requests, options, eviction):
    if EVICTIONS.get(eviction).level > Level.I4:
        eviction = "lru"
    loop = serve(requests, Adviser(), settings=options, eviction=eviction)
    loop.run()
    assert len(loop.served.completion_s) + loop.served.dropped == len(requests.turn)


@pytest.mark.parametrize("eviction", list(EVICTIONS.all()))
def test_a_replay_under_hints_stays_consistent(eviction):
    rotating = {"max_num_seqs": 2, "quantum_steps": 4, "pool_blocks": 24}
    trace, _ = record(table([{"prompt": 50 + 5 * n, "output": 40} for n in range(6)]), settings=rotating)
    policy = Adviser()
    checked(replay(trace, policy, pool=18, rotation=Rotation(2, 4), eviction=eviction)).run()
    assert policy.asked > 20


def test_a_hint_decides_who_makes_room_and_pins_nobody():
    """Pool of 4 with requests 1 (blocks a, b) and 2 (c, d), idle since in this order. LRU would take b; a hint that
    keeps 1 makes it d; and when all must go, the kept ones go too."""

    class KeepsOne(PrefetchPolicy):
        name, level, spatial = "keeps_one", Level.I4, False

        def propose(self, view):
            return []

        def hints(self, view):
            return Hints(keep=(1,))

    tables, none = {}, array()
    memory = toy_memory(5, KeepsOne(), Logical(lambda request: tables[request]))
    contents = put_on_host(memory, 8)
    tables.update({1: contents[:2], 2: contents[2:4]})

    def visit(step, request, blocks):
        memory.begin(step)
        memory.enter(request, blocks, none)
        memory.reserve(blocks)
        memory.settle(MS)
        memory.run(memory.compute_start_s, memory.compute_start_s, none)
        memory.begin(step + 1)
        memory.leave(request, blocks, none, finished=False)

    visit(0, 1, tables[1])
    visit(2, 2, tables[2])
    visit(4, 3, contents[4:5])
    slots = memory.tiers.states.slot
    assert (slots[:4] < 0).tolist() == [False, False, False, True]
    visit(6, 4, contents[4:8])
    assert (slots[:4] < 0).all()


def test_hints_of_a_spatial_policy_are_refused():
    class Confused(Adviser):
        spatial = True

    with pytest.raises(PagedKVError, match="adviser gives hints, which name requests, but works on addresses"):
        toy_memory(5, Confused())
