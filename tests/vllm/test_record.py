"""vLLM's own scheduler, recorded. Run by vLLM's Python: `PYTHONPATH=src python -m pytest tests/vllm`."""

from dataclasses import replace

import numpy as np
import pytest

from pagedkv import trace as traces
from pagedkv.engine.scripting import build_script
from pagedkv.engine.transfers import DEMAND, LOAD, STORE, WRITE_THROUGH
from pagedkv.errors import PagedKVError
from pagedkv.trace import Event, PlanDelta
from pagedkv.trace.extents import expand
from pagedkv.vllm.settings import VllmSettings
from pagedkv.vllm.shadow import Shadow
from tests.engine.build import replay, table
from tests.vllm.runs import POOL, recorded, sessions

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]

CHOICES = {
    "plain": VllmSettings(),
    "asynchronous": VllmSettings(async_scheduling=True),
    "lru": VllmSettings(offload="lru"),
    "arc": VllmSettings(offload="arc"),
    "outputs": VllmSettings(offload="lru", offload_prompt_only=False),
    "second look-up": VllmSettings(offload="lru", store_threshold=2),
    "asynchronous lru": VllmSettings(offload="lru", async_scheduling=True),
}


@pytest.fixture(scope="module")
def runs():
    """Trace of each choice, made when it is asked for."""
    made = {}

    def run(name):
        if name not in made:
            made[name] = recorded(sessions(), CHOICES[name])
        return made[name]

    return run


def events(trace, kind):
    rows = trace.events
    chosen = rows["kind"] == kind
    return list(zip(*(rows[name][chosen].tolist() for name in ("step", "request", "value")), strict=True))


def moved(trace, direction):
    """Contents of each job of one direction."""
    rows = trace.transfers
    jobs = {}
    for row in np.flatnonzero(rows["direction"] == direction):
        first, blocks = int(rows["first_content"][row]), int(rows["blocks"][row])
        jobs.setdefault(int(rows["job"][row]), []).extend(range(first, first + blocks))
    return jobs


@pytest.mark.parametrize("name", CHOICES)
def test_every_read_is_verified_and_every_request_finishes(runs, name):
    trace = runs(name)
    assert trace.header["requests"] == len(trace.requests["request"]) == 18
    assert trace.header["verified_reads_blocks"] == read_blocks(trace) > 1000
    assert trace.header["wrong_reads"] == {"blocks": 0, "first": ""}
    assert len(events(trace, Event.EVICT)) > 100


def read_blocks(trace):
    """Blocks that all steps read, as the table `reads` has them."""
    script = build_script(trace)
    return sum(
        script.blocks_read(request, step)
        for request, runs in script.runs.items()
        for first, steps, *_ in runs
        for step in range(first, first + steps)
    )


@pytest.mark.parametrize("name", CHOICES)
def test_steps_follow_each_other_without_a_gap(runs, name):
    steps = runs(name).steps
    assert steps["step"].tolist() == list(range(len(steps["step"])))
    ends = steps["start_us"] + steps["stall_us"] + steps["compute_us"]
    np.testing.assert_allclose(steps["start_us"][1:], ends[:-1] + steps["idle_us"][1:], rtol=0, atol=1e-3)
    assert (steps["compute_us"] > 999).all() and (steps["stall_us"] >= 0).all()


def test_pressure_preempts_and_the_preempted_resume(runs):
    trace = runs("plain")
    preempted = [request for _, request, _ in events(trace, Event.PREEMPT)]
    assert preempted and len(preempted) == trace.header["preemptions"]
    assert sorted(preempted) == sorted(request for _, request, _ in events(trace, Event.RESUME))


def test_a_slot_holds_what_its_last_row_says_until_that_is_evicted(runs):
    """Which blocks exist follows from tables and evictions: a prefix hit is of one that was not evicted."""
    trace = runs("plain")
    rows, evicted = trace.tables, {}
    for step, _, content in events(trace, Event.EVICT):
        evicted.setdefault(step, []).append(content)
    where, gone, hits = {}, set(), 0
    for row in range(len(rows["step"])):
        step, blocks = int(rows["step"][row]), int(rows["blocks"][row])
        for before in [at for at in evicted if at <= step]:
            for content in evicted.pop(before):
                assert content in where and content not in gone
                gone.add(content)
        for place in range(blocks):
            content = int(rows["first_content"][row]) + place
            slot = int(rows["first_slot"][row]) + place * int(rows["slot_stride"][row])
            assert content not in gone
            hits += content in where
            assert where.setdefault(content, slot) == slot
            assert 0 < slot < POOL
    assert hits > 100


def test_a_replay_needs_no_load_that_vllm_did_not_need(runs):
    """Without offloading vLLM loads nothing; nor does a replay in its pool, whose lru evicts in vLLM's order.

    It may stall all the same: it writes every full block through to the host, which vLLM without offloading does not,
    and a block that is being written gives no room."""
    run = replay(runs("plain"), pool=POOL)
    run.run()
    assert run.memory.counts.demand_loads == 0
    assert run.memory.misses == []


@pytest.mark.parametrize("name", ["lru", "arc", "outputs", "second look-up", "asynchronous lru"])
def test_loads_bring_back_what_was_stored_and_has_not_left_the_host(runs, name):
    trace = runs(name)
    loads, stores = moved(trace, LOAD), moved(trace, STORE)
    assert stores and (loads or name == "second look-up")
    issued = [job for kind in (Event.LOAD, Event.STORE) for *_, job in events(trace, kind)]
    assert set(loads) | set(stores) <= set(issued)
    on_host = set()
    rows = trace.events
    for kind, value in zip(rows["kind"].tolist(), rows["value"].tolist(), strict=True):
        if kind == Event.STORE:
            on_host |= set(stores.get(value, ()))
        elif kind == Event.HOST_EVICT:
            on_host.remove(value)
        elif kind == Event.LOAD:
            assert set(loads.get(value, ())) <= on_host
    rows = trace.transfers
    assert {(d, c) for d, c in zip(rows["direction"].tolist(), rows["cause"].tolist(), strict=True)} <= {
        (LOAD, DEMAND),
        (STORE, WRITE_THROUGH),
    }
    assert (rows["issue_us"] <= rows["start_us"]).all() and (rows["start_us"] < rows["done_us"]).all()


