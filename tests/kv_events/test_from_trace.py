"""Event logs made of our traces: their returns are the demand loads of the replay, up to blocks that have no hash."""

from dataclasses import replace

import numpy as np
import pytest

from pagedkv import trace as traces
from pagedkv.device.calibration import read_calibration
from pagedkv.engine.scripting import build_script
from pagedkv.kv_events.event_log import read_log, write_log
from pagedkv.kv_events.from_trace import events_of, played
from pagedkv.kv_events.residency import Arrival, Residency
from pagedkv.trace.cut import head
from tests.engine.build import Rotation, record, replay, table
from tests.engine.recorded import ONCE_POOL, POOL, once, rotating
from tests.kv_events.logs import removed, stored


def two_in_turn():
    """Two requests of 32 + 8 tokens take turns of 4 steps in a pool of 3 blocks: the first runs until it has 36 tokens,
    two full blocks (0 1) and a partial one (2), and the second one drives it out with 3, 4, and 5."""
    settings = {"max_num_seqs": 1, "quantum_steps": 4, "pool_blocks": 4}
    trace, _ = record(table([{"prompt": 32, "output": 8}] * 2), settings=settings)
    return replay(trace, pool=4, rotation=Rotation(1, 4))


def test_two_requests_in_turn_by_hand():
    """A step takes 1 ms, and its events come at its end. Blocks leave from the last one on; that of the partial one has
    no event, nor has its load. In all 6 blocks are loaded, 3 a turn, of which 2 are partial."""
    run = two_in_turn()
    batches = played(run)
    assert [list(batch.events) for batch in batches] == [
        [stored(0, 1)],
        [removed(1), removed(0), stored(3, 4)],
        [removed(4), removed(3), stored(0, 1)],
        [removed(1), removed(0), stored(3, 4)],
    ]
    assert [batch.ts for batch in batches] == pytest.approx([0.001, 0.005, 0.009, 0.013])
    assert [batch.seq for batch in batches] == [0, 1, 2, 3]
    assert sum(len(contents) for _, contents in run.memory.misses) == 6
    assert returns(batches) == 4


def returns(batches):
    return sum(int(move.came_back.sum()) for move in Residency.of(batches).moves if isinstance(move, Arrival))


def loads_of_full_blocks(run):
    """Demand loads of blocks whose 16 tokens their request had computed before; worked out without the fills."""
    script = run.script
    request, block = script.creators
    full = 0
    for step, contents in run.memory.misses:
        for content in contents.tolist():
            runs = [r for r in script.runs[request[content]] if r[0] < step]
            done = max(computed + min(steps, step - first) * tokens for first, steps, computed, tokens in runs)
            full += done >= 16 * (block[content] + 1)
    return full


@pytest.mark.parametrize("script, pool", [(rotating, POOL), (once, ONCE_POOL)])
def test_toy_runs(script, pool):
    run = replay(script(), pool=pool, rotation=Rotation(2, 4))
    batches = played(run)
    assert returns(batches) == loads_of_full_blocks(run) > 0


@pytest.fixture(scope="module")
def calibration(repository):
    return read_calibration(repository / "recorded/calibration/calibration.json")


@pytest.mark.parametrize("name, steps, loads", [("chat", 2400, 1), ("rotation", 500, 1), ("fits", 500, 0)])
def test_recorded_traces(repository, calibration, name, steps, loads):
    """Returns in the events are the demand loads M of `none` + LRU in the same pool, less the partial blocks; and what
    the events leave on the GPU are its full blocks."""
    from pagedkv.engine.address import Logical
    from pagedkv.engine.build import build_memory
    from pagedkv.engine.replay import Replay
    from pagedkv.geometry import geometry
    from pagedkv.kv_events.from_trace import filled_steps
    from pagedkv.prefetch.registry import PREFETCHERS

    trace = head(traces.read(repository / f"recorded/traces/{name}.kvtrace"), steps)
    header = trace.header
    made = []
    space = Logical(lambda request: made[0].table_of(request))
    shape, none = geometry("llama-3-8b"), PREFETCHERS.get("none")()
    memory = build_memory(calibration, shape, space, none, pool_blocks=header["pool_blocks"])
    engine = header["engine"]
    run = Replay(build_script(trace), memory, Rotation(engine["max_num_seqs"], engine["quantum_steps"]), None)
    made.append(run)
    batches = played(run)
    assert returns(batches) == loads_of_full_blocks(run)
    assert (memory.counts.demand_loads > 0) == bool(loads)
    tier = Residency.of(batches).tiers[0, "GPU"]
    resident = memory.tiers.pool.resident
    assert {content for _, content in tier.blocks} == set(resident[filled_steps(run.script)[resident] < steps].tolist())
    assert tier.peak <= memory.tiers.pool.usable
    assert (tier.stored_again, tier.removed_unseen) == (0, 0)
    assert events_of(trace, calibration) == batches


def test_a_log_of_a_trace_is_read_back(tmp_path):
    batches = played(two_in_turn())
    write_log(batches, tmp_path / "log.jsonl")
    assert read_log(tmp_path / "log.jsonl").batches == tuple(batches)


def test_prefixes_are_those_of_the_block_tables():
    """Followed upwards from any block, parents give the beginning of its request's table."""
    script = rotating()
    run = replay(script, pool=POOL, rotation=Rotation(2, 4))
    parent = {}
    for batch in played(run):
        for event in batch.events:
            if hasattr(event, "parent_block_hash"):
                chain = (event.parent_block_hash, *event.block_hashes)
                for before, block in zip(chain, chain[1:], strict=False):
                    assert parent.setdefault(block, before) == before
    depth = lambda block: 0 if parent[block] is None else 1 + depth(parent[block])  # noqa: E731
    _, place = script.creators
    assert [depth(block) for block in parent] == place[list(parent)].tolist()


def test_a_pool_that_is_too_small_for_a_step_is_refused(repository, calibration):
    trace = head(traces.read(repository / "recorded/traces/fits.kvtrace"), 50)
    trace = replace(trace, header={**trace.header, "largest_read_set_blocks": 100})
    with pytest.raises(Exception, match="a step would not fit"):
        events_of(trace, calibration, pool_blocks=50)
    assert np.isfinite([batch.ts for batch in events_of(trace, calibration)]).all()
