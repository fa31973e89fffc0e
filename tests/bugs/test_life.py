"""Bug classes 7, 11, 22 and 23: requests leave and come back while transfers are under way, and all is counted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pagedkv.device.cuda import CudaDevice
from pagedkv.engine.blocks import NEVER
from pagedkv.engine.issuer import IssuerSettings
from pagedkv.engine.tiers import Tiers
from pagedkv.engine.transfers import PREFETCH
from pagedkv.metric.cases import Case
from tests.bugs.late import lazy, moody
from tests.bugs.runs import ROTATION, drain, found, loop_on, run
from tests.engine.build import calibration, serve, table

LOOK_AHEAD = Case("la_k", {"k": 8, "plan": "stay"})


# ------------------------------------------------------------ 7: preempt and resume
def phases(late, requests, **options):
    """Serve `requests`; returns (run, how often requests left or came back with their blocks in which state)."""
    loop, seen = loop_on(late, requests, **options), Counter()
    states, kv = loop.memory.tiers.states, loop.kv
    release, admit = kv.release, kv.admit

    def note(verb, contents):
        flags = {"loading": states.loading, "storing": states.storing, "absent": states.slot < 0}
        seen.update(f"{verb} {name}" for name, flag in flags.items() if flag[contents].any())

    def releasing(request, finished, keep_table):
        note("finish" if finished else "leave", request.contents)
        release(request, finished, keep_table)

    def admitting(request, budget, arrived_only=False):
        contents = kv.reusable(request).copy()
        before = Counter(seen)
        note("resume" if request.preempted else "admit", contents)
        tokens = admit(request, budget)
        if not tokens:
            seen.clear()
            seen.update(before)
        return tokens

    kv.release, kv.admit = releasing, admitting
    loop.run()
    return loop, seen


@pytest.mark.parametrize("preemption", ["swap", "recompute"])
def test_class_07_preempt_and_resume_in_every_phase_of_a_transfer(late, rotating, preemption):
    """Requests leave while they are stored, and come back while they are still being stored, while they are being
    loaded ahead, and when they are gone; by rotation and by preemption."""
    requests, reference = rotating
    met, preempted = Counter(), 0
    for seed, settings in enumerate([ROTATION, {**ROTATION, "max_num_seqs": 3, "pool_blocks": 18}]):
        for loads, stores in ((lazy, lazy), (moody(seed), moody(10 + seed))):
            late.world.set_moods(loads, stores)
            loop, seen = phases(late, requests, case=LOOK_AHEAD, preemption=preemption, **settings)
            met += seen
            preempted += loop.scheduler.preemptions
            produced = late.runner.produced()
            assert all(np.array_equal(got.tokens, reference.produced[n].tokens) for n, got in produced.items())
            assert loop.device.evidence()["wrong_blocks"] == 0
    assert preempted > 0
    assert met.keys() >= {"leave storing", "resume storing", "resume loading", "resume absent"}, met


def test_class_07_a_partial_block_that_is_written_while_it_is_stored_is_found(late, rotating, monkeypatch):
    """A request appends to its last block, although the store of it that began when it left is still reading."""
    monkeypatch.setattr(Tiers, "overwrite", lambda tiers, contents: None)
    late.world.set_moods(lazy, lazy)
    assert found(*rotating, late, **ROTATION)


def test_class_07_a_request_that_resumes_on_blocks_in_flight_waits_for_them(late, rotating, monkeypatch):
    """Taken out, the wait for blocks that were fetched ahead and have not come yet is missed."""
    monkeypatch.setattr(CudaDevice, "need", lambda device, contents: None)
    monkeypatch.setattr(late, "trusting", False)
    late.world.set_moods(loads=lazy)
    assert found(*rotating, late, case=LOOK_AHEAD, **ROTATION)


# ------------------------------------------------------------ 22: finish with a transfer outstanding
def test_class_22_finish_with_transfers_outstanding(late, sharing):
    """Stores complete only when somebody waits for them, so that requests finish and leave blocks that are still read.
    In the end every slot can be had, nobody holds a block, and pinned memory holds the host tier's copies only."""
    requests, reference = sharing
    late.world.set_moods(lazy, lazy)
    loop, seen = phases(late, requests, pool_blocks=14)
    assert seen["finish storing"] > 3
    assert {n: got.tokens.tolist() for n, got in late.runner.produced().items()} == {
        n: got.tokens.tolist() for n, got in reference.produced.items()
    }
    nothing_leaks(loop)


