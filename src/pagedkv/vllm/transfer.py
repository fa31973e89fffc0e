"""Copies that vLLM's native offloading makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pagedkv.engine.transfers import DEMAND, LOAD, STORE, WRITE_THROUGH


@dataclass(frozen=True)
class Copy:
    """A job of the connector, in vLLM's order: GPU slots, and the slots of the CPU tier."""

    job: int
    direction: int
    slots: list[int]
    cpu_slots: list[int]


@dataclass(slots=True)
class Moved:
    """A copy as a trace has it: see `engine.transfers.Job`."""

    number: int
    direction: int
    contents: np.ndarray
    issue_s: float
    start_s: float
    ready_s: np.ndarray

    @property
    def cause(self) -> int:
        """vLLM prefetches nothing: a load is of a request that waits for it, a store is written through."""
        return DEMAND if self.direction == LOAD else WRITE_THROUGH


def copies_of(output: Any) -> Iterator[tuple[str, Copy]]:
    """The copies that a `SchedulerOutput` asks for, and the names of the requests that they are for.

    The worker submits stores one step later than loads.
    """
    metadata = output.kv_connector_metadata
    if metadata is None:
        return
    for job, entry in metadata.store_jobs.items():
        yield entry.req_id, copy_of(job, STORE, gpu=entry.src_spec, cpu=entry.dst_spec)
    for job, entry in metadata.load_jobs.items():
        yield entry.req_id, copy_of(job, LOAD, gpu=entry.dst_spec, cpu=entry.src_spec)


def copy_of(job: int, direction: int, gpu: Any, cpu: Any) -> Copy:
    """`gpu` and `cpu`: vLLM's specifications of the two sides."""
    return Copy(job, direction, *([int(number) for number in spec.block_ids] for spec in (gpu, cpu)))
