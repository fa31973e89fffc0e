"""HiCache's stop rules in the closed loop: what a request whose prefetch is under way does when it is reached.

In the examples, 10 blocks of a prompt are pushed out by a request of 12 of 15 slots, so that when the prompt comes back
at 0.1 s its first 3 blocks are on the GPU and 7 in host memory. A block takes 1 ms, a step 1 ms."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.engine.issuer import IssuerSettings
from pagedkv.trace import Event
from pagedkv.trace.recorder import Recorder
from tests.engine.build import MS, record, serve, table
from tests.engine.strategies import engine_settings, request_tables

ROWS = [
    {"prompt": 161, "output": 1, "ids": list(range(10))},
    {"prompt": 191, "output": 1, "at": 0.05},
    {"prompt": 162, "output": 1, "ids": list(range(10)), "at": 0.1},
]


def returning(policy, rows=ROWS, issuer=None, **params):
    """The finished loop; the request of interest is number 2."""
    loop = serve(
        table(rows),
        policy,
        params={"least_tokens": 0, **params},
        async_loads=True,
        settings={"max_num_batched_tokens": 1000},
        issuer=issuer,
    )
    loop.run()
    return loop


def test_best_effort_takes_what_is_there_and_computes_the_rest():
    """Nothing has arrived when the request is reached: 3 blocks are hits, the other 114 tokens cost one step, and the
    prefetch ends before it began."""
    loop = returning("best_effort")
    assert loop.served.ttft_s[2] == pytest.approx(1 * MS)
    assert loop.served.hit_tokens == 48
    assert (loop.memory.issuer.counts.issued, loop.memory.counts.demand_loads) == (0, 0)
    assert loop.scheduler.load_delay_s == 0


def test_wait_complete_waits_for_all_of_it():
    """7 ms for 7 blocks, then all 10 are hits. The engine has nothing else to do, which is a stall."""
    loop = returning("wait_complete")
    assert loop.served.ttft_s[2] == pytest.approx(7 * MS + 1 * MS)
    assert loop.served.hit_tokens == 160
    assert (loop.memory.issuer.counts.issued, loop.memory.counts.useful) == (7, 7)
    assert loop.scheduler.load_delay_s == pytest.approx(7 * MS)
    assert loop.memory.counts.stall_s == pytest.approx(7 * MS)


@pytest.mark.parametrize("limit_ms, waited, hits", [(1.5, 2, 5), (3, 4, 7), (100, 7, 10)])
def test_timeout_takes_what_has_arrived_in_time(limit_ms, waited, hits):
    """In submissions of 2 blocks the rule is asked every 2 ms: after 2 ms, 3 + 2 blocks are there, after 4 ms 3 + 4. A
    limit that is never reached is wait_complete."""
    loop = returning("timeout", issuer=IssuerSettings(quantum_blocks=2), base_s=limit_ms * MS, per_ki_s=0.0)
    assert loop.served.ttft_s[2] == pytest.approx((waited + 1) * MS)
    assert loop.served.hit_tokens == 16 * hits


@pytest.mark.parametrize("policy, others", [("wait_complete", 7), ("best_effort", 0)])
def test_who_waits_for_its_prefetch_is_passed_over(policy, others):
    """Request 3 comes with request 2 and stands behind it. It runs at once, 12 steps of 1 ms; after 7 of them the
    prefetch is complete, and request 2 joins."""
    trace, loop = record(
        table([*ROWS, {"prompt": 10, "output": 12, "at": 0.1}]),
        policy=policy,
        params={"least_tokens": 0},
        async_loads=True,
        settings={"max_num_batched_tokens": 1000},
    )
    reads = trace.reads
    first = {request: reads["step"][reads["request"] == request].min() for request in (2, 3)}
    assert first[2] - first[3] == others
    assert loop.memory.counts.stall_s == 0, "the engine always had something to compute"


def test_under_another_demand_mode_there_is_nothing_to_stop():
    """D-step: the request is admitted as always, and the engine waits for what it lacks."""
    loop = serve(table(ROWS), "wait_complete", params={"least_tokens": 0}, settings={"max_num_batched_tokens": 1000})
    loop.run()
    assert loop.served.hit_tokens == 160
    assert loop.memory.counts.demand_loads == 7
    assert loop.scheduler.stop is None


def test_a_prefetch_without_room_goes_on_when_there_is_some():
    """Request 2 comes back while request 1 holds 12 of 15 slots for another 10 ms; beside them only the 3 blocks that
    are there have room. Then the other 7 are fetched, and all are hits."""
    rows = [ROWS[0], {"prompt": 180, "output": 12, "at": 0.05}, {**ROWS[2], "at": 0.052}]
    loop = returning("wait_complete", rows)
    assert loop.served.ttft_s[2] == pytest.approx(10 * MS + 7 * MS + 1 * MS)
    assert loop.served.hit_tokens == 160


def test_a_prefetch_that_does_not_go_on_is_given_up():
    """The policy may not use the link at all. After the time in which 7 blocks could have come, the request takes the 3
    that are there."""
    loop = returning("wait_complete", issuer=IssuerSettings(link_share=0.0))
    assert loop.served.ttft_s[2] == pytest.approx(7 * MS + 1 * MS)
    assert loop.served.hit_tokens == 48


@settings(max_examples=80)
@given(
    request_tables(),
    engine_settings(),
    st.sampled_from(["best_effort", "wait_complete", "timeout"]),
    st.sampled_from(["immediate", "threshold"]),
    st.sampled_from([0, 32]),
)
def test_every_request_is_served(requests, options, policy, start, least_tokens):
    """Whatever is passed over or computed again, everyone gets all tokens, and nobody waits for loads of his own."""
    params = {"start": start, "least_tokens": least_tokens}
    if policy == "timeout":
        params |= {"base_s": 0.002, "per_ki_s": 0.0}
    put_aside = []
    recorder = Recorder()
    loop = serve(
        requests,
        policy,
        params=params,
        async_loads=True,
        settings=options,
        recorder=recorder,
        on_step=lambda loop: put_aside.extend(loop.scheduler.loading),
    )
    served = loop.run()
    events = recorder.finish({}).events
    finished = events["request"][events["kind"] == Event.FINISH]
    assert len(finished) + served.dropped == len(requests)
    assert served.output_tokens == requests.output_tokens[finished].sum()
    assert put_aside == [] and loop.memory.counts.demand_loads == 0
