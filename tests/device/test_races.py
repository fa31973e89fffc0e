"""Races of copies with compute, each with its fence and, as a proof that the test can see it, without (systems.md 6.2).

A kernel that only sleeps makes one side late. With the fence none of 30 trials may end with wrong bytes; without it at
least one has to. A test whose race cannot be lost proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pagedkv.device.copies import TO_DEVICE, TO_HOST, CopyStream
from pagedkv.device.pinned import PinnedPool

pytestmark = pytest.mark.gpu

TRIALS = 30
SLEEP_CYCLES = 4_000_000
"""About 2 ms, a hundred times as long as the copy of a block."""
BLOCK = 1 << 18
"""Elements of a block: 1 MiB."""
SLOT, PLACE = np.array([3]), np.array([5])
OLD, NEW, OTHER = 1.0, 2.0, 3.0


class Bench:
    """Pools of a few blocks, a copy queue a direction, and a stream on which compute takes its time."""

    def __init__(self, host: torch.Tensor) -> None:
        self.gpu = torch.zeros((8, BLOCK), device="cuda")
        self.host = host
        self.stores, self.loads = (CopyStream(direction, self.gpu, host) for direction in (TO_HOST, TO_DEVICE))
        self.compute = torch.cuda.Stream()

    def reset(self, on_gpu: float, on_host: float) -> None:
        torch.cuda.synchronize()
        self.gpu[SLOT[0]] = on_gpu
        self.host[PLACE[0]] = on_host
        torch.cuda.synchronize()

    def computes(self, work: Callable[[], Any], late: bool = False) -> tuple[Any, torch.cuda.Event]:
        """`work` on the stream of compute, behind a sleep if `late`; what it returns, and a mark behind it."""
        with torch.cuda.stream(self.compute):
            if late:
                torch.cuda._sleep(SLEEP_CYCLES)
            result = work()
            mark = torch.cuda.Event()
            mark.record()
        return result, mark

    def fill(self, value: float) -> Callable[[], Any]:
        return lambda: self.gpu[SLOT[0]].fill_(value)

    def read(self) -> torch.Tensor:
        return self.gpu[SLOT[0]].clone()

    def holds_on_gpu(self, value: float) -> bool:
        torch.cuda.synchronize()
        return bool((self.gpu[SLOT[0]] == value).all())

    def holds_on_host(self, value: float) -> bool:
        torch.cuda.synchronize()
        return bool((self.host[PLACE[0]] == value).all())


@pytest.fixture(scope="module")
def bench():
    with PinnedPool(8, 4 * BLOCK, "cuda") as pool:
        made = Bench(pool.tensor.view(torch.float32))
        # What is used for the first time (kernels, memory of `clone`) synchronizes, which would hide a race.
        for sleeps in (False, True):
            made.computes(made.fill(0.0), sleeps)
            made.computes(made.read, sleeps)
            made.stores.submit(SLOT, PLACE)
            made.loads.submit(SLOT, PLACE)
        yield made
        torch.cuda.synchronize()


def late(copies: CopyStream) -> None:
    """Something else is ahead in the queue of copies."""
    with copies.active():
        torch.cuda._sleep(SLEEP_CYCLES)


def store_of_a_block_that_is_being_written(bench: Bench, fenced: bool) -> bool:
    bench.reset(OLD, 0.0)
    _, written = bench.computes(bench.fill(NEW), late=True)
    bench.stores.submit(SLOT, PLACE, after=[written] if fenced else [])
    return bench.holds_on_host(NEW)


def load_over_a_block_that_is_being_read(bench: Bench, fenced: bool) -> bool:
    bench.reset(OLD, NEW)
    found, read = bench.computes(bench.read, late=True)
    bench.loads.submit(SLOT, PLACE, after=[read] if fenced else [])
    torch.cuda.synchronize()
    return bool((found == OLD).all())


def step_that_reads_a_block_on_its_way(bench: Bench, fenced: bool) -> bool:
    bench.reset(OLD, NEW)
    late(bench.loads)
    copy = bench.loads.submit(SLOT, PLACE)
    if fenced:
        bench.compute.wait_event(copy.end)
    found, _ = bench.computes(bench.read)
    torch.cuda.synchronize()
    return bool((found == NEW).all())


def zero_fill_before_a_load(bench: Bench, fenced: bool) -> bool:
    """A fresh block is wiped, late, and loaded: the wipe must not come last."""
    bench.reset(OLD, NEW)
    _, wiped = bench.computes(bench.fill(0.0), late=True)
    bench.loads.submit(SLOT, PLACE, after=[wiped] if fenced else [])
    return bench.holds_on_gpu(NEW)


def zero_fill_after_a_load(bench: Bench, fenced: bool) -> bool:
    """A load that nobody wants any more is still on its way when its slot is wiped: the load must not come last."""
    bench.reset(OLD, NEW)
    late(bench.loads)
    copy = bench.loads.submit(SLOT, PLACE)
    if fenced:
        bench.compute.wait_event(copy.end)
    bench.computes(bench.fill(0.0))
    return bench.holds_on_gpu(0.0)


def slot_given_away_while_its_store_reads_it(bench: Bench, fenced: bool) -> bool:
    bench.reset(OLD, 0.0)
    late(bench.stores)
    copy = bench.stores.submit(SLOT, PLACE)
    if fenced:
        bench.compute.wait_event(copy.end)
    bench.computes(bench.fill(OTHER))
    return bench.holds_on_host(OLD)


def slot_loaded_anew_while_its_store_reads_it(bench: Bench, fenced: bool) -> bool:
    """The block that leaves a slot and the one that comes into it travel in two queues."""
    bench.reset(OLD, 0.0)
    incoming = np.array([6])
    bench.host[incoming[0]] = OTHER
    late(bench.stores)
    leaving = bench.stores.submit(SLOT, PLACE)
    bench.loads.submit(SLOT, incoming, after=[leaving.end] if fenced else [])
    return bench.holds_on_host(OLD) and bench.holds_on_gpu(OTHER)


def place_stored_anew_while_a_load_reads_it(bench: Bench, fenced: bool) -> bool:
    """The host copy is replaced while it is being loaded."""
    bench.reset(0.0, OLD)
    outgoing = np.array([6])
    bench.gpu[outgoing[0]] = OTHER
    torch.cuda.synchronize()
    late(bench.loads)
    coming = bench.loads.submit(SLOT, PLACE)
    bench.stores.submit(outgoing, PLACE, after=[coming.end] if fenced else [])
    return bench.holds_on_gpu(OLD) and bench.holds_on_host(OTHER)


RACES = {
    "bug_1_raw_on_store": store_of_a_block_that_is_being_written,
    "bug_1_raw_on_load": step_that_reads_a_block_on_its_way,
    "bug_2_war_on_load": load_over_a_block_that_is_being_read,
    "bug_3_waw_zero_fill_then_load": zero_fill_before_a_load,
    "bug_3_waw_load_then_zero_fill": zero_fill_after_a_load,
    "bug_4_slot_in_flight_overwritten": slot_given_away_while_its_store_reads_it,
    "bug_4_slot_in_flight_loaded_anew": slot_loaded_anew_while_its_store_reads_it,
    "bug_5_host_place_in_flight_stored_anew": place_stored_anew_while_a_load_reads_it,
}


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
def test_a_fence_is_needed_and_enough(bench, race):
    right = {fenced: sum(race(bench, fenced) for _ in range(TRIALS)) for fenced in (True, False)}
    assert right[True] == TRIALS, f"{TRIALS - right[True]} of {TRIALS} corrupt with the fence"
    assert right[False] < TRIALS, "the race was never lost without the fence: this test sees nothing"


def test_copies_of_one_direction_do_not_race(bench):
    """Two loads into one slot, and a store of what the store before it left: order of submission is enough."""
    places = np.array([1]), np.array([2])
    for trial in range(TRIALS):
        bench.reset(OLD, 0.0)
        bench.host[1], bench.host[2] = float(trial), trial + 0.5
        late(bench.loads)
        for place in places:
            bench.loads.submit(SLOT, place)
        assert bench.holds_on_gpu(trial + 0.5)
