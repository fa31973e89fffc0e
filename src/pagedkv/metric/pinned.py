"""Replays on a real device: the recorded batches are computed again under each policy, and stall is measured."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from pagedkv.device.calibration import Calibration
from pagedkv.device.cuda import CudaDevice
from pagedkv.device.machine import Machine
from pagedkv.device.undisturbed import undisturbed
from pagedkv.engine.pinned import PinnedSchedule
from pagedkv.metric.cases import Case
from pagedkv.metric.replay import Outcome, TraceRuns
from pagedkv.model.runner import Produced
from pagedkv.trace.cut import head
from pagedkv.trace.schema import Trace
from pagedkv.workload.table import RequestTable


def digest(produced: dict[int, Produced]) -> dict[str, str]:
    """SHA-256 of all tokens, and of all logits bit by bit, in order of requests."""
    tokens, logits = hashlib.sha256(), hashlib.sha256()
    for number in sorted(produced):
        tokens.update(np.int64(number).tobytes() + produced[number].tokens.astype("<i4").tobytes())
        logits.update(np.int64(number).tobytes() + produced[number].logits.astype("<f4").tobytes())
    return {"tokens_sha256": tokens.hexdigest(), "logits_sha256": logits.hexdigest()}


class PinnedRuns(TraceRuns):
    """Runs of a trace's schedule on a machine. `steps`: only its beginning (None: all)."""

    def __init__(
        self,
        trace: Trace,
        trace_sha256: str,
        table: RequestTable,
        calibration: Calibration,
        settings: dict[str, Any],
        machine: Machine,
        steps: int | None = None,
    ) -> None:
        super().__init__(trace if steps is None else head(trace, steps), trace_sha256, calibration, settings)
        self._table = table
        self._machine = machine
        self._device: CudaDevice | None = None
        self._evidence: dict[tuple, dict[str, Any]] = {}

    def device(self, case: Case) -> CudaDevice:
        self._device = self._machine.device(self._table, self.calibration)
        return self._device

    def schedule(self, case: Case) -> PinnedSchedule:
        return PinnedSchedule(self.trace)

    def _play(self, case: Case) -> Outcome:
        with undisturbed():
            outcome = super()._play(case)
        device = self._device
        produced = self._machine.runner.produced(unfinished=True)
        self._evidence[_key(case)] = digest(produced) | device.evidence() | {"device_origin": device.origin}
        return outcome

    def evidence(self, case: Case) -> dict[str, Any]:
        """What the device left behind of a case that was run."""
        return self._evidence[_key(case)]

    def row(self, case: Case, progress: Any = lambda label: None) -> dict[str, Any]:
        """As in a simulated replay, and what the model said: equal digests are equal tokens and logits."""
        return super().row(case, progress) | self.evidence(case)


def _key(case: Case) -> tuple:
    return (case.prefetch, json.dumps(case.params, sort_keys=True), case.address, case.place)
