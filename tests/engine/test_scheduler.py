"""vLLM's scheduling rules, each on a toy small enough to be worked by hand."""

import numpy as np
import pytest

from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.trace import Event, PlanDelta
from tests.engine.build import record, serve, table


def batches(requests, **options):
    """Requests and tokens of each step: [{request: tokens}, ...], in batch order."""
    trace, _ = record(requests, leaping=False, **options)
    reads, made = trace.reads, [{} for _ in trace.steps["step"]]
    columns = ("step", "steps", "request", "rank", "scheduled_tokens")
    rows = sorted(zip(*(reads[c].tolist() for c in columns), strict=True), key=lambda row: row[3])
    for step, steps, request, _, tokens in rows:
        for s in range(step, step + steps):
            made[s][request] = tokens
    return made


def events(trace, kind):
    which = trace.events["kind"] == kind
    return list(zip(trace.events["step"][which].tolist(), trace.events["request"][which].tolist(), strict=True))


def test_prefill_is_chunked_behind_running_decodes():
    """Budget 20. Step 0: 20 of 50 prompt tokens of request 0. It finishes its prompt in step 2 with 10 tokens, which
    leaves 10 for request 1. From then on 0 decodes first, and 1 gets the remaining 19 a step."""
    requests = table([{"prompt": 50, "output": 4}, {"prompt": 40, "output": 1}])
    made = batches(requests, settings={"max_num_batched_tokens": 20})
    assert made == [{0: 20}, {0: 20}, {0: 10, 1: 10}, {0: 1, 1: 19}, {0: 1, 1: 11}, {0: 1}]


def test_victim_is_the_last_running_request():
    """15 slots, three requests of 5 full blocks each. Each needs a 6th block to decode: request 0 takes it from
    request 2, the last one; request 1 then has room as well."""
    requests = table([{"prompt": 80, "output": 3}] * 3)
    trace, _ = record(requests, settings={"max_num_batched_tokens": 1000})
    assert events(trace, Event.PREEMPT) == [(1, 2)]
    assert events(trace, Event.ADMIT) == [(0, 0), (0, 1), (0, 2)]


def test_waiting_requests_are_skipped_in_a_step_that_preempted():
    """As above, with a request 3 of one block that arrives before step 1. After the preemption 3 slots are free, but
    step 1 admits nobody; the victim went to the front of the queue and does not fit (5 + 1 blocks), so 3 waits on."""
    requests = table([{"prompt": 80, "output": 3}] * 3 + [{"prompt": 5, "output": 1, "at": 0.0005}])
    trace, loop = record(requests, settings={"max_num_batched_tokens": 1000})
    assert events(trace, Event.PREEMPT) == [(1, 2)]
    resumed, admitted = events(trace, Event.RESUME), events(trace, Event.ADMIT)
    # Requests 0 and 1 compute their last token in step 2: 2 resumes in step 3, and 3 right behind it.
    assert resumed == [(3, 2)]
    assert admitted[-1] == (3, 3)
    assert loop.scheduler.preemptions == 1


def test_the_queue_stops_at_the_first_request_that_does_not_fit():
    """15 slots: request 0 takes 10. Request 1 needs 8 and waits; request 2 needs 1 and would fit, but waits behind."""
    requests = table([{"prompt": 159, "output": 2}, {"prompt": 128, "output": 1}, {"prompt": 8, "output": 1}])
    made = batches(requests, settings={"max_num_batched_tokens": 1000})
    assert [list(step) for step in made] == [[0], [0], [1, 2]]


def test_a_full_batch_admits_nobody():
    made = batches(table([{"prompt": 4, "output": 2}] * 3), settings={"max_num_seqs": 2})
    assert [list(step) for step in made] == [[0, 1], [0, 1], [2], [2]]


def test_rotation_moves_the_running_set_behind_the_queue():
    """Batch of 2, quantum of 2 steps, three requests of 4 tokens: (0 1)(0 1)(2 0)(2 0)(1 2)(1 2), and so on. At step 4
    requests 2 and 0 leave in batch order; 1 waited and goes first, then 2; 0 has produced all four tokens."""
    requests = table([{"prompt": 4, "output": 4}] * 3)
    made = batches(requests, settings={"max_num_seqs": 2, "quantum_steps": 2})
    assert [list(step) for step in made] == [[0, 1], [0, 1], [2, 0], [2, 0], [1, 2], [1, 2]]


def test_nobody_is_rotated_out_for_nobody():
    trace, _ = record(table([{"prompt": 4, "output": 20}] * 2), settings={"quantum_steps": 2})
    assert events(trace, Event.ROTATE) == []


@pytest.mark.parametrize("mode, again", [("swap", 1), ("recompute", 81)])
def test_a_victim_computes_again_only_in_recompute_mode(mode, again):
    """The victim of three times 5 blocks (see above) has computed 80 tokens and produced one. Swap continues with
    the 81st; recompute starts over, as without a prefix cache nothing of it can be found."""
    options = {"preemption": mode, "prefix_cache": False, "max_num_batched_tokens": 1000}
    made = batches(table([{"prompt": 80, "output": 3}] * 3), settings=options)
    assert [step.get(2) for step in made] == [80, None, None, again, 1]


def test_a_recomputed_victim_finds_its_own_blocks():
    """With a prefix cache the victim's 5 full blocks are still known: only the 81st token is computed."""
    made = batches(
        table([{"prompt": 80, "output": 3}] * 3), settings={"preemption": "recompute", "max_num_batched_tokens": 1000}
    )
    assert made[3][2] == 1


