"""Collects a trace while an engine runs. Appends to lists; arrays are made once, at the end."""

from __future__ import annotations

from typing import Any

import numpy as np

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.trace.extents import extents
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

    A request's reads are kept as runs: while it is scheduled in consecutive steps with the same number of tokens, the
    run grows; anything else closes it.
    """

    def __init__(self) -> None:
        self._tables = {name: _Rows(name) for name in TABLES}
        self._open_runs: dict[int, list[int]] = {}
        self._seen: list[tuple[Any, int]] = []
        self._step_columns: list[tuple[np.ndarray, ...]] = []
        self.peak_live_blocks = 0
        self.largest_read_set = 0

    # ------------------------------------------------------------ steps and reads
    def steps(
        self,
        first: int,
        start_s: np.ndarray,
        stall_s: float,
        compute_s: np.ndarray,
        idle_s: float,
        prefill: int,
        decode: int,
        running: int,
        waiting: int,
    ) -> None:
        """One step, or several in which nothing but the lengths changed (stall and idle belong to the first)."""
        count = len(compute_s)
        stall, idle = np.zeros(count), np.zeros(count)
        stall[0], idle[0] = stall_s, idle_s
        constant = [np.full(count, value) for value in (prefill, decode, running, waiting)]
        self._step_columns.append(
            (np.arange(first, first + count), start_s * 1e6, stall * 1e6, compute_s * 1e6, idle * 1e6, *constant)
        )

    def scheduled(self, step: int, steps: int, request: int, rank: int, computed: int, tokens: int) -> None:
        """`request` is scheduled for `steps` steps from `step` on, with `tokens` tokens in each."""
        run = self._open_runs.get(request)
        if run is not None:
            first, length, of_rank, begun, each = run
            continues = first + length == step and begun + length * each == computed
            if of_rank == rank and each == tokens and continues:
                run[1] += steps
                return
            self._close(request, run)
        self._open_runs[request] = [step, steps, rank, computed, tokens]

    def _close(self, request: int, run: list[int]) -> None:
        step, steps, rank, computed, tokens = run
        blocks = -(-(computed + tokens) // BLOCK_TOKENS)
        written = computed // BLOCK_TOKENS
        self._tables["reads"].rows.append((step, steps, request, rank, 0, blocks, written, computed, tokens))

    # ------------------------------------------------------------ everything else
    def table(self, step: int, request: int, first_block: int, contents: np.ndarray, slots: np.ndarray) -> None:
        """Blocks `first_block` .. of the request's table are `contents`, in `slots`."""
        rows = self._tables["tables"].rows
        for offset, count, slot, stride in extents(contents, slots):
            rows.append((step, request, first_block + offset, count, slot, stride, int(contents[offset])))

    def table_block(self, step: int, request: int, block: int, content: int, slot: int) -> None:
        """One block of `table`."""
        self._tables["tables"].rows.append((step, request, block, 1, slot, 1, content))

    def transfer(self, job: Any, seen_step: int) -> None:
        """A job of `engine.tiers` whose completion was seen at the boundary before `seen_step`. Only noted here: on a
        real device this is no time for arithmetic."""
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
        for request, run in self._open_runs.items():
            self._close(request, run)
        self._open_runs.clear()
        for job, seen_step in self._seen:
            self._add_transfer(job, seen_step)
        self._seen.clear()
        tables = {name: rows.arrays() for name, rows in self._tables.items()}
        if self._step_columns:
            columns = (np.concatenate(parts) for parts in zip(*self._step_columns, strict=True))
            tables["steps"] = {
                name: column.astype(dtype)
                for (name, dtype), column in zip(TABLES["steps"].items(), columns, strict=True)
            }
        order = np.lexsort((tables["reads"]["rank"], tables["reads"]["step"]))
        tables["reads"] = {name: column[order] for name, column in tables["reads"].items()}
        extra = {"peak_live_blocks": self.peak_live_blocks, "largest_read_set_blocks": self.largest_read_set}
        return Trace(header={**header, **extra}, **tables)
