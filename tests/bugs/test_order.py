"""Bug classes 1 to 4, on the whole engine: what is not ordered by a fence happens in another order.

The race tests of copies let a GPU try this; here the order is chosen. Each test runs the engine as it is, and once more
with one rule taken out, which has to be found.
"""

from __future__ import annotations

import numpy as np
import pytest

from pagedkv.device.trust import Trust
from pagedkv.engine.tiers import Tiers
from pagedkv.metric.cases import Case
from tests.bugs.late import eager, lazy, moody
from tests.bugs.runs import ROTATION, found, loop_on, run

POLICIES = [Case("none"), Case("next_n", {"n": 4}), Case("la_k", {"k": 8, "plan": "stay"}, eviction="plan_aware")]


@pytest.mark.parametrize("loads, stores", [(lazy, lazy), (eager, lazy), (lazy, eager), (eager, eager)])
@pytest.mark.parametrize("case", POLICIES, ids=lambda case: case.prefetch)
def test_class_02_no_order_of_copies_and_compute_changes_a_token(late, rotating, case, loads, stores):
    """Compute is always late here, so that an eager load overwrites whatever a step under way still reads."""
    requests, reference = rotating
    late.world.set_moods(loads, stores)
    got = run(late, requests, case, **ROTATION)
    assert got.loaded_blocks > 100
    assert got.wrong_blocks == 0
    assert got.same_as(reference)


@pytest.mark.parametrize("trusting", [True, False], ids=["test mode", "as it runs"])
@pytest.mark.parametrize("seed", range(3))
def test_class_02_random_orders(late, rotating, seed, trusting, monkeypatch):
    requests, reference = rotating
    monkeypatch.setattr(late, "trusting", trusting)
    late.world.set_moods(moody(seed), moody(100 + seed))
    got = run(late, requests, POLICIES[seed % 3], **ROTATION)
    assert got.wrong_blocks == 0
    assert got.same_as(reference)


def test_class_01_a_store_that_does_not_wait_for_compute_is_found(late, rotating, monkeypatch):
    monkeypatch.setattr(late.world.stores, "after", lambda mark: None)
    late.world.set_moods(stores=eager)
    assert found(*rotating, late, **ROTATION)


def test_class_02_a_load_into_a_slot_that_the_running_step_reads_is_found(late, rotating, monkeypatch):
    """Blocks are not pinned, so that a prefetch takes the place of those that are being read."""
    monkeypatch.setattr(Tiers, "assert_consistency", lambda tiers: None)

    def pin(tiers, contents):
        tiers.states.references[contents] += 1

    monkeypatch.setattr(Tiers, "pin", pin)
    late.world.set_moods(loads=eager)
    assert found(*rotating, late, case=POLICIES[2], **ROTATION)


def test_class_03_compute_that_does_not_wait_for_loads_is_found(late, rotating, monkeypatch):
    """A load that comes late clobbers what the step appends to the partial block."""
    monkeypatch.setattr(late.world.compute, "after", lambda mark: None)
    late.world.set_moods(loads=lazy)
    assert found(*rotating, late, **ROTATION)


def test_class_03_poison_that_comes_after_the_first_write_is_found(late, rotating, monkeypatch):
    """The NaN of test mode is what zero-filling fresh pages is elsewhere. Bug: compute did not wait for it."""
    monkeypatch.setattr(Trust, "fence", lambda trust: False)
    late.world.set_moods(loads=lazy)
    assert found(*rotating, late, **ROTATION)


def storm(late, requests, **options):
    """A run in which no slot may be given out while a transfer that nobody has seen complete uses it."""
    loop = loop_on(late, requests, **options)
    tiers, slots = loop.memory.tiers, {}
    move, place = loop.device.move, tiers.pool.place

    def moved(job, quantum):
        slots[job.number] = tiers.states.slot[job.contents].copy()
        move(job, quantum)

    def placed(contents):
        given = place(contents)
        for job in (*tiers.loads, *tiers.stores):
            flying = slots[job.number][-len(job.contents) :]
            assert not np.isin(given, flying).any(), "a slot was given out while a transfer uses it"
        return given

    loop.device.move, tiers.pool.place = moved, placed
    loop.run()
    assert slots


@pytest.mark.parametrize("seed", range(2))
def test_class_04_slot_reused_while_a_transfer_uses_it(late, rotating, seed):
    late.world.set_moods(moody(seed), moody(200 + seed))
    storm(late, rotating[0], case=POLICIES[2], **ROTATION)


def test_class_04_a_victim_that_is_being_stored_is_found(late, rotating, monkeypatch):
    monkeypatch.setattr(Tiers, "_not_storing", lambda tiers, contents: contents >= 0)
    monkeypatch.setattr(Tiers, "assert_consistency", lambda tiers: None)
    late.world.set_moods(stores=lazy)
    with pytest.raises(AssertionError, match="while a transfer uses it"):
        storm(late, rotating[0], **ROTATION)
    late.world.forget()


@pytest.mark.parametrize("settles", [True, False])
def test_class_04_a_fetch_of_the_last_run_does_not_arrive_in_this_one(late, rotating, monkeypatch, settles):
    """Bug: a run ended with a fetch under way, into a slot that the next run on the machine gave to somebody else."""
    requests, reference = rotating
    monkeypatch.setattr(late, "trusting", False)
    late.world.set_moods(lazy, lazy)
    first = loop_on(late, requests, POLICIES[2], **ROTATION)
    first.run()
    # Nobody asked for it, and nobody waits for it.
    late.copies[0].submit(np.arange(1, 16), np.arange(15))
    if not settles:
        monkeypatch.setattr(late, "settle", lambda: None)

    def arrive(loop):
        if loop.step == 10:
            late.world.loads.finish()

    assert run(late, requests, pool_blocks=40, on_step=arrive).same_as(reference) == settles
