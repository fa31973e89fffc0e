"""Bug classes 5, 6, 15, 19 and 20: what the host tier holds, and what is said to be cached."""

from __future__ import annotations

import numpy as np
import pytest

from pagedkv.device.hostslots import HostSlots
from pagedkv.engine.scheduler import Scheduler
from pagedkv.engine.tiers import Tiers
from pagedkv.engine.transfers import PREFETCH
from pagedkv.errors import PagedKVError
from pagedkv.metric.cases import Case
from pagedkv.prefetch.base import Fetch
from tests.bugs.late import eager, lazy
from tests.bugs.runs import PRESSURE, ROTATION, Run, alone, found, loop_on, run
from tests.engine.build import MS, put_on_host, serve, table, toy_memory

LOOK_AHEAD = Case("la_k", {"k": 8, "plan": "stay"})
SMALL_HOST = {"host_blocks": 20, **ROTATION}


@pytest.mark.parametrize("case", [Case("none"), LOOK_AHEAD], ids=lambda case: case.prefetch)
def test_class_05_host_block_evicted_during_load(late, case, rotating):
    """Two thirds of the blocks fit the host tier: copies leave it at many stores, while loads are under way."""
    requests, reference = rotating
    late.world.set_moods(lazy, eager)
    loop = loop_on(late, requests, case, **SMALL_HOST)
    tiers, during = loop.memory.tiers, []
    shrink = tiers.host._shrink

    def shrunk():
        left = shrink()
        if tiers.loads and len(left):
            during.append(left)
            assert not np.isin(left, np.concatenate([job.contents for job in tiers.loads])).any()
        return left

    tiers.host._shrink = shrunk
    loop.run()
    assert during, "no host block left while a load was under way: the test shows nothing"
    assert Run(loop, late.runner.produced()).same_as(reference)
    assert loop.device.evidence()["wrong_blocks"] == 0


def test_class_05_stores_that_fill_the_host_tier_spare_what_is_being_loaded():
    """Host tier of 2, full. While one of its blocks is loaded, which takes 1 ms, two new ones are stored: of the three
    others the two oldest leave, although the block under way is older than the new ones."""
    memory = toy_memory(8, host_blocks=2)
    tiers = memory.tiers
    under_way, other = put_on_host(memory, 2)
    new = tiers.states.new(2)
    tiers.create(new)
    tiers.store(new)
    tiers.device.advance_to(1.5 * MS)
    tiers.load(np.array([under_way]), PREFETCH)
    tiers.device.advance_to(2.1 * MS)
    tiers.collect()
    assert tiers.states.loading[under_way]
    assert tiers.states.on_host[[under_way, other, *new]].tolist() == [True, False, False, True]


def test_class_05_a_place_that_is_given_up_before_its_load_is_found(late, rotating, monkeypatch):
    """Pinned memory is free as soon as the engine discards a copy, not when the step is over: a request that comes back
    discards the copy of its partial block, which it is about to load."""
    retire = HostSlots.retire

    def hasty(slots, contents):
        retire(slots, contents)
        slots.free_retired()

    monkeypatch.setattr(HostSlots, "retire", hasty)
    late.world.set_moods(lazy, eager)
    assert found(*rotating, late, **ROTATION)


# ------------------------------------------------------------ 6: never filled, or failed
@pytest.fixture(scope="module")
def quoting(late):
    """The fifth block of the first prompt has 6 of its 16 tokens when the second request, which quotes the answer to
    the first, could take it for computed; the third one is there from the beginning, with four blocks in common."""
    first = {"prompt": 70, "output": 20, "ids": [0, 1, 2, 3, 4, 5]}
    rows = [first, {**first, "prompt": 100, "output": 9}, {"prompt": 66, "output": 9, "ids": [0, 1, 2, 3]}]
    requests = table(rows)
    return requests, alone(late, requests)


@pytest.mark.parametrize("budget", [7, 16, 64])
def test_class_06_a_block_is_found_only_when_it_is_computed(late, quoting, budget):
    """In chunks of all sizes: who hits a block reads what its first owner has written."""
    requests, reference = quoting
    late.world.set_moods()
    got = run(late, requests, pool_blocks=40, max_num_batched_tokens=budget)
    assert got.loop.served.hit_tokens >= 128
    assert got.same_as(reference)


def test_class_06_a_block_that_is_published_half_filled_is_found(late, quoting, monkeypatch):
    schedule = Scheduler._schedule_running

    def hasty(scheduler, step, now_s):
        batch = schedule(scheduler, step, now_s)
        ends = (batch.computed + batch.tokens).tolist()
        for request, computed, end in zip(batch.requests, batch.computed.tolist(), ends, strict=True):
            scheduler.kv.register_filled(request, computed, end + 15)
        return batch

    monkeypatch.setattr(Scheduler, "_schedule_running", hasty)
    late.world.set_moods()
    assert found(*quoting, late, max_num_batched_tokens=16, pool_blocks=40)