def test_a_small_host_tier_lets_go_of_blocks():
    trace = recorded(sessions(), VllmSettings(offload="lru"), {"host_blocks": 40})
    assert events(trace, Event.HOST_EVICT)
    assert trace.header["wrong_reads"]["blocks"] == 0


def test_a_loaded_block_is_the_content_that_was_stored_in_another_slot(runs):
    trace = runs("lru")
    rows = trace.tables
    contents = expand(rows["first_content"], rows["blocks"].astype(np.int64))
    slots = expand(rows["first_slot"], rows["blocks"].astype(np.int64), rows["slot_stride"].astype(np.int64))
    loaded = {content for contents in moved(trace, LOAD).values() for content in contents}
    elsewhere = {content for content in loaded if len(set(slots[contents == content].tolist())) > 1}
    assert elsewhere


@pytest.mark.parametrize("name", ["plain", "asynchronous lru"])
def test_the_same_run_again_is_the_same_file(runs, name, tmp_path):
    again = recorded(sessions(), CHOICES[name])
    assert traces.write(runs(name), tmp_path / "one") == traces.write(again, tmp_path / "two")


def test_a_load_that_is_dropped_is_noticed(monkeypatch):
    complete = Shadow.complete

    def dropping(shadow, job):
        copy, _ = shadow._copies[job]
        if copy.direction == LOAD:
            del shadow._copies[job]
        else:
            complete(shadow, job)

    monkeypatch.setattr(Shadow, "complete", dropping)
    with pytest.raises(PagedKVError, match="does not hold its token"):
        recorded(sessions(), VllmSettings(offload="lru"))
    assert recorded(sessions(), VllmSettings(offload="lru"), tolerated=True).header["wrong_reads"]["blocks"] > 0


def test_without_a_check_nothing_is_verified():
    trace = recorded(sessions(count=1, turns=1), check=False)
    assert trace.header["verified_reads_blocks"] is None and trace.header["wrong_reads"] is None


@pytest.mark.parametrize("name", ["plain", "asynchronous", "lru"])
@pytest.mark.parametrize("after_s", [0.003, 0.03], ids=["in its prompt", "in its answer"])
def test_who_is_given_up_leaves_the_batch(name, after_s):
    first = 0  # it is admitted as soon as it arrives, at 0
    trace = recorded(sessions(), CHOICES[name], aborts={first: after_s})
    (step, request, computed), *others = events(trace, Event.ABORT)
    assert (request, others) == (first, []) and computed > 0
    last = build_script(trace).runs[first][-1]
    assert last[0] + last[1] == step
    assert trace.header["aborted_requests"] == 1 and first not in trace.requests["request"].tolist()
    assert trace.header["wrong_reads"]["blocks"] == 0


def test_who_is_given_up_in_the_queue_leaves_it():
    trace = recorded(sessions(), None, {"max_num_seqs": 2}, aborts={9: 0.02})
    assert [(request, computed) for _, request, computed in events(trace, Event.ABORT)] == [(9, 0)]
    queued = trace.plans["kind"][trace.plans["request"] == 9].tolist()
    assert queued == [PlanDelta.QUEUE_BACK, PlanDelta.LEAVE_QUEUE]
    assert 9 not in trace.reads["request"].tolist()


def test_where_vllm_fails_itself_one_line_says_so():
    """0.26.0 cannot give up a queued request while it offloads (vllm-project/vllm issue 49118)."""
    with pytest.raises(PagedKVError, match=r"vllm: it stopped at step \d+ by an assertion of its own \(scheduler.py"):
        recorded(sessions(), CHOICES["lru"], {"max_num_seqs": 2}, aborts={9: 0.02})


def test_a_request_that_is_too_long_drops_its_session():
    requests = sessions(count=2)
    short = recorded(requests, None, {"max_model_len": 400})
    dropped = [(request, tokens) for _, request, tokens in events(short, Event.DROP)]
    assert dropped and all(tokens > 400 for _, tokens in dropped)
    assert short.header["requests"] + short.header["dropped_requests"] == 6


def test_an_answer_without_end_in_a_pool_for_its_prompt_alone_is_dropped_by_the_pool():
    trace = recorded(table([{"prompt": 64, "output": 960}, {"prompt": 64, "output": 3}]))
    assert trace.header["dropped_requests"] == 1 and trace.header["requests"] == 1


def test_the_header_names_what_ran(runs):
    header = runs("asynchronous lru").header
    assert header["origin"] == "vllm-cpu" and header["vllm"]["scheduler"] == "AsyncScheduler"
    assert header["vllm"]["version"] == header["versions"]["vllm"]
    assert header["vllm"]["settings"]["offload"] == "lru" and header["host_blocks"] == 200
    assert runs("plain").header["host_blocks"] == 0


def test_rotation_and_swapping_are_refused():
    for changed in ({"quantum_steps": 4}, {"preemption": "swap"}):
        with pytest.raises(PagedKVError, match="vllm: "):
            recorded(sessions(count=1), None, changed)
    with pytest.raises(PagedKVError, match="host_blocks"):
        recorded(sessions(count=1), replace(VllmSettings(), offload="lru"), {"host_blocks": 0})
