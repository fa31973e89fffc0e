"""Open loop: a replay at the recorded capacity does what the recorded run did, and a script says what a trace means."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pagedkv.engine.replay import Rotation
from pagedkv.engine.requests import Request
from pagedkv.engine.script import build_script
from pagedkv.errors import PagedKVError
from pagedkv.trace import Event, PlanDelta, Trace
from pagedkv.trace.recorder import Recorder
from tests.engine.build import MS, record, replay, serve, table
from tests.engine.strategies import engine_settings, request_tables

ROTATING = table([{"prompt": 50 + 5 * n, "output": 40} for n in range(6)])
OPTIONS = {"max_num_seqs": 2, "quantum_steps": 4, "pool_blocks": 18}


def played(trace, options):
    """A replay under the recorded settings, checked after every step."""
    run = replay(
        trace, pool=options["pool_blocks"], rotation=Rotation(options["max_num_seqs"], options["quantum_steps"])
    )
    play = run._play

    def checked(step):
        play(step)
        run.memory.tiers.assert_consistency()

    run._play = checked
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
    """Both sides list what leaves the batch, and what is written through, in one order at every step."""
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
            loop = serve(ROTATING, recorder=recorder, leaping=False, settings=OPTIONS)
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


@pytest.mark.parametrize(("policy", "params"), [("clairvoyant", {}), ("la_k", {"plan": "true", "k": 4})])
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


# ------------------------------------------------------------ scripts
def hand_made() -> Trace:
    """Two requests, five steps. Request 0 computes 20 tokens in step 0 (contents 0 and 1), decodes in 1, is preempted
    in 2, and comes back in 3 with 21 tokens to fill its second block. Request 1 hits content 0 in step 2, computes 16
    more tokens (content 2, full at once), decodes in step 3, and is done: 33 of its 32 + 2 - 1 tokens are computed."""
    made = Recorder()
    for step in range(5):
        made.steps(step, np.array([step * MS]), 0.0, np.array([MS]), 0.25 if step == 2 else 0.0, 0, 0, 1, 0)
    made.table(0, 0, 0, np.array([0, 1]), np.array([4, 5]))
    made.scheduled(0, 1, 0, 0, 0, 20)
    made.scheduled(1, 1, 0, 0, 20, 1)
    made.table(2, 1, 0, np.array([0]), np.array([4]))
    made.table(2, 1, 1, np.array([2]), np.array([9]))
    made.scheduled(2, 1, 1, 1, 16, 16)
    made.table(3, 1, 2, np.array([3]), np.array([8]))
    made.scheduled(3, 1, 1, 1, 32, 1)
    made.table(3, 0, 0, np.array([0, 1]), np.array([4, 6]))
    made.scheduled(3, 1, 0, 2, 21, 11)
    made.plan(2, PlanDelta.QUEUE_FRONT, 0)
    made.event(2, 0.002, Event.PREEMPT, 0, 21)
    made.plan(3, PlanDelta.LEAVE_QUEUE, 0)
    done = Request(1, 1, 0, 0.0, 32, 2, np.zeros(0, np.int64))
    done.hit_tokens = 16
    made.request(done)
    made.largest_read_set = 5
    return made.finish({})


def test_script_of_a_hand_made_trace():
    script = build_script(hand_made())
    events = script.events
    assert script.steps == 5 and script.contents == 4 and script.largest_read_set == 5
    assert script.created_step.tolist() == [0, 0, 2, 3]
    assert script.idle_s.tolist() == [0, 0, 0.25, 0, 0]
    assert [sorted(events)] == [[0, 2, 3, 4]]

    assert events[0].created.tolist() == [0, 1]
    assert events[0].filled.tolist() == [0]
    assert [enter.contents.tolist() for enter in events[0].enters] == [[]]

    (leave,) = events[2].leaves
    assert (leave.request, leave.contents.tolist(), leave.partial.tolist(), leave.finished) == (0, [0, 1], [1], False)
    (enter,) = events[2].enters
    assert (enter.request, enter.contents.tolist(), enter.partial.tolist()) == (1, [0], [])
    assert events[2].created.tolist() == [2]
    assert events[2].filled.tolist() == [2]
    assert [a.tolist() for a in events[2].mapped] == [[0, 2], [4, 9]]
    assert events[2].queue == [(PlanDelta.QUEUE_FRONT, 0)]

    (enter,) = events[3].enters
    assert (enter.request, enter.contents.tolist(), enter.partial.tolist()) == (0, [0, 1], [1])
    assert events[3].filled.tolist() == [1], "21 + 11 tokens fill the second block"
    assert events[3].created.tolist() == [3]

    by_request = {leave.request: leave for leave in events[4].leaves}
    assert by_request[1].finished and by_request[1].partial.tolist() == [3]
    assert not by_request[0].finished and by_request[0].partial.tolist() == []


def test_next_use_of_a_hand_made_trace():
    """Content 0 is read by the entries of steps 2 and 3, content 1 by that of step 3, the others by none."""
    script = build_script(hand_made())
    assert script.first_use[:2].tolist() == [2, 3]
    assert (script.first_use[2:] > script.steps).all()
    (enter,) = script.events[2].enters
    assert enter.next_use.tolist() == [3]
    assert [(step, request, contents.tolist()) for step, request, contents in script.entries] == [
        (0, 0, []),
        (2, 1, [0]),
        (3, 0, [0, 1]),
    ]


def test_fills_inside_a_run_come_at_their_steps():
    """100 decode steps from 10 computed tokens on: block b is full after token 16 (b + 1), that is at step 16 b + 5."""
    made = Recorder()
    made.steps(0, np.arange(100) * MS, 0.0, np.full(100, MS), 0.0, 0, 1, 1, 0)
    made.table(0, 0, 0, np.arange(7), np.arange(1, 8))
    made.scheduled(0, 100, 0, 0, 10, 1)
    made.largest_read_set = 7
    script = build_script(made.finish({}))
    filled = {step: events.filled.tolist() for step, events in script.events.items() if len(events.filled)}
    assert filled == {16 * b + 5: [b] for b in range(6)}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda made: made.scheduled(0, 1, 9, 9, 0, 1), "request 9 reads at step 0, but has no block table"),
        (lambda made: made.table(0, 0, 1, np.array([5]), np.array([3])), "content 1 is in no block table"),
    ],
)
def test_a_trace_that_contradicts_itself_is_refused(spoil, message):
    made = Recorder()
    made.steps(0, np.zeros(1), 0.0, np.full(1, MS), 0.0, 0, 1, 1, 0)
    made.table(0, 0, 0, np.array([0]), np.array([1]))
    made.scheduled(0, 1, 0, 0, 0, 1)
    spoil(made)
    with pytest.raises(PagedKVError, match=message):
        build_script(made.finish({}))


def test_a_trace_without_steps_is_refused():
    with pytest.raises(PagedKVError, match="trace of scenario 'void' has no steps"):
        build_script(Recorder().finish({"scenario": "void"}))
