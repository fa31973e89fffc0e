"""What a policy with feedback is told of arrivals and evictions, against what the tiers did."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pagedkv.engine.address import Logical
from pagedkv.engine.ladder import Level
from pagedkv.engine.replay import Rotation
from pagedkv.engine.transfers import LOAD, PREFETCH
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from tests.engine.build import MS, put_on_host, record, replay, serve, table, toy_memory
from tests.engine.strategies import engine_settings, request_tables


def rows(told):
    """Arrivals or evictions as tuples."""
    return list(zip(*(column.tolist() for column in vars(told).values()), strict=True))


class Listener(PrefetchPolicy):
    """Fetches what `wanted` says, or else behind each access, and keeps what it is told."""

    name = "listener"
    level = Level.I1
    feedback = True

    def __init__(self):
        super().__init__()
        self.wanted = None
        self.arrived, self.evicted = [], []

    def propose(self, view):
        self.arrived += rows(view.arrived)
        self.evicted += rows(view.evicted)
        if self.wanted is not None:
            wanted, self.wanted = self.wanted, []
            return wanted
        seen = view.accesses
        return [Fetch(s, i + 1, 2) for s, i in zip(seen.stream.tolist(), seen.index.tolist(), strict=True)]


class Deaf(Listener):
    feedback = False


def test_loads_and_victims_are_told_under_the_name_they_were_used_by_last():
    """Pool of 3. Request 7 reads blocks a, b on demand and leaves; request 8 prefetches c and then d, e as its blocks
    1 .. 3: d and e push out b (request 7's last block leaves first) and a. Nobody uses c, d, e, and a demand load of a
    and b by request 9 pushes out c and d."""
    tables = {}
    policy = Listener()
    memory = toy_memory(4, policy, Logical(lambda request: tables[request]))
    contents = put_on_host(memory, 5)
    ab, none = contents[:2], contents[:0]
    tables[8] = contents[[0, 2, 3, 4]]

    def step(number, wanted=()):
        policy.wanted = list(wanted)
        memory.settle(MS)
        memory.run(memory.compute_start_s + 8 * MS, memory.compute_start_s + 8 * MS, none)
        memory.finish(8 * MS)
        memory.begin(number + 1)

    memory.begin(0)
    memory.enter(7, ab, none)
    memory.reserve(ab)
    step(0)
    memory.leave(7, ab, none, finished=False)
    step(1, wanted=[Fetch(8, 1, 3)])
    assert policy.arrived == [(7, 0, False), (7, 1, False)] and policy.evicted == []
    memory.enter(9, ab, none)
    memory.reserve(ab)
    step(2)
    assert policy.arrived[2:] == [(8, 1, True), (8, 2, True), (8, 3, True)]
    # By now a and b go by request 9, which holds them.
    assert policy.evicted == [(9, 1, False, True), (9, 0, False, True), (8, 1, True, False), (8, 2, True, False)]


def test_nothing_is_told_without_feedback():
    trace, _ = record(table([{"prompt": 50 + 5 * n, "output": 40} for n in range(6)]), settings={"pool_blocks": 18})
    for policy in (Deaf(), Listener()):
        run = replay(trace, policy, pool=18, rotation=Rotation(4, None))
        run.run()
        assert bool(policy.arrived) == policy.feedback
        assert (run.memory.tiers.feedback is not None) == policy.feedback


class Log:
    """What the tiers of a memory really do, in the address space of the run."""

    def __init__(self, memory):
        self.memory, tiers = memory, memory.tiers
        self.arrived, self.evicted = [], []
        evict, feedback = tiers._evict, tiers.feedback
        seen = tiers.on_seen

        def on_seen(job):
            if seen is not None:
                seen(job)
            if job.direction == LOAD:
                self.arrived.extend((c, job.cause == PREFETCH) for c in job.contents.tolist())

        def logged(count, allowed, by_prefetch=False):
            before = tiers.states.prefetched_step[: tiers.states.count].copy()
            slots = tiers.states.slot[: tiers.states.count].copy()
            victims = evict(count, allowed, by_prefetch)
            left = np.flatnonzero((slots >= 0) & (tiers.states.slot[: len(slots)] < 0)).tolist()
            self.evicted.extend((c, bool(before[c] >= 0), by_prefetch) for c in left)
            return victims

        tiers.on_seen, tiers._evict = on_seen, logged
        take = feedback.take

        def checked():
            """At each question the policy is told everything since the last one that has an address."""
            told_arrived, told_evicted = take()
            assert sorted(rows(told_arrived)) == self.named(self.arrived)
            assert sorted(rows(told_evicted)) == self.named(self.evicted)
            self.arrived, self.evicted = [], []
            return told_arrived, told_evicted

        feedback.take = checked

    def named(self, happened):
        streams, indices = self.memory.space.locate(np.array([c for c, *_ in happened], np.int64))
        named = zip(streams.tolist(), indices.tolist(), happened, strict=True)
        return sorted((stream, index, *flags) for stream, index, (_, *flags) in named if index >= 0)


@settings(max_examples=40, deadline=None)
@given(request_tables(), engine_settings(), st.sampled_from(["logical", "physical"]))
def test_a_replay_tells_everything_that_happened_once(requests, options, address):
    trace, _ = record(requests, settings={**options, "host_blocks": None})
    assume(len(trace.steps["step"]))
    policy = Listener()
    rotation = Rotation(options["max_num_seqs"], options["quantum_steps"])
    run = replay(trace, policy, pool=options["pool_blocks"], rotation=rotation, address=address)
    Log(run.memory)
    run.run()
    if address == "logical":
        told = sum(prefetched for *_, prefetched in policy.arrived)
        assert told <= run.memory.issuer.counts.issued
        assert sum(unused for _, _, unused, _ in policy.evicted) <= run.memory.tiers.evicted_unused


@settings(max_examples=40, deadline=None)
@given(request_tables(), engine_settings())
def test_so_does_a_closed_loop(requests, options):
    loop = serve(requests, Listener(), settings=options)
    Log(loop.memory)
    loop.run()


@pytest.mark.parametrize("address", ["logical", "physical"])
def test_feedback_changes_no_decision(address):
    trace, _ = record(table([{"prompt": 50 + 5 * n, "output": 40} for n in range(6)]), settings={"pool_blocks": 18})
    stalls = []
    for policy in (Deaf(), Listener()):
        run = replay(trace, policy, pool=18, rotation=Rotation(4, None), address=address)
        run.run()
        stalls.append(run.stalls)
    assert np.array_equal(*stalls)
