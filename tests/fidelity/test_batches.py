"""What is worked out from a trace agrees with what the engine knew while it ran."""

from __future__ import annotations

import numpy as np
import pytest

from pagedkv.engine.record import serve_recorded
from pagedkv.engine.scheduler import Scheduler
from pagedkv.engine.settings import EngineSettings
from pagedkv.engine.transfers import LOAD, STORE
from pagedkv.fidelity.batches import batches, latencies
from tests.engine.build import TINY, calibration, table
from tests.fidelity.synthetic import ENGINE

SETTINGS = [ENGINE, {**ENGINE, "quantum_steps": None, "preemption": "recompute"}, {**ENGINE, "pool_blocks": 24}]


def requests():
    """Prompts of one to nine chunks, answers of one to sixty tokens, sessions that hit the cache."""
    random, rows = np.random.default_rng(3), []
    for session in range(7):
        for turn in range(2):
            when = {"pause": 0.01} if turn else {"at": 0.02 * session}
            lengths = {"prompt": int(random.integers(8, 280)), "output": int(random.choice([1, 2, 30, 60]))}
            rows.append({"session": session, "turn": turn, "ids": [7, 8, 9][: session % 4], **lengths, **when})
    return table(rows)


@pytest.mark.parametrize("settings", SETTINGS)
def test_batches_are_those_whose_time_was_asked_for(settings, monkeypatch):
    asked, schedule = [], Scheduler.schedule

    def logged(scheduler, step, now_s):
        batch = schedule(scheduler, step, now_s)
        if len(batch):
            asked.append(batch.work)
        return batch

    monkeypatch.setattr(Scheduler, "schedule", logged)
    loop, recorder = serve_recorded(requests(), EngineSettings(**settings), TINY, calibration(step_s=2e-3))
    trace = recorder.finish({})
    found = batches(trace)
    assert len(found.tokens) == loop.step
    # The loop asks once where steps are alike and only grow: compare those that it asked for.
    starts = [n for n in range(loop.step) if (found.tokens[n], found.context[n], found.pairs[n]) in asked]
    assert {(found.tokens[n], found.context[n], found.pairs[n]) for n in starts} == set(asked)
    assert found.tokens.sum() == (trace.steps["prefill_tokens"] + trace.steps["decode_tokens"]).sum()


@pytest.mark.parametrize("settings", SETTINGS)
def test_latencies_are_those_that_were_served(settings):
    loop, recorder = serve_recorded(requests(), EngineSettings(**settings), TINY, calibration(step_s=2e-3))
    found = latencies(recorder.finish({}))
    for name, served in (
        ("ttft_s", loop.served.ttft_s),
        ("tpot_s", loop.served.tpot_s),
        ("end_to_end_s", loop.served.completion_s),
    ):
        np.testing.assert_allclose(np.sort(getattr(found, name)), np.sort(served), atol=1e-9, err_msg=name)


def test_digests_tell_batches_apart_and_do_not_depend_on_their_order():
    from types import SimpleNamespace

    def digest(pairs):
        columns = np.array(pairs, np.int64).reshape(-1, 2)
        ones, zeros = np.ones(len(pairs), np.int64), np.zeros(len(pairs), np.int64)
        reads = {"step": zeros, "steps": ones, "request": columns[:, 0], "scheduled_tokens": columns[:, 1]}
        reads["computed_tokens"] = zeros
        steps = dict.fromkeys(("step", "start_us", "stall_us", "compute_us"), zeros[:1])
        transfers = dict.fromkeys(("direction", "start_us", "done_us"), zeros[:0])
        return int(batches(SimpleNamespace(reads=reads, steps=steps, transfers=transfers)).digest[0])

    assert digest([(1, 2), (3, 4)]) == digest([(3, 4), (1, 2)])
    assert len({digest(p) for p in ([(1, 2), (3, 4)], [(1, 4), (3, 2)], [(1, 2)], [(1, 3)], [(2, 2), (2, 4)])}) == 5


def test_loads_beside_a_step_are_counted_once_and_not_while_it_stalls():
    """Steps of 10 us of which 2 are stall, one after the other. Loads from 1 to 7, 3 to 5 (within the first) and 16 to
    22; a store all the time. Beside compute (2 to 10, 12 to 20, 22 to 30): 5, 4 and 0 us."""
    from types import SimpleNamespace

    reads = {"step": [0, 1, 2], "steps": [1, 1, 1], "request": [0, 0, 0], "scheduled_tokens": [1, 1, 1]}
    reads = {name: np.array(values) for name, values in (reads | {"computed_tokens": [5, 6, 7]}).items()}
    steps = {"step": [0, 1, 2], "start_us": [0.0, 10.0, 20.0], "stall_us": [2.0] * 3, "compute_us": [8.0] * 3}
    transfers = {"direction": [LOAD, LOAD, STORE, LOAD]}
    transfers |= {"start_us": [1.0, 3.0, 0.0, 16.0], "done_us": [7.0, 5.0, 30.0, 22.0]}
    columns = [{name: np.array(values) for name, values in each.items()} for each in (steps, transfers)]
    made = batches(SimpleNamespace(reads=reads, steps=columns[0], transfers=columns[1]))
    assert made.loading_s.tolist() == pytest.approx([5e-6, 4e-6, 0.0])
