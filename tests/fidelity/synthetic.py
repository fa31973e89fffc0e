"""Measurements as a GPU would leave them, made by a device that is a little off what the calibration says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pagedkv.device.calibration import Calibration
from pagedkv.device.link import Link
from pagedkv.device.measured import MeasuredDevice, PlannedLink, nanoseconds
from pagedkv.engine.record import record
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import geometry
from pagedkv.metric.cases import Case
from pagedkv.metric.replay import TraceRuns
from pagedkv.metric.serve import serve_metrics
from pagedkv.trace import Trace, write
from pagedkv.workload.sessions import single_turns
from pagedkv.workload.table import RequestTable
from tests.engine.build import calibration

TINY = geometry("tiny")
ENGINE = {"pool_blocks": 40, "host_blocks": 60, "max_num_seqs": 3, "max_num_batched_tokens": 128, "quantum_steps": 4}
CASES = [
    Case("none"),
    Case("next_n", {"n": 4, "trigger": "tagged"}),
    Case("la_k", {"k": 8, "plan": "stay"}, eviction="plan_aware"),
]
MACHINE = {"device": "Toy GPU", "driver": "1.2", "versions": {"torch": "9"}, "commit": "0" * 40}


def costs(**changes: Any) -> Calibration:
    """A block takes 1 ms alone and 1.25 ms against the other direction, a step 4 ms, a submission 50 us."""
    return calibration(**{"submit_s": 5e-5, "step_s": 4e-3, "contention": 0.8} | changes)


def table(requests: int = 8) -> RequestTable:
    """Decodes of 8-14 blocks, two of which arrive late."""
    number = np.arange(requests)
    late = np.where(number < requests - 2, 0.0, 0.2 * number)
    return single_turns(late, 130 + 13 * number, 24 + 5 * (number % 3), name="toy", origin={})


class Real(MeasuredDevice):
    """Does what was predicted, give or take: steps take `slower` times as long, everything jitters by `noise`."""

    origin = "toy"

    def __init__(
        self,
        model: Calibration,
        slower: float = 1.0,
        noise: float = 0.01,
        seed: int = 1,
        link: type[Link] = PlannedLink,
    ) -> None:
        self.link = link
        super().__init__(model, TINY)
        self._random = np.random.default_rng(seed)
        self._slower, self._noise = slower, noise
        self._arrives: dict[int, np.ndarray] = {}
        self._last = [0.0, 0.0]
        self._predicted = (0.0, 0.0)

    def _about(self, seconds: float) -> float:
        return nanoseconds(seconds * (1 + self._noise * self._random.uniform(-1, 1)))

    def move(self, job, quantum):
        quantum = quantum or len(job.contents)
        arrives = np.zeros(len(job.contents))
        for first in range(0, len(arrives), quantum):
            part = slice(first, first + quantum)
            at = self.now_s + self._about(float(job.ready_s[part][-1]) - self.now_s)
            self._last[job.direction] = nanoseconds(max(at, self._last[job.direction] + 1e-9))
            arrives[part] = self._last[job.direction]
        self._arrives[job.number] = arrives

    def arrived_s(self, job):
        return self._arrives[job.number][-len(job.contents) :]

    def first_arrival_s(self, job):
        return float(self.arrived_s(job)[0])

    def finish_step(self, start_s, stall_s, compute_s):
        self._predicted = stall_s, compute_s
        return super().finish_step(start_s, stall_s, compute_s)

    def step_times(self, start_s):
        stall_s, compute_s = self._predicted
        return max(0.0, self._about(stall_s)), max(1e-9, self._about(self._slower * compute_s))


def closed(case: Case, model: Calibration | None = None, **real: Any) -> Trace:
    """A closed loop of `table()` under `case`, with the header that `pagedkv measure` writes."""
    model = model or costs()

    def annotate(loop: Any) -> dict[str, Any]:
        return {
            "case": {name: getattr(case, name) for name in ("prefetch", "params", "eviction", "demand")},
            "served": serve_metrics(loop),
            "evidence": {"host_us_p50": 150.0, "host_us_p99": 190.0, "tokens_sha256": "a", "logits_sha256": "b"},
            "machine": MACHINE,
        }

    return record(
        table(), "toy", EngineSettings(**ENGINE), TINY, model, 1,
        device=Real(model, **real), policy=case.policy(), eviction=case.eviction, annotate=annotate,
    )  # fmt: skip


def pinned(trace: Trace, model: Calibration, steps: int | None = 60) -> dict[str, Any]:
    """Replays of the beginning of `trace` by another device: here one whose links are slower."""
    from pagedkv.trace.cut import head

    settings = {"scenario": "toy", "model": "tiny", "replay": {"warmup": 0.2}}
    runs = TraceRuns(trace if steps is None else head(trace, steps), "5" * 64, model, settings)
    evidence = {"tokens_sha256": "c", "logits_sha256": "d", "wrong_blocks": 0}
    rows = [runs.row(case) | evidence for case in [*CASES, Case("clairvoyant", eviction="min")]]
    return {"machine": MACHINE, "trace_sha256": "5" * 64, "steps": steps, "rows": json.loads(json.dumps(rows))}


IDENTITY = {
    "machine": MACHINE,
    "rows": [
        {"mode": "pinned", "case": "none lru", "requests": 14, "identical": 14, "logits_identical": True,
         "wrong_blocks": 0, "verified_blocks": 120, "elapsed_s": 1.0},
        {"mode": "free", "case": "LA-16 stay plan_aware", "requests": 14, "identical": 14, "logits_identical": True,
         "wrong_blocks": 0, "verified_blocks": 80, "elapsed_s": 1.1},
        {"mode": "cost", "case": "batch-invariant kernels", "elapsed_s": 1.3},
        {"mode": "cost", "case": "tuned kernels", "elapsed_s": 1.0},
    ],
}  # fmt: skip


def folder(where: Path, model: Calibration | None = None, **real: Any) -> Path:
    """A scenario's folder of measurements."""
    model = model or costs()
    where.mkdir(parents=True, exist_ok=True)
    traces = [closed(case, model, **real) for case in CASES]
    for number, trace in enumerate(traces):
        write(trace, where / f"closed-{number}.kvtrace")
    (where / "pinned.json").write_text(json.dumps(pinned(traces[0], costs(block_s=1.1e-3))))
    (where / "identity.json").write_text(json.dumps(IDENTITY))
    return where
