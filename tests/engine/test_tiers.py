"""Pool, tiers and host tier against a model of plain lists, under random sequences of what an engine does to them."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pagedkv.engine.transfers import DEMAND, PREFETCH, STORE, Job
from tests.engine.build import MS, toy_memory


class TiersMachine(RuleBasedStateMachine):
    """The model follows every transition through the hooks, and predicts each victim: the first one in the queue
    that no transfer and no protection holds back."""

    @initialize(slots=st.integers(2, 8), host=st.sampled_from([None, 0, 1, 2, 5]))
    def build(self, slots, host):
        self.slots, self.host_blocks = slots, host
        self.tiers = toy_memory(slots + 1, host_blocks=host).tiers
        self.queue: list[int] = []  # evictable, next victim first
        self.host: list[int] = []  # host copies, next victim first
        self.held: dict[int, int] = {}  # content -> references
        self.loading: set[int] = set()
        self.storing, self.resident = set(), set()
        self.lost: list[int] = []
        self.reported: list[int] = []
        self.protected: set[int] | None = None
        self.dropping = False
        self.tiers.on_seen = self.saw
        self.tiers.on_lost = lambda contents: self.reported.extend(contents.tolist())
        vacate = self.tiers.pool.vacate

        def vacated(contents):
            self.left(contents.tolist())
            vacate(contents)

        self.tiers.pool.vacate = vacated
        if host != 0:
            # Something to load from the beginning.
            self.host = self.tiers.states.new(6 if host is None else host).tolist()
            self.tiers.host.add(np.array(self.host, np.int64))
            add = self.tiers.host.add
            self.tiers.host.add = lambda contents: self.stored(contents.tolist(), add(contents).tolist())

    # ------------------------------------------------------------ the model
    def saw(self, job: Job) -> None:
        for content in job.contents.tolist():
            if job.direction == STORE:
                self.storing.remove(content)
            else:
                self.loading.remove(content)
                if self.held.get(content, 0) == 0:
                    self.queue.append(content)

    def left(self, contents: list[int]) -> None:
        for content in contents:
            assert self.held.get(content, 0) == 0, "a pinned block was evicted"
            assert content not in self.loading | self.storing, "a block was evicted under a transfer"
        if not self.dropping:
            spared = self.protected or set()
            order = [c for c in self.queue if c not in self.storing and c not in spared]
            assert contents == order[: len(contents)], "not the least recently used blocks were evicted"
        self.queue = [c for c in self.queue if c not in contents]
        self.resident -= set(contents)

    def stored(self, contents: list[int], evicted: list[int]) -> np.ndarray:
        """Copies have arrived in the host tier, and `evicted` left it."""
        assert not set(contents) & set(self.host), "a block was stored although its copy is current"
        self.host += contents
        surplus = 0 if self.host_blocks is None else max(0, len(self.host) - self.host_blocks)
        awaited = self.pinned - self.resident
        expected = [c for c in self.host if c not in self.loading | awaited][:surplus]
        assert evicted == expected, "not the least recently used host copies were evicted"
        self.host = [c for c in self.host if c not in evicted]
        return np.array(evicted, np.int64)

    def settle(self) -> None:
        """What exists nowhere any more has been reported, once."""
        alive = self.resident | set(self.host) | self.loading
        gone = [c for c in range(self.tiers.states.count) if c not in alive and c not in self.lost]
        assert sorted(self.reported) == gone, "lost contents are reported exactly once, and only they"
        self.lost += gone
        self.reported.clear()

    def pick(self, data, contents, label):
        contents = sorted(contents)
        return np.array(data.draw(st.lists(st.sampled_from(contents), unique=True, min_size=1, max_size=4), label))

    @property
    def pinned(self) -> set[int]:
        return {c for c, count in self.held.items() if count}

    @property
    def room(self) -> int:
        return self.slots - len(self.pinned | self.loading)

    # ------------------------------------------------------------ rules
    @precondition(lambda self: self.room > 0)
    @rule(data=st.data())
    def create_and_fill(self, data):
        contents = self.tiers.states.new(data.draw(st.integers(1, min(3, self.room)), "blocks"))
        self.tiers.create(contents)
        self.resident |= set(contents.tolist())
        self.held.update(dict.fromkeys(contents.tolist(), 1))
        if data.draw(st.booleans(), "full"):
            self.tiers.store(contents)
            self.storing |= set(contents.tolist()) if self.host_blocks != 0 else set()
        self.settle()

    @rule(data=st.data())
    def enter(self, data):
        """Pin existing blocks, take slots for the absent ones, and load them: a request joins the batch."""
        reusable = [c for c in range(self.tiers.states.count) if c not in self.lost]
        if not reusable:
            return
        contents = self.pick(data, reusable, "contents")
        new = [c for c in contents.tolist() if c not in self.pinned]
        if len(new) > self.slots - len(self.pinned | self.loading - set(new)):
            return
        self.tiers.pin(contents)
        for content in contents.tolist():
            self.held[content] = self.held.get(content, 0) + 1
            if content in self.queue:
                self.queue.remove(content)
        absent = contents[self.tiers.states.slot[contents] < 0]
        self.tiers.take_slots(absent)
        for content in absent.tolist():
            assert content in self.host, "a host copy was evicted before its load started"
        self.loads(absent, DEMAND)
        self.settle()

    def loads(self, contents, cause):
        for content in contents.tolist():
            if content in self.queue:
                self.queue.remove(content)
        if len(contents) == 0:
            return
        self.loading |= set(contents.tolist())
        self.resident |= set(contents.tolist())
        if self.host_blocks is not None:
            for content in contents.tolist():
                if content in self.host:
                    self.host.remove(content)
                    self.host.append(content)
        self.tiers.load(contents, cause, quantum=2 if cause == PREFETCH else None)

    @precondition(lambda self: self.pinned)
    @rule(data=st.data(), store=st.booleans())
    def leave(self, data, store):
        contents = self.pick(data, self.pinned, "contents")
        for content in contents.tolist():
            self.held[content] -= 1
            if self.held[content] == 0 and content not in self.loading:
                self.queue.append(content)
        self.tiers.unpin(contents)
        dirty = [c for c in contents.tolist() if c not in self.storing | set(self.host) | self.loading]
        if store and dirty:
            self.tiers.store(np.array(dirty))
            self.storing |= set(dirty) if self.host_blocks != 0 else set()
        self.settle()

    @precondition(lambda self: set(self.host) - self.resident)
    @rule(data=st.data())
    def prefetch(self, data):
        wanted = self.pick(data, set(self.host) - self.resident, "wanted")
        self.protected = set()
        if self.queue and data.draw(st.booleans(), "spare some"):
            self.protected = set(self.pick(data, self.queue, "protected").tolist())
            self.tiers.protect(np.array(sorted(self.protected)))
        spared = self.protected | self.storing
        available = self.slots - len(self.resident) + len([c for c in self.queue if c not in spared])
        room = self.tiers.room_for_prefetch(len(wanted))
        assert room == min(len(wanted), available)
        self.tiers.end_protection()
        self.protected = None
        self.settle()
        self.loads(wanted[:room], PREFETCH)

    @precondition(lambda self: self.resident)
    @rule(data=st.data())
    def drop(self, data):
        contents = self.pick(data, self.resident, "contents")
        free = {c for c in contents.tolist() if c not in self.pinned | self.loading | self.storing}
        self.dropping = True
        self.tiers.drop(contents)
        self.dropping = False
        assert not free & self.resident, "an idle block outlived its drop"
        self.host = [c for c in self.host if c not in free]
        self.settle()

    @precondition(lambda self: self.pinned & self.resident)
    @rule(data=st.data())
    def overwrite(self, data):
        content = self.pick(data, self.pinned & self.resident, "content")[:1]
        self.tiers.overwrite(content)
        assert not self.tiers.states.storing[content].any(), "a block is written while a store reads it"
        self.host = [c for c in self.host if c != content[0]]
        self.settle()

    @rule(blocks=st.sampled_from([0.5, 1.0, 2.5, 10.0]))
    def time_passes(self, blocks):
        self.tiers.device.advance_to(self.tiers.device.now_s + blocks * MS)
        self.tiers.collect()
        self.settle()

    @rule()
    def wait(self):
        pending = len(self.loading) + len(self.storing)
        assert self.tiers.wait_for_a_transfer() == (pending > 0)
        assert pending == 0 or len(self.loading) + len(self.storing) < pending, "waiting saw nothing complete"
        self.settle()

    # ------------------------------------------------------------ after every rule
    @invariant()
    def agrees(self):
        tiers, states = self.tiers, self.tiers.states
        tiers.assert_consistency()
        everyone = range(states.count)
        assert {c for c in everyone if states.slot[c] >= 0} == self.resident
        assert len(self.resident) + tiers.pool.free_count == self.slots, "slots are conserved"
        assert [int(states.references[c]) for c in everyone] == [self.held.get(c, 0) for c in everyone]
        assert {c for c in everyone if states.loading[c]} == self.loading
        assert {c for c in everyone if states.storing[c]} == self.storing
        assert {c for c in everyone if states.on_host[c]} == set(self.host)
        assert len(set(self.host)) == len(self.host)
        assert sorted(self.queue) == sorted(self.resident - self.pinned - self.loading)
        order = tiers.pool.victims(self.slots, lambda some: np.ones(len(some), bool))
        assert order.tolist() == self.queue, "every idle block stands in the queue once, in order of release"


TestTiers = TiersMachine.TestCase
TestTiers.settings = settings(max_examples=100, stateful_step_count=40)


def test_host_copy_of_an_awaited_block_stays():
    """Pool of 2, host of 1. Block 0 lies in the host tier only, 1 is pinned, 2 is being stored.

    A request enters that holds 0: its slot can only come from 2, whose store has to complete first. The copy of 2
    then needs the one place in the host tier, and must not take it from 0, which is about to be loaded.
    """
    tiers = toy_memory(3, host_blocks=1).tiers
    first = tiers.states.new(1)
    tiers.host.add(first)
    others = tiers.states.new(2)
    tiers.create(others)
    tiers.store(others[1:])
    tiers.unpin(others[1:])
    tiers.pin(first)
    tiers.room_for_step(1)
    assert tiers.states.on_host[:3].tolist() == [True, False, False]