def test_free_order_unhashed_first_then_reversed_request():
    """vLLM: the unhashed last block of a finished request is reused first, then other free slots; its hashed blocks
    follow, last block first, in the order in which requests finished.

    9 slots. Requests 0 (keys 0 1, 40 tokens) and 1 (key 5, 24 tokens) run together: slots 1 2 3 and 4 5. When both
    finish in step 1, slots 3 and 5 are free again, 5 on top; 6 to 9 were never used. Request 2 of 9 blocks then
    takes 5, 3, 6, 7, 8, 9, and evicts block 1 of request 0 (slot 2), its block 0 (slot 1), and request 1's (slot 4).
    """
    rows = [
        {"prompt": 40, "output": 1, "ids": [0, 1]},
        {"prompt": 24, "output": 1, "ids": [5]},
        {"prompt": 143, "output": 1, "at": 0.002},
    ]
    options = {"pool_blocks": 10, "max_num_batched_tokens": 1000, "host_blocks": 0}
    trace, _ = record(table(rows), settings=options)
    rows = trace.tables
    own = rows["request"] == 2
    slots = [
        first + stride * i
        for first, stride, n in zip(
            *(rows[c][own].tolist() for c in ("first_slot", "slot_stride", "blocks")), strict=True
        )
        for i in range(n)
    ]
    assert slots == [5, 3, 6, 7, 8, 9, 2, 1, 4]


def test_cached_blocks_leave_in_order_of_last_use():
    """Requests 0 and 1 cache a block each, 0 first; then 2 hits the block of 0 and finishes. Request 3 needs one block
    more than is free: it evicts the block of 1, so that a later request still hits the block of 0."""
    rows = [
        {"prompt": 16, "output": 1, "ids": [1]},
        {"prompt": 16, "output": 1, "ids": [2], "at": 0.01},
        {"prompt": 17, "output": 1, "ids": [1], "at": 0.02},
        {"prompt": 128, "output": 1, "at": 0.03},
        {"prompt": 17, "output": 1, "ids": [1], "at": 0.05},
        {"prompt": 17, "output": 1, "ids": [2], "at": 0.06},
    ]
    trace, _ = record(table(rows), settings={"pool_blocks": 10, "max_num_batched_tokens": 1000, "host_blocks": 0})
    assert trace.requests["hit_tokens"].tolist() == [0, 0, 16, 0, 16, 0]


def test_queue_deltas_rebuild_the_queue():
    """What the trace says of the queue, played from the start, leaves nobody in it and takes nobody out twice."""
    trace, _ = record(table([{"prompt": 80, "output": 9}] * 5), settings={"max_num_batched_tokens": 1000})
    queue = []
    for kind, request in zip(trace.plans["kind"].tolist(), trace.plans["request"].tolist(), strict=True):
        if kind == PlanDelta.LEAVE_QUEUE:
            assert queue.pop(0) == request
        else:
            queue.insert(0 if kind == PlanDelta.QUEUE_FRONT else len(queue), request)
    assert queue == []
    assert (trace.plans["kind"] == PlanDelta.QUEUE_FRONT).any()


def test_settings_name_what_is_wrong():
    with pytest.raises(PagedKVError, match="engine setting 'pool_block' is unknown"):
        EngineSettings.from_config({"pool_block": 3})
    with pytest.raises(PagedKVError, match="preemption is one of swap, recompute, not 'drop'"):
        EngineSettings.from_config({"pool_blocks": 3, "preemption": "drop"})


def test_waiting_for_a_load_ends_at_an_arrival():
    """D-async: while request 1 waits for its loads and nobody runs, a request that arrives runs at once."""
    rows = [
        {"prompt": 160, "output": 1, "ids": list(range(10))},
        {"prompt": 192, "output": 1, "at": 0.05},
        {"prompt": 161, "output": 1, "at": 0.1, "ids": list(range(10))},
        {"prompt": 8, "output": 1, "at": 0.1015},
    ]
    _, loop = record(table(rows), async_loads=True, settings={"max_num_batched_tokens": 1000})
    assert np.isclose(loop.served.ttft_s[2], 0.001), "the late arrival computes for 1 ms at once"


def test_async_loads_leave_room_to_run():
    """Livelock (a request whose loads are complete found no block for a larger chunk, and nobody else ran)."""
    rows = [{"prompt": 90, "output": 30, "at": 0.0}] * 2 + [{"prompt": 120, "output": 20, "at": 0.001}] * 2
    for pool in range(11, 16):
        loop = serve(
            table(rows),
            async_loads=True,
            settings={
                "pool_blocks": pool,
                "quantum_steps": 1,
                "max_num_batched_tokens": 24,
                "reserve_full_prompt": False,
            },
        )
        assert len(loop.run().completion_s) == 4


def test_nobody_joins_in_a_step_that_preempted():
    """Recomputed in chunks, the victim would fit again at once: 2 blocks of its prompt are enough to be admitted."""
    options = {"preemption": "recompute", "prefix_cache": False, "reserve_full_prompt": False}
    requests = table([{"prompt": 70, "output": 40}] * 4)
    trace, _ = record(requests, settings={**options, "max_num_batched_tokens": 32})
    preempted = {step for step, _ in events(trace, Event.PREEMPT)}
    joined = {step for step, _ in events(trace, Event.ADMIT) + events(trace, Event.RESUME)}
    assert len(preempted) >= 3
    assert not preempted & joined
