"""Prefetches of single layers, in flight or arrived, when the rest of the block is asked for."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pagedkv.engine.demand import DLayer, DPage, DStep
from pagedkv.engine.ladder import Level
from pagedkv.engine.replay import Rotation
from pagedkv.engine.transfers import PREFETCH
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from tests.engine.build import MS, checked, put_on_host, record, replay, serve, table, toy_memory
from tests.engine.strategies import engine_settings, request_tables

NONE = np.zeros(0, np.int64)
DEMANDS = [DStep(), DPage(), DLayer()]


@pytest.mark.parametrize(
    "demand, stall_ms",
    [
        # Layer 0 of both blocks is there after 1.0, layer 1 after 2.0; one layer computes for 0.5: 2.5 instead of 1.
        (DLayer(), 1.5),
        (DStep(), 2.0),
        # Block 0: layer 0 after 0.5; layer 1 behind layer 0 of block 1, after 1.5. Block 1: layer 1 after 2.0.
        (DPage(), 2.0),
    ],
)
def test_layers_in_flight_are_waited_for_and_travel_once(demand, stall_ms):
    memory = toy_memory(8, demand=demand)
    contents = put_on_host(memory, 2)
    memory.tiers.load(contents, PREFETCH, layers=1)
    memory.begin(1)
    memory.enter(0, contents, NONE)
    memory.reserve(contents)
    assert memory.settle(MS) == pytest.approx(stall_ms * MS)
    memory.tiers.assert_consistency()
    assert memory.tiers.device.h2d.bytes == 2 * memory.tiers.block_bytes
    assert memory.counts.demand_loads == 1.0
    memory.tiers.device.advance_to(1.0)
    memory.begin(2)
    assert not memory.tiers.loads and not memory.tiers.states.loading.any()


def test_a_prefetch_of_whole_blocks_does_not_double_layers_in_flight():
    memory = toy_memory(8)
    contents = put_on_host(memory, 3)
    memory.space.decode = lambda stream, first, count: contents
    memory.tiers.load(contents[:2], PREFETCH, layers=1)
    memory.issuer.accept([Fetch(0, 0, 3)], replace=False)
    memory.issuer.pump(1.0, 0)
    memory.tiers.assert_consistency()
    counts = memory.issuer.counts
    assert (counts.issued, counts.dropped_in_flight, counts.dropped_resident) == (1, 2, 0)
    memory.tiers.device.advance_to(1.0)
    memory.begin(1)
    memory.issuer.accept([Fetch(0, 0, 3)], replace=False)
    memory.issuer.pump(2.0, 1)
    memory.tiers.assert_consistency()
    assert (memory.tiers.states.layers[contents] == 2).all()
    assert memory.tiers.device.h2d.bytes == 3 * memory.tiers.block_bytes


class Layered(PrefetchPolicy):
    """Fetches the plan, of every second request only layer 0, at other times whole."""

    name = "layered"
    level = Level.I4
    spatial = False

    def propose(self, view):
        layers = [1, None] if view.step % 3 else [None, 1]
        return [Fetch(e.request, 0, e.blocks, e.step, layers[e.request % 2]) for e in view.plan(6)]


def watched(run):
    """After every step the tiers agree with themselves, and every piece that travels is one that was missing."""
    start = run.memory.tiers._start

    def started(contents, *rest, **options):
        assert not run.memory.tiers.states.loading[contents].any(), "a block is in two loads"
        return start(contents, *rest, **options)

    run.memory.tiers._start = started
    return checked(run)


@settings(max_examples=60, deadline=None)
@given(request_tables(), engine_settings(), st.sampled_from(DEMANDS))
def test_layered_prefetches_in_a_replay(requests, options, demand):
    trace, _ = record(requests, settings={**options, "host_blocks": None})
    assume(len(trace.steps["step"]))
    rotation = Rotation(options["max_num_seqs"], options["quantum_steps"])
    watched(replay(trace, Layered(), pool=options["pool_blocks"], rotation=rotation, demand=demand)).run()


@settings(max_examples=40, deadline=None)
@given(request_tables(), engine_settings(), st.sampled_from(DEMANDS), st.booleans())
def test_layered_prefetches_in_a_closed_loop(requests, options, demand, async_loads):
    loop = serve(requests, Layered(), settings=options, demand=demand, async_loads=async_loads)
    loop.run()
    assert len(loop.served.completion_s) + loop.served.dropped == len(requests.turn)


def test_layered_prefetches_do_meet_demand_in_flight():
    """The control for the tests above: a run in which loads are waited for."""
    rotating = {"max_num_seqs": 2, "quantum_steps": 4, "pool_blocks": 24}
    trace, _ = record(table([{"prompt": 50 + 5 * n, "output": 40} for n in range(6)]), settings=rotating)
    run = replay(trace, Layered(), pool=18, rotation=Rotation(2, 4), demand=DLayer())
    tiers, waited = run.memory.tiers, []
    load_by_layers = tiers.load_by_layers

    def watched(contents, pieces):
        waited.append(bool(tiers.states.loading[contents].any()))
        return load_by_layers(contents, pieces)

    tiers.load_by_layers = watched
    run.run()
    assert any(waited)
