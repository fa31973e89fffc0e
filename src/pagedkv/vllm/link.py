"""Stands in for the copy engine of vLLM's CPU tier: the same methods, no data, calibrated time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from pagedkv.device.link import Link
from pagedkv.device.simulated import SimulatedDevice
from pagedkv.engine.transfers import LOAD, STORE
from pagedkv.vllm.shadow import Shadow
from pagedkv.vllm.transfer import Copy, copy_of


class CopyEngine:
    """Two links that move jobs in the order of submission. Blocks travel whole, each job in one submission.

    `moved(job, start_s, ready_s)` is told when a job will have moved; `shadow` of each job when it starts and when time
    has come to its end.
    """

    def __init__(
        self,
        device: SimulatedDevice,
        moved: Callable[[int, float, np.ndarray], None],
        shadow: Shadow | None = None,
    ) -> None:
        self._device = device
        self._moved, self._shadow = moved, shadow
        self._done_s: dict[int, float] = {}
        self._finished: list[int] = []
        self.stall_s = 0.0
        """Time for which `wait` held the engine up."""

    # ------------------------------------------------------------ vLLM's side
    def submit_store(self, job_id: int, src_spec: Any, dst_spec: Any) -> bool:
        return self._submit(self._device.d2h, copy_of(job_id, STORE, gpu=src_spec, cpu=dst_spec))

    def submit_load(self, job_id: int, src_spec: Any, dst_spec: Any, expedited: bool = False) -> bool:
        return self._submit(self._device.h2d, copy_of(job_id, LOAD, gpu=dst_spec, cpu=src_spec))

    def wait(self, job_ids: Collection[int]) -> None:
        """The step does not start before these are done: blocks that they read are about to be written over."""
        until = max((self._done_s[job] for job in job_ids if job in self._done_s), default=0.0)
        now = self._device.now_s
        if until > now:
            self._device.advance_to(until)
            self.stall_s += until - now
        self.land()

    def get_finished(self) -> list[Any]:
        from vllm.v1.kv_offload.base import TransferResult

        self.land()
        finished, self._finished = self._finished, []
        return [TransferResult(job_id=job, success=True) for job in finished]

    def shutdown(self) -> None:
        pass

    # ------------------------------------------------------------ the driver's side
    @property
    def next_s(self) -> float:
        """When the next job will be done; inf if none is under way."""
        return min(self._done_s.values(), default=float("inf"))

    def _submit(self, link: Link, copy: Copy) -> bool:
        transfer = link.submit(self._device.now_s, len(copy.slots), self._device.geometry.block_bytes)
        self._done_s[copy.job] = transfer.done_s
        self._moved(copy.job, transfer.start_s, transfer.ready_s)
        if self._shadow is not None:
            self._shadow.submit(copy)
        return True

    def land(self) -> None:
        """Jobs whose time has come are done, in order of their end."""
        due = sorted((done, job) for job, done in self._done_s.items() if done <= self._device.now_s)
        for _, job in due:
            del self._done_s[job]
            if self._shadow is not None:
                self._shadow.complete(job)
            self._finished.append(job)
