"""A small trace with every table filled, and comparison of traces."""

from types import SimpleNamespace

import numpy as np

from pagedkv.trace import Event, PlanDelta, Trace
from pagedkv.trace.recorder import Recorder
from pagedkv.trace.schema import TABLES


def job(number: int, contents: list[int], ready_s: list[float], direction: int = 0, cause: int = 1) -> SimpleNamespace:
    """What the recorder reads of a transfer of the engine; issued 2 ms, started 1 ms before the first block arrives."""
    return SimpleNamespace(
        number=number,
        direction=direction,
        cause=cause,
        contents=np.array(contents),
        ready_s=np.array(ready_s),
        issue_s=ready_s[0] - 0.002,
        start_s=ready_s[0] - 0.001,
    )


def finished(number: int, arrival_s: float, prompt: int, output: int, hit: int = 0) -> SimpleNamespace:
    """What the recorder reads of a request of the engine: the first turn of a session of the same number."""
    return SimpleNamespace(
        number=number,
        session=number,
        turn=0,
        arrival_s=arrival_s,
        prompt_tokens=prompt,
        output_tokens=output,
        hit_tokens=hit,
    )


def read(recorder: Recorder, step: int, steps: int, request: int, rank: int, computed: int, tokens: int) -> None:
    """A batch of one request is scheduled."""
    recorder.scheduled(step, steps, *(np.array([value]) for value in (request, rank, computed, tokens)))


def toy_trace() -> Trace:
    """Two requests, five steps: 0 is prefilled (20 tokens) and decodes, 1 joins at step 3."""
    recorder = Recorder()
    recorder.event(0, 0.0, Event.ARRIVAL, 0)
    recorder.plan(0, PlanDelta.QUEUE_BACK, 0)
    read(recorder, 0, 1, 0, 0, 0, 20)
    recorder.table(0, 0, 0, np.array([0, 1]), np.array([1, 2]))
    recorder.steps(0, np.array([0.0]), 0.0, np.array([0.004]), 0.0, 20, 0, 1, 0)
    read(recorder, 1, 4, 0, 0, 20, 1)
    recorder.steps(1, np.array([0.004, 0.005]), 0.0, np.array([0.001, 0.001]), 0.0, 0, 1, 1, 0)
    read(recorder, 3, 2, 1, 1, 0, 7)
    recorder.table(3, 1, 0, [2], [3])
    recorder.transfer(job(1, [0, 1], [0.010, 0.011]), 3)
    recorder.steps(3, np.array([0.012, 0.013]), 0.006, np.array([0.001, 0.001]), 0.0, 7, 1, 2, 0)
    recorder.request(finished(0, 0.0, 20, 5))
    recorder.request(finished(1, 0.006, 14, 1))
    recorder.peak_live_blocks, recorder.largest_read_set = 3, 3
    return recorder.finish({"scenario": "toy", "seed": 7})


def assert_equal(one: Trace, other: Trace, header: bool = True) -> None:
    """Equal tables, column by column, types included."""
    for name, columns in TABLES.items():
        left, right = getattr(one, name), getattr(other, name)
        assert list(left) == list(right) == list(columns)
        for column, dtype in columns.items():
            assert left[column].dtype == right[column].dtype == np.dtype(dtype), (name, column)
            np.testing.assert_array_equal(left[column], right[column], f"{name}.{column}")
    if header:
        assert {k: v for k, v in one.header.items() if k in other.header} == other.header
