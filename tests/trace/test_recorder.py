"""The recorder: runs of reads stand for exactly the steps that were scheduled, and seconds become microseconds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.trace import Event, PlanDelta
from pagedkv.trace.recorder import Recorder
from tests.trace.toy import finished, job, read


def rows(columns) -> list[tuple]:
    return list(zip(*(column.tolist() for column in columns.values()), strict=True))


def per_step(reads) -> list[tuple]:
    """Runs written out by the rule of docs/architecture.md: (step, rank, request, computed, tokens, blocks)."""
    found = []
    for step, steps, request, rank, first, blocks, written, computed, tokens in rows(reads):
        assert first == 0 and written == computed // 16 and blocks == -(-(computed + tokens) // 16)
        for i in range(steps):
            done = computed + i * tokens
            found.append((step + i, rank, request, done, tokens, -(-(computed + (i + 1) * tokens) // 16)))
    return sorted(found)


@st.composite
def histories(draw):
    """For each of some requests, what it does in consecutive steps: pieces of (steps, tokens), with breaks.

    A break is a pause, a new rank, or a jump back in `computed` without either.
    """
    calls = []
    for request in range(draw(st.integers(1, 4))):
        step, computed, rank = draw(st.integers(0, 5)), draw(st.sampled_from([0, 15, 40])), request
        for _ in range(draw(st.integers(1, 8))):
            steps, tokens = draw(st.integers(1, 20)), draw(st.sampled_from([1, 1, 1, 5, 16]))
            calls.append((step, steps, request, rank, computed, tokens))
            step, computed = step + steps, computed + steps * tokens
            kind = draw(st.sampled_from(["on", "on", "on", "pause", "rank", "recompute"]))
            step += kind == "pause"
            rank += 10 * (kind == "rank")
            computed = 3 if kind == "recompute" else computed
    return calls


@given(histories(), st.data())
def test_runs_expand_to_the_steps_that_were_scheduled(calls, data):
    """The engine reports one step or many at once, request by request; the log is written step by step."""
    recorder, log = Recorder(), []
    for step, steps, request, rank, computed, tokens in sorted(calls):
        read(recorder, step, steps, request, rank, computed, tokens)
        for i in range(steps):
            done = computed + i * tokens
            log.append((step + i, rank, request, done, tokens, -(-(done + tokens) // 16)))
    reads = recorder.finish({}).reads
    assert per_step(reads) == sorted(log)
    order = list(zip(reads["step"].tolist(), reads["rank"].tolist(), strict=True))
    assert order == sorted(order), "by step, then in batch order"


def test_steps_one_by_one_give_the_run_that_they_would_give_at_once():
    """20 tokens prefilled, then 5 steps of 1: two runs, whether the engine leaps or not."""
    one, many = Recorder(), Recorder()
    for recorder in (one, many):
        read(recorder, 3, 1, 7, 2, 0, 20)
    for i in range(5):
        read(one, 4 + i, 1, 7, 2, 20 + i, 1)
    read(many, 4, 5, 7, 2, 20, 1)
    expected = [(3, 1, 7, 2, 0, 2, 0, 0, 20), (4, 5, 7, 2, 0, 2, 1, 20, 1)]
    assert rows(one.finish({}).reads) == rows(many.finish({}).reads) == expected


def test_a_batch_that_goes_on_is_one_that_is_told_anew():
    """Steps 3 to 6 of two requests, then one of them alone: with the arrays of the step before, and with copies."""
    numbers, ranks, ones, computed = np.array([7, 2]), np.array([4, 5]), np.array([1, 1]), np.array([20, 31])
    same, anew = Recorder(), Recorder()
    for i in range(4):
        same.scheduled(3 + i, 1, numbers, ranks, computed + i, ones)
        anew.scheduled(3 + i, 1, numbers.copy(), ranks.copy(), computed + i, ones.copy())
    for recorder in (same, anew):
        read(recorder, 7, 1, 2, 5, 35, 1)
    expected = [(3, 4, 7, 4, 0, 2, 1, 20, 1), (3, 5, 2, 5, 0, 2, 1, 31, 1)]
    assert rows(same.finish({}).reads) == rows(anew.finish({}).reads) == expected


@pytest.mark.parametrize(
    "second",
    [
        pytest.param((6, 1, 7, 2, 12, 1), id="after a pause"),
        pytest.param((5, 1, 7, 3, 12, 1), id="at another place in the batch"),
        pytest.param((5, 1, 7, 2, 12, 2), id="with more tokens"),
        pytest.param((5, 1, 7, 2, 0, 1), id="from the beginning again"),
    ],
)
def test_a_run_ends(second):
    """Steps 3 and 4 with a token each, 12 computed then. A recorder that overlooked the last one made one run of it."""
    recorder = Recorder()
    read(recorder, 3, 2, 7, 2, 10, 1)
    read(recorder, *second)
    assert rows(recorder.finish({}).reads)[0] == (3, 2, 7, 2, 0, 1, 0, 10, 1)
    assert len(recorder.finish({}).reads["step"]) == 2


def test_several_steps_at_once_stall_and_idle_before_the_first():
    recorder = Recorder()
    recorder.steps(4, np.array([1.0, 1.5]), 0.25, np.array([0.5, 0.5]), 0.125, 0, 3, 3, 1)
    assert rows(recorder.finish({}).steps) == [
        (4, 1e6, 0.25e6, 0.5e6, 0.125e6, 0, 3, 3, 1),
        (5, 1.5e6, 0.0, 0.5e6, 0.0, 0, 3, 3, 1),
    ]


def test_tables_are_cut_into_extents():
    """Blocks 2..6 of request 9: contents 30 31 32 in slots 5 4 3, then 40 41 in slots 8 9; then a single block."""
    recorder = Recorder()
    recorder.table(1, 9, 2, np.array([30, 31, 32, 40, 41]), np.array([5, 4, 3, 8, 9]))
    recorder.table(2, 9, 7, [50], [1])
    assert rows(recorder.finish({}).tables) == [
        (1, 9, 2, 3, 5, -1, 30),
        (1, 9, 5, 2, 8, 1, 40),
        (2, 9, 7, 1, 1, 1, 50),
    ]


def test_a_transfer_is_a_row_for_each_run_of_contents():
    """Contents 3 4 8 arrive at 1, 2, 3 s: the run 3 4 is done when its last block is."""
    recorder = Recorder()
    recorder.transfer(job(5, [3, 4, 8], [1.0, 2.0, 3.0], direction=1, cause=2), seen_step=12)
    found = rows(recorder.finish({}).transfers)
    assert [row[:5] for row in found] == [(5, 1, 2, 3, 2), (5, 1, 2, 8, 1)]
    assert [row[5:] for row in found] == [pytest.approx((998000, 999000, done, 12)) for done in (2e6, 3e6)]


def test_events_plans_and_requests_keep_their_order():
    recorder = Recorder()
    recorder.event(2, 0.5, Event.ADMIT, 7, 32)
    recorder.event(2, 0.5, Event.FINISH, 3)
    recorder.plan(2, PlanDelta.LEAVE_QUEUE, 7)
    recorder.request(finished(3, 0.25, 20, 5, hit=16))
    trace = recorder.finish({})
    assert rows(trace.events) == [(2, 5e5, int(Event.ADMIT), 7, 32), (2, 5e5, int(Event.FINISH), 3, 0)]
    assert rows(trace.plans) == [(2, 7, int(PlanDelta.LEAVE_QUEUE), 0.0)]
    assert rows(trace.requests) == [(3, 3, 0, 2.5e5, 20, 5, 16)]


def test_the_header_is_completed():
    recorder = Recorder()
    recorder.peak_live_blocks, recorder.largest_read_set = 12, 9
    assert recorder.finish({"seed": 1}).header == {"seed": 1, "peak_live_blocks": 12, "largest_read_set_blocks": 9}
