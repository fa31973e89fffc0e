"""Every registered eviction policy: the contract, under random tiers by themselves and under the engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pagedkv.engine.blocks import BlockStates
from pagedkv.engine.host import HostTier
from pagedkv.engine.ladder import Level
from pagedkv.engine.replay import Rotation
from pagedkv.eviction.base import EvictionPolicy
from pagedkv.eviction.lru import Lru
from pagedkv.eviction.min import Min
from pagedkv.eviction.plan_aware import PlanAware
from pagedkv.eviction.registry import EVICTIONS
from pagedkv.eviction.workload_aware import Fate, WorkloadAware
from tests.engine.build import record, replay, serve, toy_memory
from tests.engine.strategies import engine_settings, request_tables
from tests.eviction.cache import array

POLICIES = EVICTIONS.all()
CONTENTS = 20


def check_victims(victims: np.ndarray, count: int, candidates: np.ndarray) -> None:
    """`candidates`: the members that are allowed."""
    assert victims.dtype == np.int64
    assert len(np.unique(victims)) == len(victims) == min(count, len(candidates))
    assert np.isin(victims, candidates).all()


class Tier(RuleBasedStateMachine):
    """Requests come and go, blocks are prefetched, dropped and evicted. The model is two sets and a few counts."""

    kind: type = Lru

    @initialize(capacity=st.integers(2, 12))
    def build(self, capacity):
        self.policy = self.kind()
        self.policy.attach(capacity)
        self.capacity = capacity
        self.held: set[int] = set()
        self.users: dict[int, int] = {}
        if isinstance(self.policy, Min):
            self.policy.next_use = np.arange(CONTENTS) % 5

    @property
    def members(self) -> list[int]:
        return sorted(content for content in self.held if not self.users.get(content))

    def evict(self, count: int, spared: frozenset[int] = frozenset()) -> None:
        candidates = array(*(content for content in self.members if content not in spared))
        victims = self.policy.victims(count, lambda contents: ~np.isin(contents, list(spared)))
        check_victims(victims, count, candidates)
        self.policy.remove(victims)
        self.policy.evicted(victims)
        self.held -= set(victims.tolist())

    def admit(self, contents: list[int]) -> None:
        self.evict(max(0, len(self.held) + len(contents) - self.capacity))
        self.policy.admit(array(*contents))
        self.held |= set(contents)

    @rule(contents=st.lists(st.integers(0, CONTENTS - 1), unique=True, min_size=1, max_size=8))
    def enter(self, contents):
        in_use = {content for content, users in self.users.items() if users} | set(contents)
        if len(in_use) > self.capacity:
            return
        self.policy.remove(array(*(content for content in contents if content in self.members)))
        for content in contents:
            self.users[content] = self.users.get(content, 0) + 1
        self.policy.touch(array(*contents))
        self.admit([content for content in contents if content not in self.held])

    @rule(data=st.data())
    def leave(self, data):
        used = sorted(content for content, users in self.users.items() if users)
        if not used:
            return
        contents = data.draw(st.lists(st.sampled_from(used), unique=True, min_size=1))
        if isinstance(self.policy, WorkloadAware):
            self.policy.now_s += 1.0
            self.policy.released(array(*contents), data.draw(st.sampled_from(Fate)), data.draw(st.integers(0, 9)))
        for content in contents:
            self.users[content] -= 1
        self.policy.insert(array(*(content for content in contents if not self.users[content])))

    @rule(contents=st.lists(st.integers(0, CONTENTS - 1), unique=True, min_size=1, max_size=4))
    def prefetch(self, contents):
        contents = [content for content in contents if content not in self.held]
        if len(contents) > self.capacity - len(self.held) + len(self.members):
            return
        self.admit(contents)
        self.policy.insert(array(*contents))

    @rule(data=st.data())
    def drop(self, data):
        if self.members:
            contents = data.draw(st.lists(st.sampled_from(self.members), unique=True, min_size=1))
            self.policy.remove(array(*contents))
            self.policy.dropped(array(*contents))
            self.held -= set(contents)

    @rule(count=st.integers(0, 12), spared=st.frozensets(st.integers(0, CONTENTS - 1)))
    def make_room(self, count, spared):
        self.evict(count, spared)

    @rule(count=st.integers(0, 12), spared=st.frozensets(st.integers(0, CONTENTS - 1)))
    def look(self, count, spared):
        """Whoever asks may leave it at that."""
        candidates = array(*(content for content in self.members if content not in spared))
        check_victims(self.policy.victims(count, lambda contents: ~np.isin(contents, list(spared))), count, candidates)

    @rule(plan=st.lists(st.lists(st.integers(0, CONTENTS - 1), unique=True, max_size=5), max_size=4))
    def replan(self, plan):
        if isinstance(self.policy, PlanAware):
            self.policy.replan([array(*contents) for contents in plan])

    @invariant()
    def the_set_is_what_is_held_and_not_in_use(self):
        assert np.flatnonzero(self.policy.members(np.arange(CONTENTS))).tolist() == self.members


@pytest.mark.parametrize("name", POLICIES)
def test_the_contract(name):
    machine = type(name, (Tier,), {"kind": POLICIES[name]})
    run_state_machine_as_test(machine, settings=settings(max_examples=30, stateful_step_count=40, deadline=None))


# ------------------------------------------------------------ under the engine
def watch(memory) -> None:
    """Check every answer of the pool's eviction policy, and all invariants at every boundary."""
    pool, begin = memory.tiers.pool, memory.begin
    ask = pool.victims

    def victims(count, allowed):
        members = pool.resident[pool.eviction.members(pool.resident)]
        answer = ask(count, allowed)
        check_victims(answer, count, members[allowed(members)])
        return answer

    def begin_step(step):
        begin(step)
        memory.tiers.assert_consistency()

    pool.victims, memory.begin = victims, begin_step


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=12, deadline=None)
@given(requests=request_tables(), options=engine_settings(), prefetch=st.sampled_from(["none", "la_k", "linux_vma"]))
def test_a_random_replay(name, requests, options, prefetch):
    trace, _ = record(requests, settings=options)
    run = replay(trace, prefetch, pool=18, rotation=Rotation(4, options["quantum_steps"]), eviction=name)
    watch(run.memory)
    run.run()
    run.memory.tiers.assert_consistency()


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if policy.level <= Level.I4])
@settings(max_examples=12, deadline=None)
@given(requests=request_tables(), options=engine_settings(), prefetch=st.sampled_from(["none", "la_k"]))
def test_a_random_closed_loop(name, requests, options, prefetch):
    """The host tier has the same policy, with room for few blocks at times."""
    loop = serve(requests, prefetch, settings=options, eviction=name, host_eviction=name)
    watch(loop.memory)
    served = loop.run()
    assert len(served.completion_s) + served.dropped == len(requests)


