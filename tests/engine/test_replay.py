"""Open loop: a replay at the recorded capacity does what the recorded run did, and tells who sees what when."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pagedkv.engine.replay import Rotation
from pagedkv.engine.scripting import build_script
from pagedkv.errors import PagedKVError
from pagedkv.trace.recorder import Recorder
from tests.engine.build import MS, checked, record, replay, serve, table
from tests.engine.strategies import engine_settings, request_tables

ROTATING = table([{"prompt": 50 + 5 * n, "output": 40} for n in range(6)])
OPTIONS = {"max_num_seqs": 2, "quantum_steps": 4, "pool_blocks": 18}


def played(trace, options):
    """A replay under the recorded settings, checked after every step."""
    rotation = Rotation(options["max_num_seqs"], options["quantum_steps"])
    run = checked(replay(trace, pool=options["pool_blocks"], rotation=rotation))
    run.run()
    return run


@settings(max_examples=60)
@given(request_tables(), st.integers(8, 14), st.sampled_from([3, 6]), st.sampled_from(["swap", "recompute"]))
def test_one_at_a_time_the_recorded_run_comes_back(requests, pool, quantum, preemption):
    """With one request in the batch nothing that enters can make room at another's cost: loads, stalls and times of
    the closed loop come back exactly."""
    options = {"pool_blocks": pool, "max_num_seqs": 1, "quantum_steps": quantum, "preemption": preemption}
    trace, loop = record(requests, settings=options)
    assume(loop.memory.counts.demand_loads > 0)
    run = played(trace, options)
    assert run.memory.counts.demand_loads == loop.memory.counts.demand_loads
    np.testing.assert_allclose(run.stalls, trace.steps["stall_us"] * 1e-6, atol=1e-9)
    end_us = sum(trace.steps[column][-1] for column in ("start_us", "stall_us", "compute_us"))
    assert run.memory.tiers.device.now_s == pytest.approx(end_us * 1e-6)


@settings(max_examples=60)
@given(request_tables(), engine_settings())
def test_a_replay_never_loads_more_than_the_recorded_run(requests, options):
    """A replay knows the whole batch before it makes room: what enters in the same step is never evicted. The closed
    loop admits one after the other, and may evict what the next one hits: it then loads those blocks as well."""
    trace, loop = record(requests, settings={**options, "host_blocks": None})
    assume(len(trace.steps["step"]))
    run = played(trace, options)
    assert run.memory.counts.demand_loads <= loop.memory.counts.demand_loads
    script = build_script(trace)
    assert run.memory.tiers.device.now_s == pytest.approx((script.compute_s + script.idle_s + run.stalls).sum())


def test_the_partial_block_of_a_recomputed_request_is_dropped():
    """Recompute: request 1 is preempted with 65 tokens computed and gives its partial block up; the slot goes to
    request 0 at once. A replay that stored that block instead would evict a full one, and load it again."""
    requests = table([{"prompt": prompt, "output": output} for prompt, output in ((52, 14), (63, 4), (1, 1))])
    options = {"pool_blocks": 10, "max_num_seqs": 2, "max_num_batched_tokens": 7, "preemption": "recompute"}
    trace, loop = record(requests, settings={**options, "quantum_steps": None, "reserve_full_prompt": False})
    assert loop.scheduler.preemptions == 1
    run = played(trace, {**options, "quantum_steps": None})
    assert run.memory.counts.demand_loads == loop.memory.counts.demand_loads == 0


def test_leaves_and_fills_keep_the_schedulers_order():
    """Both sides list what leaves the batch, and what is written through, in one order at every step. Five requests
    rotate two at a time, so that in every other batch a younger request stands before an older one."""
    requests = table([{"prompt": 50 + 5 * n, "output": 40} for n in range(5)])
    orders = []
    for side in ("closed", "open"):
        log = []

        def watch(tiers, log=log):
            unpin, store = tiers.unpin, tiers.store
            tiers.unpin = lambda contents: (log.append(("unpin", contents.tolist())), unpin(contents))
            tiers.store = lambda contents: (len(contents) and log.append(("store", contents.tolist())), store(contents))

        if side == "closed":
            recorder = Recorder()
            # Leaping would submit the stores of a step together.
            loop = serve(requests, recorder=recorder, leaping=False, settings=OPTIONS)
            watch(loop.memory.tiers)
            loop.run()
            trace = recorder.finish({})
        else:
            run = replay(trace, pool=OPTIONS["pool_blocks"], rotation=Rotation(2, 4))
            watch(run.memory.tiers)
            run.run()
        orders.append(log)
    closed, played_back = orders
    # At the end of the trace nobody is left to leave the batch.
    assert played_back == closed[: len(played_back)]
    assert len(closed) - len(played_back) <= 4 and len(played_back) > 100


def test_capacity_below_the_largest_read_set_is_refused():
    trace, _ = record(ROTATING, settings=OPTIONS)
    largest = build_script(trace).largest_read_set
    replay(trace, pool=largest + 1).run()
    with pytest.raises(
        PagedKVError, match=f"capacity of {largest - 1} blocks is below the largest read set of the trace .{largest}.;"
    ):
        replay(trace, pool=largest)


def test_less_capacity_loads_more():
    trace, _ = record(ROTATING, settings={**OPTIONS, "pool_blocks": 64})
    loads = []
    for pool in (64, 30, 22, 18):
        run = replay(trace, pool=pool, rotation=Rotation(2, 4))
        run.run()
        loads.append(run.memory.counts.demand_loads)
    assert loads[0] == 0 < loads[1]
    assert loads == sorted(loads)


def test_warm_up_is_cut_from_every_count():
    trace, _ = record(ROTATING, settings=OPTIONS)
    whole, cut = (replay(trace, pool=18, rotation=Rotation(2, 4)) for _ in range(2))
    whole.run()
    cut.run(warmup_steps=40)
    assert np.array_equal(whole.stalls, cut.stalls)
    assert cut.memory.counts.stall_s == pytest.approx(whole.stalls[40:].sum())
    late = sum(len(blocks) for step, blocks in whole.memory.misses if step >= 40)
    assert 0 < cut.memory.counts.demand_loads == late < whole.memory.counts.demand_loads
    assert all(step >= 40 for step, _ in cut.memory.misses)


@pytest.mark.parametrize("policy, params", [("clairvoyant", {}), ("la_k", {"plan": "true", "k": 4})])
def test_an_oracle_uses_the_idle_time_before_an_arrival(policy, params):
    """Request 1 pushes the 3 cached blocks of request 0 out and finishes; the engine idles until request 2 arrives at
    0.5 s and hits them. On demand that is a stall of 3 ms; who knows of the arrival has them there by then."""
    rows = [
        {"prompt": 49, "output": 1, "ids": [0, 1, 2]},
        {"prompt": 260, "output": 4, "at": 0.1},
        {"prompt": 49, "output": 1, "ids": [0, 1, 2], "at": 0.5},
    ]
    trace, _ = record(table(rows), settings={"pool_blocks": 18, "max_num_batched_tokens": 1000})
    demand, oracle = (replay(trace, name, pool=18, params=p) for name, p in (("none", {}), (policy, params)))
    demand.run()
    oracle.run()
    assert demand.stalls.sum() == pytest.approx(3 * MS)
    assert oracle.stalls.sum() == 0
    assert oracle.memory.counts.useful == 3
