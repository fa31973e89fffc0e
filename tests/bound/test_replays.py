"""No replay of a recorded rotation beats the bound, whatever prefetches, evicts and faults."""

from itertools import product

import pytest

from pagedkv.bound import bound_for
from pagedkv.engine.demand import demand_mode
from tests.bound.rotation import MODEL, replay, rotation

PREFETCHES = (
    ("none", {}),
    ("next_n", {"n": 4, "trigger": "tagged"}),
    ("la_k", {"k": 8, "plan": "stay"}),
    ("la_k", {"k": 3, "plan": "true"}),
    ("la_k", {"k": None, "plan": "true"}),
    ("clairvoyant", {}),
)


@pytest.mark.parametrize("scale,blocks,warmup", [(0.005, 40, 0), (0.03, 70, 0), (0.03, 40, 61)])
def test_no_replay_beats_the_bound(scale, blocks, warmup):
    """At a link `scale` of 0.005 a block takes about 8 ms, at 0.03 about 1.3 ms; a step takes about 4 ms."""
    demands = (("D-step",), ("D-page", 0.0), ("D-page", 20.0))
    for (policy, parameters), eviction, demand in product(PREFETCHES, ("lru", "plan_aware", "min"), demands):
        options = {"eviction": eviction, "demand": demand_mode(*demand), "link_scale": scale}
        memory = replay(rotation(), policy, parameters, blocks, warmup, **options)
        bounds = bound_for(rotation(), memory.tiers.pool.usable, memory.tiers.device.block_load_s, warmup)
        run = f"{policy} {parameters} {eviction} {demand}"
        assert bounds.stall_s > 0, "the replays must be forced to stall, or the test says nothing"
        assert memory.counts.stall_s >= bounds.stall_s - 1e-9, run
        assert memory.counts.demand_loads + memory.issuer.counts.issued >= bounds.min_loads, run


@pytest.mark.parametrize("scale,blocks,warmup", [(0.005, 40, 0), (0.01, 70, 0), (0.01, 40, 61)])
def test_no_replay_by_layers_beats_the_bound_for_layers(scale, blocks, warmup):
    layers = MODEL.layers
    for (policy, parameters), eviction in product(PREFETCHES, ("lru", "min")):
        options = {"eviction": eviction, "demand": demand_mode("D-layer"), "link_scale": scale}
        memory = replay(rotation(), policy, parameters, blocks, warmup, **options)
        bounds = bound_for(rotation(), memory.tiers.pool.usable, memory.tiers.device.block_load_s, warmup, layers)
        assert bounds.stall_s > 0, "the replays must be forced to stall, or the test says nothing"
        assert memory.counts.stall_s >= bounds.stall_s - 1e-9, f"{policy} {parameters} {eviction}"


@pytest.mark.parametrize("blocks", [35, 50, 70])
def test_min_without_prefetch_loads_exactly_the_bound(blocks):
    """Without a host tier there are no stores, which would keep a block from being a victim."""
    memory = replay(rotation(), "none", {}, blocks, 0, eviction="min", host_blocks=0)
    assert memory.counts.demand_loads == bound_for(rotation(), memory.tiers.pool.usable, 1.0).min_loads > 0
