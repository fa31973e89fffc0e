"""The closed loop as a whole: every request is served once and in full, nothing leaks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.engine.demand import DLayer, DPage, DStep
from pagedkv.engine.transfers import PREFETCH
from pagedkv.errors import PagedKVError
from pagedkv.trace import Event
from pagedkv.trace.recorder import Recorder
from tests.engine.build import MS, calibration, put_on_host, record, serve, table
from tests.engine.strategies import POLICIES, engine_settings, request_tables

DEMANDS = st.sampled_from([DStep(), DLayer(), DPage(), DPage(20.0), "D-async"])


def drained(loop):
    """The loop's tiers after all transfers are seen complete."""
    while loop.memory.tiers.wait_for_a_transfer():
        pass
    return loop.memory.tiers


@settings(max_examples=200)
@given(request_tables(), engine_settings(), POLICIES, DEMANDS)
def test_every_request_is_served_once_and_nothing_leaks(requests, options, policy, demand):
    recorder = Recorder()
    loop = serve(
        requests,
        policy[0],
        params=policy[1],
        settings=options,
        recorder=recorder,
        async_loads=demand == "D-async",
        demand=None if demand == "D-async" else demand,
        calibration=calibration(submit_s=1e-4),
    )
    served = loop.run()
    trace = recorder.finish({})

    fits = -(-(requests.prompt_tokens + requests.output_tokens) // 16) < options["pool_blocks"]
    finished = trace.events["request"][trace.events["kind"] == Event.FINISH]
    assert sorted(finished.tolist()) == sorted(trace.requests["request"].tolist()), "a request finished twice or never"
    assert len(finished) + served.dropped == len(requests)
    assert fits[finished].all()
    assert served.output_tokens == requests.output_tokens[finished].sum()
    gaps, counts = served.token_gaps()
    assert counts.sum() == served.output_tokens - len(finished), "each token but the first ends one gap"
    assert (gaps > 0).all()

    tiers = drained(loop)
    assert loop.scheduler.live == 0
    assert not tiers.states.references.any()
    assert tiers.loading_blocks == 0 and not tiers.states.storing.any()
    assert tiers.pool.available == tiers.pool.usable
    tiers.assert_consistency()


def test_a_step_costs_load_plus_compute():
    """One request of 2 blocks, 1 ms a step: the first token after 1 ms, the other two 1 ms apart. Its session's next
    turn comes 10 ms later and hits the first block on the GPU: it waits for nothing."""
    rows = [{"prompt": 20, "output": 3, "ids": [0]}, {"prompt": 21, "output": 1, "ids": [0], "pause": 0.01}]
    rows[1].update(session=0, turn=1)
    served = serve(table(rows)).run()
    assert served.ttft_s == pytest.approx([1 * MS, 1 * MS])
    assert served.tpot_s == pytest.approx([1 * MS])
    assert served.completion_s == pytest.approx([3 * MS, 1 * MS])
    assert served.elapsed_s == pytest.approx(14 * MS)
    assert served.hit_tokens == 16


def test_a_host_hit_waits_for_its_loads():
    """10 blocks of a prompt are pushed out by a request of 12 of 15 slots. When the prompt comes back, 3 + 12 - 11
    slots matter not: 7 of its 10 hits are absent, and it waits 0.1 + 7 ms before it computes for 1 ms."""
    rows = [
        {"prompt": 161, "output": 1, "ids": list(range(10))},
        {"prompt": 191, "output": 1, "at": 0.05},
        {"prompt": 162, "output": 1, "ids": list(range(10)), "at": 0.1},
    ]
    loop = serve(table(rows), settings={"max_num_batched_tokens": 1000}, calibration=calibration(submit_s=1e-4))
    served = loop.run()
    # 15 slots: 10 idle blocks (the 11th, partial, was dropped), 5 free; request 1 takes 12, so evicts 7 of the 10.
    assert loop.memory.counts.demand_loads == 7
    assert served.ttft_s[2] == pytest.approx(0.1 * MS + 7 * MS + 1 * MS)
    assert served.hit_tokens == 160


def test_a_request_that_cannot_fit_drops_its_session():
    """15 usable slots are 240 tokens. Turn 1 of session 0 asks for 241: it and turn 2 are not served."""
    rows = [{"prompt": 20, "output": 2, "session": 0}, {"prompt": 20, "output": 2, "session": 1}]
    for turn, prompt in ((1, 240), (2, 10)):
        rows.append({"prompt": prompt, "output": 1, "session": 0, "turn": turn, "pause": 0.001})
    trace, loop = record(table(rows))
    assert loop.served.dropped == 2
    assert trace.requests["request"].tolist() == [0, 1]
    dropped = trace.events["kind"] == Event.DROP
    assert trace.events["request"][dropped].tolist() == [2]
    assert trace.events["value"][dropped].tolist() == [241]


def test_max_model_len_drops_too():
    loop = serve(table([{"prompt": 20, "output": 2}, {"prompt": 40, "output": 2}]), settings={"max_model_len": 41})
    assert loop.run().dropped == 1


def test_no_room_at_all_is_an_error_not_a_hang():
    """14 of 15 slots are held by nobody's request: one of 2 blocks can never be admitted, and the loop says so."""
    loop = serve(table([{"prompt": 20, "output": 1}]))
    loop.assert_consistency = lambda: None
    loop.memory.tiers.create(loop.memory.tiers.states.new(14))
    with pytest.raises(PagedKVError, match="no request fits the pool of 16 blocks at step 0"):
        loop.run()


def test_equal_prompts_of_one_instant_share_their_blocks():
    """Both arrive at 0 and are admitted in one step: the second hits the two full blocks that the first computes."""
    trace, _ = record(table([{"prompt": 40, "output": 2, "ids": [1, 2]}] * 2))
    assert trace.requests["hit_tokens"].tolist() == [0, 32]
    assert len(trace.steps["step"]) == 2


def test_a_smaller_pool_never_loads_less_in_total():
    """Rotation over a host tier: with room for all nothing is loaded; with half the room every rotation loads."""
    rows = [{"prompt": 60, "output": 40} for _ in range(6)]
    options = {"max_num_seqs": 2, "quantum_steps": 4}
    loads = []
    for pool in (64, 30, 20, 15):
        loop = serve(table(rows), settings={**options, "pool_blocks": pool})
        loop.run()
        loads.append(loop.memory.counts.demand_loads)
    assert loads[0] == 0 < loads[1]
    assert loads == sorted(loads)


def test_blocks_that_wait_for_loads_are_not_found_by_others():
    """D-async: request 2 hits 10 blocks in the host tier and gets new blocks for the rest of its prompt, which it
    computes when the loads are there. Request 3, admitted in the same step, must not take those for computed ones."""
    keys = list(range(11))
    rows = [
        {"prompt": 160, "output": 1, "ids": keys[:10]},
        {"prompt": 191, "output": 1, "at": 0.05},
        {"prompt": 177, "output": 1, "ids": keys, "at": 0.1},
        {"prompt": 178, "output": 1, "ids": keys, "at": 0.1},
    ]
    trace, _ = record(table(rows), async_loads=True, settings={"max_num_batched_tokens": 1000})
    hits = dict(zip(trace.requests["request"].tolist(), trace.requests["hit_tokens"].tolist(), strict=True))
    assert hits == {0: 0, 1: 0, 2: 160, 3: 160}


def test_a_dropped_session_stays_dropped_at_its_own_times():
    """As above with absolute arrivals: the later turn is neither served nor counted twice."""
    rows = [
        {"prompt": 250, "output": 1, "session": 0},
        {"prompt": 20, "output": 1, "session": 1, "at": 0.01},
        {"prompt": 20, "output": 1, "session": 0, "turn": 1, "at": 0.02},
    ]
    trace, loop = record(table(rows))
    assert loop.served.dropped == 2
    assert trace.requests["request"].tolist() == [1]


def test_waiting_for_room_is_stall_and_counted_once():
    """Every instant of a run is compute, stall or idle: what the batch waited for before its blocks had room too.

    Rotation of one at a time over 12 slots, while stores of 1 ms a block hold the victims back.
    """
    rows = [{"prompt": 84, "output": 21}, {"prompt": 88, "output": 30}, {"prompt": 74, "output": 20}]
    options = {"pool_blocks": 13, "max_num_seqs": 1, "quantum_steps": 3}
    trace, loop = record(table(rows), settings=options)
    steps = trace.steps
    spent = steps["stall_us"] + steps["compute_us"]
    np.testing.assert_allclose(np.diff(steps["start_us"]), spent[:-1] + steps["idle_us"][1:], atol=1e-6)
    assert loop.memory.counts.stall_s == pytest.approx(steps["stall_us"].sum() * 1e-6)
    assert loop.served.elapsed_s == pytest.approx((spent + steps["idle_us"]).sum() * 1e-6)
    assert steps["stall_us"].sum() > 0


@settings(max_examples=40)
@given(request_tables(most=5, output=60), engine_settings())
def test_recorded_runs_expand_to_the_batches(requests, options):
    """The reads of a leaping run, written as runs, against the batches that a run of single steps scheduled."""
    trace, _ = record(requests, settings=options)
    loop = serve(requests, settings=options, leaping=False)
    schedule, batches = loop.scheduler.schedule, []

    def logged(step, now_s):
        batch = schedule(step, now_s)
        if len(batch):
            rows = zip(batch.requests, batch.computed.tolist(), batch.tokens.tolist(), strict=True)
            batches.append([(step, request.number, computed, tokens) for request, computed, tokens in rows])
        return batch

    loop.scheduler.schedule = logged
    loop.run()
    names = ("rank", "step", "steps", "request", "computed_tokens", "scheduled_tokens")
    expanded = [
        (step + i, rank, request, computed + i * tokens, tokens)
        for rank, step, steps, request, computed, tokens in zip(*(trace.reads[n].tolist() for n in names), strict=True)
        for i in range(steps)
    ]
    recorded = [(step, *rest) for step, _, *rest in sorted(expanded)]
    assert recorded == [row for batch in batches for row in batch]


def test_waiting_for_a_prefetch_to_free_its_slot_is_stall():
    """14 of 15 slots are being filled by prefetches of 1 ms each, and such slots cannot be taken. A request of 3 blocks
    waits for the first two to arrive, evicts them, and computes for 1 ms."""
    loop = serve(table([{"prompt": 40, "output": 1}]))
    loop.memory.tiers.load(put_on_host(loop.memory, 14), PREFETCH)
    served = loop.run()
    assert served.ttft_s == pytest.approx([3 * MS])
    assert loop.memory.counts.stall_s == pytest.approx(2 * MS)