# ------------------------------------------------------------ what the tiers tell
class Ledger(Lru):
    """LRU that books what it is told, and checks that it is possible."""

    def __init__(self) -> None:
        super().__init__()
        self.held: set[int] = set()
        self.references: dict[int, int] = {}

    def touch(self, contents):
        for content in contents.tolist():
            self.references[content] = self.references.get(content, 0) + 1
        assert not self.members(contents).any(), "a block that is read is evictable"

    def admit(self, contents):
        assert not self.held & set(contents.tolist()), "a block got a second slot"
        self.held |= set(contents.tolist())

    def evicted(self, contents):
        assert set(contents.tolist()) <= self.held, "a block without a slot was evicted"
        self.held -= set(contents.tolist())

    dropped = evicted


@given(requests=request_tables(), options=engine_settings(), prefetch=st.sampled_from(["none", "la_k"]))
def test_slots_and_references_are_booked_once(requests, options, prefetch):
    """Slots by the pool's own account; references by the entries of requests into the batch."""
    trace, _ = record(requests, settings=options)
    run = replay(trace, prefetch, pool=18, rotation=Rotation(4, options["quantum_steps"]))
    pool = run.memory.tiers.pool
    ledger = pool.eviction = Ledger()
    run.run()
    assert ledger.held == set(pool.resident.tolist())
    expected: dict[int, int] = {}
    for events in run.script.events.values():
        for contents in [*(enter.contents for enter in events.enters), *events.joined]:
            for content in contents.tolist():
                expected[content] = expected.get(content, 0) + 1
    assert ledger.references == expected


def listen(policy: EvictionPolicy) -> list[tuple[str, list[int]]]:
    """A list that fills with what the policy is told of, whenever that is not nothing."""
    told: list[tuple[str, list[int]]] = []

    def hook(name: str):
        def hear(contents):
            if len(contents):
                told.append((name, contents.tolist()))

        return hear

    for name in ("touch", "admit", "evicted", "dropped"):
        setattr(policy, name, hook(name))
    return told


def test_a_request_is_admitted_and_read_last_block_first():
    """Three blocks are created and leave, the partial one for good. Another request reads the two full ones and 3,
    which was created in this step."""
    memory = toy_memory(8)
    told = listen(memory.tiers.pool.eviction)
    contents = memory.tiers.states.new(4)
    memory.begin(0)
    memory.create(contents[:3])
    memory.leave(0, contents[:3], contents[2:3], finished=True)
    memory.enter(1, contents[:2], contents[:0])
    memory.reserve(contents[:2])
    memory.create(contents[3:])
    memory.join(contents[3:])
    assert told[:2] == [("admit", [2, 1, 0]), ("dropped", [2])]
    assert told[2:] == [("touch", [1, 0]), ("admit", [3]), ("touch", [3])]


def test_the_host_tier_tells_its_policy_too():
    """Room for two: the third copy takes the place of the first. A load reads the second, the last one is discarded."""
    host = HostTier(BlockStates(3), 2, Lru())
    told = listen(host.eviction)
    host.add(array(0, 1))
    host.add(array(2))
    host.touch(array(1))
    host.discard(array(2))
    assert told == [("admit", [0, 1]), ("admit", [2]), ("evicted", [0]), ("touch", [1]), ("dropped", [2])]
