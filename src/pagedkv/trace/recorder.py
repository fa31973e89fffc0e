"""Collects a trace while an engine runs. Appends to lists; arrays are made once, at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pagedkv.trace.extents import extents
from pagedkv.trace.runs import Runs
from pagedkv.trace.schema import TABLES, Event, PlanDelta, Trace


class _Rows:
    """Rows of one table, as tuples or as blocks of columns."""

    def __init__(self, name: str) -> None:
        self.columns = TABLES[name]
        self.rows: list[tuple] = []

    def arrays(self) -> dict[str, np.ndarray]:
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        return {
            name: np.asarray(values, dtype) for (name, dtype), values in zip(self.columns.items(), columns, strict=True)
        }


class Recorder:
    """The engine's observer. Times come in seconds and are stored in microseconds.

    It is told what happened while a real device waits, and so only notes it: `finish` does the arithmetic. Arrays that
    it is given must not change afterwards.
    """

    def __init__(self) -> None:
        self._tables = {name: _Rows(name) for name in TABLES}
        self._runs = Runs()
        self._placed: list[tuple[int, int, int, Sequence[int], Sequence[int]]] = []
        self._seen: list[tuple[Any, int]] = []
        self._steps: list[tuple] = []
        self.peak_live_blocks = 0
        self.largest_read_set = 0

    # ------------------------------------------------------------ steps and reads
    def steps(
        self,
        first: int,
        start_s: Sequence[float],
        stall_s: float,
        compute_s: Sequence[float],
        idle_s: float,
        prefill: int,
        decode: int,
        running: int,
        waiting: int,
    ) -> None:
        """One step, or several in which nothing but the lengths changed (stall and idle belong to the first)."""
        self._steps.append((first, start_s, stall_s, compute_s, idle_s, prefill, decode, running, waiting))

    def scheduled(
        self, step: int, steps: int, requests: np.ndarray, ranks: np.ndarray, computed: np.ndarray, tokens: np.ndarray
    ) -> None:
        """Columns of the batch that is scheduled for `steps` steps from `step` on, with `tokens` tokens in each."""
        self._runs.extend(step, steps, requests, ranks, computed, tokens)

    # ------------------------------------------------------------ everything else
    def table(self, step: int, request: int, first_block: int, contents: Sequence[int], slots: Sequence[int]) -> None:
        """Blocks `first_block` .. of the request's table are `contents`, in `slots`."""
        self._placed.append((step, request, first_block, contents, slots))

    def _add_table(
        self, step: int, request: int, first_block: int, contents: Sequence[int], slots: Sequence[int]
    ) -> None:
        rows = self._tables["tables"].rows
        if len(contents) == 1:
            rows.append((step, request, first_block, 1, slots[0], 1, contents[0]))
            return
        for offset, count, slot, stride in extents(contents, slots):
            rows.append((step, request, first_block + offset, count, slot, stride, int(contents[offset])))

    def transfer(self, job: Any, seen_step: int) -> None:
        """A job of `engine.transfers` whose completion was seen at the boundary before `seen_step`."""
        self._seen.append((job, seen_step))

    def _add_transfer(self, job: Any, seen_step: int) -> None:
        rows = self._tables["transfers"].rows
        for offset, count, _, _ in extents(job.contents, np.arange(len(job.contents))):
            done = float(job.ready_s[offset + count - 1]) * 1e6
            first = int(job.contents[offset])
            row = (
                job.number,
                job.direction,
                job.cause,
                first,
                count,
                job.issue_s * 1e6,
                job.start_s * 1e6,
                done,
                seen_step,
            )
            rows.append(row)

    def event(self, step: int, time_s: float, kind: Event, request: int, value: int = 0) -> None:
        self._tables["events"].rows.append((step, time_s * 1e6, int(kind), request, value))

    def plan(self, step: int, kind: PlanDelta, request: int, value: float = 0.0) -> None:
        self._tables["plans"].rows.append((step, request, int(kind), value))

    def request(self, request: Any) -> None:
        """A request of `engine.requests` that has finished."""
        r = request
        arrival_us = r.arrival_s * 1e6
        row = (r.number, r.session, r.turn, arrival_us, r.prompt_tokens, r.output_tokens, r.hit_tokens)
        self._tables["requests"].rows.append(row)

    def finish(self, header: dict[str, Any]) -> Trace:
        """The trace so far."""
        for placed in self._placed:
            self._add_table(*placed)
        self._placed.clear()
        for job, seen_step in self._seen:
            self._add_transfer(job, seen_step)
        self._seen.clear()
        tables = {name: rows.arrays() for name, rows in self._tables.items()} | {"reads": self._runs.close()}
        if self._steps:
            tables["steps"] = _step_columns(self._steps)
        extra = {"peak_live_blocks": self.peak_live_blocks, "largest_read_set_blocks": self.largest_read_set}
        return Trace(header={**header, **extra}, **tables)


def _step_columns(calls: list[tuple]) -> dict[str, np.ndarray]:
    """The table `steps` from the arguments of `Recorder.steps`, call by call."""
    first, start_s, stall_s, compute_s, idle_s, *constant = zip(*calls, strict=True)
    count = np.array([len(times) for times in compute_s])
    begins = np.cumsum(count) - count
    stall, idle = np.zeros(count.sum()), np.zeros(count.sum())
    stall[begins], idle[begins] = stall_s, idle_s
    step = np.repeat(np.array(first) - begins, count) + np.arange(count.sum())
    columns = [step, *(times * 1e6 for times in (np.concatenate(start_s), stall, np.concatenate(compute_s), idle))]
    columns += [np.repeat(values, count) for values in constant]
    return {name: column.astype(dtype) for (name, dtype), column in zip(TABLES["steps"].items(), columns, strict=True)}
