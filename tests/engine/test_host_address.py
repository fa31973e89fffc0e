"""Host addresses: who gets which slot, and what a replay makes of them."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pagedkv.engine.address import Slots, slot_runs
from pagedkv.engine.demand import DPage
from pagedkv.engine.host_address import EXTENT, HOST_SPACES, Contiguous, FirstFree, HostSlots, Scattered, host_slots
from pagedkv.engine.ladder import Level
from pagedkv.engine.replay import Rotation
from pagedkv.engine.scripting import build_script
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from tests.engine.build import checked, record, replay, table
from tests.engine.strategies import engine_settings, request_tables


def a(*numbers):
    return np.array(numbers, np.int64)


def test_first_free_fills_holes_from_below():
    space = HostSlots("host", FirstFree())
    space.stored(a(10, 11, 12))
    space.stored(a(20))
    assert space.decode(0, 0, 4).tolist() == [10, 11, 12, 20]
    space.discarded(a(11))
    space.discarded(a(10))
    assert space.decode(0, 0, 4).tolist() == [12, 20]
    # Two holes and the end; a block that is stored again has no claim to its old slot.
    space.stored(a(30, 11, 10))
    assert space.decode(0, 0, 9).tolist() == [30, 11, 12, 20, 10]
    assert space.locate(a(10, 20, 99))[1].tolist() == [4, 3, -1]


def test_an_access_to_a_copy_that_is_being_replaced_has_the_old_address():
    space = HostSlots("host", FirstFree())
    space.stored(a(5, 6))
    space.discarded(a(6))
    stream, index = space.encode(7, a(1), a(6))
    assert (stream.tolist(), index.tolist()) == ([0], [1])
    assert space.locate(a(6))[1].tolist() == [-1]


def test_contiguous_gives_each_request_extents_of_its_own():
    """Requests 3 and 8 store by turns; block 512 of request 3 begins a second extent, behind that of request 8."""
    creator, block = a(3, 3, 8, 3, 8, 3), a(0, 1, 0, 511, 1, 512)
    allocator = Contiguous(creator, block)
    assert allocator.take(a(0, 2)).tolist() == [0, EXTENT]
    assert allocator.take(a(5)).tolist() == [2 * EXTENT]
    assert allocator.take(a(4, 1, 3)).tolist() == [EXTENT + 1, 1, EXTENT - 1]


def test_scattered_leaves_no_neighbours_and_is_drawn_from_the_seed():
    slots = Scattered(2000, seed=1).take(np.arange(2000))
    assert np.array_equal(np.sort(slots), np.arange(2000))
    assert (np.abs(np.diff(slots)) == 1).sum() < 20
    assert np.array_equal(slots, Scattered(2000, seed=1).take(np.arange(2000)))
    assert not np.array_equal(slots, Scattered(2000, seed=2).take(np.arange(2000)))


def test_an_unknown_space_is_refused():
    script = build_script(record(table([{"prompt": 20, "output": 2}]))[0])
    with pytest.raises(PagedKVError, match="host address space 'swap' is unknown; known are host, host-contiguous"):
        host_slots("swap", script, 1)


def test_runs_ascend_by_one_and_keep_their_order():
    assert slot_runs(a(4, 5, 6, 3, 2, -1, 3, 9)) == ((0, 4, 3), (0, 3, 1), (0, 2, 2), (0, 9, 1))
    assert slot_runs(a(-1)) == slot_runs(a()) == ()
    assert slot_runs(a(0, 1)) == ((0, 0, 2),)


class Neighbours(PrefetchPolicy):
    """Fetches around each access, and keeps what it sees."""

    name = "neighbours"
    feedback = True

    def __init__(self, level=Level.I0):
        super().__init__()
        self.level, self.views = level, []

    def propose(self, view):
        self.views.append(view)
        return [Fetch(0, index - 2, 5) for index in view.accesses.index.tolist()]


@settings(max_examples=40, deadline=None)
@given(request_tables(), engine_settings(), st.sampled_from(HOST_SPACES))
def test_a_slot_is_one_blocks_and_every_access_has_one(requests, options, address):
    trace, _ = record(requests, settings={**options, "host_blocks": None})
    assume(len(trace.steps["step"]))
    policy, rotation = Neighbours(), Rotation(options["max_num_seqs"], options["quantum_steps"])
    run = replay(trace, policy, pool=options["pool_blocks"], rotation=rotation, address=address)
    space = run.memory.space

    def check():
        states = run.memory.tiers.states
        stored = np.flatnonzero(states.on_host[: states.count])
        slots = space.locate(stored)[1]
        if address != "host-contiguous":  # there, of two copies of one request's block the older has no address
            assert (slots >= 0).all()
        assert len(np.unique(slots[slots >= 0])) == (slots >= 0).sum()
        assert set(space.decode(0, 0, 1 << 20).tolist()) == set(stored[slots >= 0].tolist())

    checked(run, check).run()
    for view in policy.views:
        assert not view.accesses.stream.any() and (view.accesses.index >= 0).all()


ROTATING = {"max_num_seqs": 2, "quantum_steps": 4, "pool_blocks": 24}


@pytest.fixture(scope="module")
def trace():
    return record(table([{"prompt": 50 + 5 * n, "output": 40} for n in range(6)]), settings=ROTATING)[0]


def test_the_allocator_decides_what_readahead_finds(trace):
    """Page by page, the blocks around a fault are the ones that its request faults next, if they are its own."""
    faults = []
    for address in ("host-contiguous", "host", "host-scattered"):
        run = replay(trace, Neighbours(), pool=18, rotation=Rotation(2, 4), address=address, demand=DPage())
        run.run()
        faults.append(run.memory.counts.demand_loads)
    assert faults[0] < 0.8 * faults[1] and faults[1] < 0.8 * faults[2]


@pytest.mark.parametrize("address", ["physical", *HOST_SPACES])
def test_reads_under_slots_are_the_blocks_of_the_batch_without_their_requests(trace, address):
    """The same blocks in the same order as the requests' tables have them, as far as they have a slot."""
    policy = Neighbours(Level.I6)
    run = replay(trace, policy, pool=18, rotation=Rotation(2, 4), address=address)
    scheduler, seen = run.scheduler, []
    fields = scheduler.view_fields

    def watched():
        script, step = run.script, scheduler.step
        contents = []
        for request in scheduler._batch:
            rows = [row for row in script.table_rows[request] if row[0] <= step]
            table = {first + i: content + i for _, first, count, content in rows for i in range(count)}
            contents += [table[block] for block in range(script.blocks_read(request, step))]
        located = run.memory.space.locate(a(*contents))[1]
        seen.append(([slot for slot in located.tolist() if slot >= 0], fields()))
        return seen[-1][1]

    run.memory.consultation.schedule = watched
    run.run()
    assert len(seen) > 20
    for slots, told in seen:
        reads = told["reads"]
        assert [first + i for stream, first, count in reads for i in range(count)] == slots
        assert all(stream == 0 for stream, _, _ in reads)
        assert set(told) == {"step", "reads"}
    for name in ("batch", "queue", "plan", "paused", "true_plan", "absent_of"):
        with pytest.raises(PagedKVError, match=f"level I2 may not read '{name}'"):
            getattr(policy.views[0], name)


@given(st.lists(st.tuples(st.integers(-5, 40), st.integers(0, 9)), min_size=1))
def test_ranges_decoded_together_are_those_decoded_one_by_one(ranges):
    space = Slots()
    space.assign(np.arange(100, 120), np.arange(20) * 3 % 31)
    apart = [space.decode(0, first, count) for first, count in ranges]
    together = space.decode_all([(0, first, count) for first, count in ranges], name=False)
    assert together.tolist() == np.concatenate(apart).tolist()