def test_class_06_a_copy_that_is_published_before_it_is_there_is_found(late, rotating, monkeypatch):
    """Copies count as present when their store begins; the load that follows does not wait for it."""
    store = Tiers.store

    def hasty(tiers, contents):
        store(tiers, contents)
        tiers.host.add(contents)
        tiers.states.storing[contents] = False

    monkeypatch.setattr(Tiers, "store", hasty)
    monkeypatch.setattr(Tiers, "assert_consistency", lambda tiers: None)
    late.world.set_moods(loads=eager, stores=lazy)
    assert found(*rotating, late, **ROTATION)


@pytest.mark.parametrize("queue", [0, 1], ids=["load", "store"])
def test_class_06_a_copy_that_fails_ends_the_run_and_leaves_nothing_behind(late, rotating, monkeypatch, queue):
    """The driver refuses the fifth submission: nothing is computed on a block that did not come, and the next run on
    the same machine knows nothing of this one's blocks."""
    requests, reference = rotating
    late.world.set_moods()
    calls = iter(range(5))

    def refuse(lane_work):
        if next(calls, None) is None:
            raise PagedKVError("the driver refused a copy")
        return give(lane_work)

    copies = late.copies[queue]
    give = copies._lane.give
    with monkeypatch.context() as patched:
        patched.setattr(copies._lane, "give", refuse)
        with pytest.raises(PagedKVError, match="the driver refused a copy"):
            run(late, requests, **ROTATION)
    late.world.forget()
    assert run(late, requests, **ROTATION).same_as(reference)


# ------------------------------------------------------------ 19: self-eviction
def test_class_19_blocks_of_the_request_to_be_admitted_make_no_room_for_it():
    """7 slots. The least recently used blocks are the 3 that the request will hit; it needs 3 more, and 1 is free: the
    2 blocks that leave are those of another one, although they were used later."""
    rows = [
        {"prompt": 48, "output": 1, "ids": [1, 2, 3]},
        {"prompt": 48, "output": 1, "ids": [7, 8, 9], "at": 0.01},
        {"prompt": 96, "output": 1, "ids": [1, 2, 3], "at": 0.02},
    ]
    loop = serve(table(rows), settings={"pool_blocks": 8, "host_blocks": 0, "max_num_batched_tokens": 1000})
    assert loop.run().hit_tokens == 48
    assert loop.kv.prefix.lookup(np.array([1, 2, 3])).tolist() == [0, 1, 2]
    assert len(loop.kv.prefix.lookup(np.array([7, 8, 9]))) == 1


def test_class_19_a_store_spares_the_host_copies_that_its_own_request_waits_for():
    """Host tier of 2. A request holds block 0, which lies there as the least recently used one and is about to be
    loaded, and a full block that is being stored: the store takes the place of the other copy."""
    memory = toy_memory(4, host_blocks=2)
    tiers = memory.tiers
    awaited, other = put_on_host(memory, 2)
    full = memory.tiers.states.new(1)
    tiers.create(full)
    tiers.pin(np.array([awaited]))
    tiers.store(full)
    assert tiers.wait_for_a_transfer()
    assert tiers.states.on_host[[awaited, other, *full]].tolist() == [True, False, True]


# ------------------------------------------------------------ 20: check to use
def test_class_20_a_block_lost_between_the_plan_and_its_fetch_is_dropped():
    """Four blocks are asked for, one fits the time of the first boundary. Of the three that remain queued one is lost
    and one is overwritten before the next: only the last one is loaded."""
    memory = toy_memory(9, issuer=None)
    contents = put_on_host(memory, 4)
    memory.issuer.space = type("Space", (), {"decode_all": staticmethod(lambda ranges, name: contents)})
    memory.issuer.settings = type(memory.issuer.settings)(quantum_blocks=1)
    memory.issuer.accept([Fetch(0, 0, 4)], replace=False)
    memory.issuer.pump(0.5 * MS, step=0)
    assert memory.issuer.queued_blocks == 3
    memory.tiers.host.discard(contents[1:3])
    memory.tiers.device.advance_to(1 * MS)
    memory.tiers.collect()
    memory.issuer.pump(100 * MS, step=1)
    assert memory.tiers.states.layers[contents].tolist() == [2, 0, 0, 2]
    assert memory.issuer.queued_blocks == 0


@pytest.mark.parametrize("host_blocks", [0, 3, 128])
def test_class_20_what_is_gone_at_admission_is_computed_again(late, sharing, host_blocks):
    """Prefixes are looked up at each boundary for the plan, and are evicted, or lost for good, before the request is
    admitted."""
    requests, reference = sharing
    late.world.set_moods()
    got = run(late, requests, LOOK_AHEAD, **{**PRESSURE, "host_blocks": host_blocks})
    assert got.same_as(reference)