def nothing_leaks(loop):
    drain(loop)
    tiers, device = loop.memory.tiers, loop.device
    tiers.assert_consistency()
    assert not tiers.states.references.any()
    assert tiers.pool.available == tiers.pool.usable
    assert tiers.loading_blocks == 0 and not tiers.loads and not tiers.stores
    # What the device keeps of transfers and copies.
    device.observe(tiers.loads, tiers.stores)
    device._host_slots.free_retired()
    device._host_slots.assert_consistency()
    assert not any(device._flights) and not device._arrived
    assert device._host_slots.slots - device._host_slots.free_count == tiers.host.count


# ------------------------------------------------------------ 11: bookkeeping of prefetches
@pytest.mark.parametrize("k", [2, 12, None])
def test_class_11_prefetches_are_accounted_for(late, rotating, k):
    """Fetches are cancelled, dropped for want of room and evicted unused; then nothing is in flight or queued for ever,
    and what was issued was used, evicted, or lies there still. Bug: the device kept every transfer for good."""
    requests, reference = rotating
    late.world.set_moods(moody(1), moody(2))
    got = run(late, requests, Case("la_k", {"k": k, "plan": "stay"}), pool_blocks=16, **ROTATION)
    memory, tiers = got.loop.memory, got.loop.memory.tiers
    waiting = int((tiers.states.prefetched_step[: tiers.states.count] != NEVER).sum())
    counts = memory.issuer.counts
    assert min(counts.cancelled, counts.dropped_no_room, tiers.evicted_unused) > 1, "too little happened"
    assert counts.issued == memory.counts.useful + tiers.evicted_unused + waiting
    assert tiers.device.h2d.free_at_s <= tiers.device.now_s
    assert got.same_as(reference)
    nothing_leaks(got.loop)


def test_class_11_the_cap_on_blocks_in_flight_is_kept_and_freed():
    """3 blocks at a time: the budget is full again and again, and comes back to nothing."""
    rows = [{"prompt": 60 + 5 * n, "output": 20} for n in range(5)]
    flying = []

    def count(loop):
        flying.append(sum(len(job.contents) for job in loop.memory.tiers.loads if job.cause == PREFETCH))

    loop = serve(
        table(rows),
        "la_k",
        params={"k": 8, "plan": "stay"},
        settings={"max_num_seqs": 2, "quantum_steps": 4},
        issuer=IssuerSettings(quantum_blocks=1, in_flight_cap_blocks=3),
        on_step=count,
        calibration=calibration(block_s=4e-4),
    )
    loop.run()
    assert max(flying) == 3
    drain(loop)
    assert loop.memory.tiers.loading_blocks == 0


# ------------------------------------------------------------ 23: counted at each retry
def test_class_23_a_deferred_admission_counts_once():
    """Request 2 hits 4 blocks that lie on the host only. It cannot be admitted for many steps, as two others hold the
    pool: one admission, 4 host hits, 4 loads, 64 hit tokens, however often it was tried."""
    keys = [1, 2, 3, 4]
    rows = [
        {"prompt": 65, "output": 1, "ids": keys},
        {"prompt": 112, "output": 10, "at": 0.1},
        {"prompt": 112, "output": 10, "at": 0.1},
        {"prompt": 70, "output": 1, "ids": keys, "at": 0.1015},
    ]
    loop = serve(table(rows), settings={"pool_blocks": 17, "max_num_batched_tokens": 1000}, leaping=False)
    admit, tried = loop.kv.admit, Counter()

    def counted(request, budget, arrived_only=False):
        tried[request.number] += 1
        return admit(request, budget)

    loop.kv.admit = counted
    served = loop.run()
    assert tried[3] > 3
    assert served.hit_tokens == 64
    assert loop.kv.host_hit_blocks == 4
    assert loop.memory.counts.demand_loads == 4
    assert loop.memory.counts.entries == len(rows)
