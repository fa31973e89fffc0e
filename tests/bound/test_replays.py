"""No replay of a recorded rotation beats the bound, whatever prefetches, evicts and faults."""

from itertools import product

import numpy as np
import pytest

from pagedkv.bound import bound_for
from pagedkv.device.calibration import read_calibration
from pagedkv.engine.address import Logical
from pagedkv.engine.build import build_memory
from pagedkv.engine.demand import demand_mode
from pagedkv.engine.replay import Replay, Rotation
from pagedkv.engine.script import Script
from pagedkv.engine.scripting import build_script
from pagedkv.engine.serve import ServeLoop
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import geometry
from pagedkv.prefetch.registry import PREFETCHERS
from pagedkv.trace.recorder import Recorder
from pagedkv.workload.sessions import single_turns

BATCH, QUANTUM = 2, 4
PREFETCHES = (
    ("none", {}),
    ("next_n", {"n": 4, "trigger": "tagged"}),
    ("la_k", {"k": 8, "plan": "stay"}),
    ("la_k", {"k": None, "plan": "true"}),
    ("clairvoyant", {}),
)


def _memory(repository, policy, parameters, blocks, **options):
    """A memory over Llama-3-8B blocks, and the list into which its owner has to be put."""
    calibration = read_calibration(repository / "recorded" / "calibration" / "calibration.json")
    owner = []
    space = Logical(lambda request: owner[0].table_of(request))
    prefetch = PREFETCHERS.get(policy)(**parameters)
    return build_memory(calibration, geometry("llama-3-8b"), space, prefetch, pool_blocks=blocks, **options), owner


@pytest.fixture(scope="module")
def script(repository) -> Script:
    """Eight requests of 8-15 blocks, two at a time for four steps, while everything fits."""
    prompts, outputs = 130 + 13 * np.arange(8), 24 + 5 * (np.arange(8) % 3)
    table = single_turns(np.zeros(8), prompts, outputs, name="rotation", origin={})
    memory, owner = _memory(repository, "none", {}, 200)
    settings = EngineSettings(pool_blocks=200, max_num_seqs=BATCH, quantum_steps=QUANTUM)
    recorder = Recorder()
    owner.append(ServeLoop(table, settings, memory, recorder=recorder))
    owner[0].run()
    return build_script(recorder.finish({"scenario": "rotation"}))


def _replay(repository, script, policy, parameters, blocks, warmup, **options):
    memory, owner = _memory(repository, policy, parameters, blocks, **options)
    owner.append(Replay(script, memory, Rotation(BATCH, QUANTUM), None))
    owner[0].run(warmup)
    memory.tiers.assert_consistency()
    return memory


@pytest.mark.parametrize("scale,blocks,warmup", [(0.005, 40, 0), (0.03, 70, 0), (0.03, 40, 61)])
def test_no_replay_beats_the_bound(repository, script, scale, blocks, warmup):
    """At a link `scale` of 0.005 a block takes about 8 ms, at 0.03 about 1.3 ms; a step takes about 4 ms."""
    demands = (("D-step",), ("D-page", 0.0), ("D-page", 20.0))
    for (policy, parameters), eviction, demand in product(PREFETCHES, ("lru", "plan_aware", "min"), demands):
        options = {"eviction": eviction, "demand": demand_mode(*demand), "link_scale": scale}
        memory = _replay(repository, script, policy, parameters, blocks, warmup, **options)
        bounds = bound_for(script, memory.tiers.pool.usable, memory.tiers.device.block_load_s, warmup)
        run = f"{policy} {parameters} {eviction} {demand}"
        assert bounds.stall_s > 0, "the replays must be forced to stall, or the test says nothing"
        assert memory.counts.stall_s >= bounds.stall_s - 1e-9, run
        assert memory.counts.demand_loads + memory.issuer.counts.issued >= bounds.min_loads, run


@pytest.mark.parametrize("blocks", [35, 50, 70])
def test_min_without_prefetch_loads_exactly_the_bound(repository, script, blocks):
    """Without a host tier there are no stores, which would keep a block from being a victim."""
    memory = _replay(repository, script, "none", {}, blocks, 0, eviction="min", host_blocks=0)
    assert memory.counts.demand_loads == bound_for(script, memory.tiers.pool.usable, 1.0).min_loads > 0
