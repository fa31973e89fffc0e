"""Demand modes: what a step waits for, and how missing blocks are asked for.

D-async, in which only the affected request waits, needs a scheduler that runs others meanwhile; it lives in the
closed loop (`serve.py`) and uses D-step's load here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.engine.blocks import NEVER
from pagedkv.engine.memory import Entry, StepMemory
from pagedkv.errors import PagedKVError


def _lacking(memory: StepMemory, entered: list[Entry]) -> np.ndarray:
    """Contents of the entering requests that are neither on the GPU nor on their way, each once, in access order."""
    if not entered:
        return np.zeros(0, np.int64)
    contents = np.concatenate([entry.contents for entry in entered])
    lacking = contents[memory.tiers.states.layers[contents] < memory.tiers.all_layers]
    _, first = np.unique(lacking, return_index=True)
    return lacking[np.sort(first)]


def _observe_all(memory: StepMemory, entered: list[Entry]) -> None:
    for entry in entered:
        memory.consultation.observe(entry.request, np.arange(len(entry.contents)), entry.contents)
    for entry in entered:
        memory.first_uses(entry.contents)


def _wait_for_late(memory: StepMemory, entered: list[Entry]) -> None:
    """Wait for blocks that are in flight already. What remains of their transfer is exposed."""
    states, device = memory.tiers.states, memory.tiers.device
    for entry in entered:
        if len(entry.contents):
            ready = float(states.ready_s[entry.contents].max())
            memory.counts.exposed_late_s += max(0.0, ready - device.now_s)
            device.advance_to(ready)


@dataclass(frozen=True)
class DStep:
    """All missing blocks of the step are requested together, in one submission; the engine waits for all."""

    name = "D-step"

    def __call__(self, memory: StepMemory, entered: list[Entry], compute_s: float) -> float:
        _observe_all(memory, entered)
        missing = _lacking(memory, entered)
        _wait_for_late(memory, entered)
        if len(missing):
            memory.tiers.device.advance_to(memory.load(missing))
        return 0.0


@dataclass(frozen=True)
class DPage:
    """Missing blocks fault one by one in access order, as under UVM or OS demand paging.

    Each fault costs `fault_us` on the host before its load is submitted. With pages of `page_bytes` smaller than a
    block, a block is that many faults and submissions; the policy is asked at the first one. A block in flight is a
    fault that pays the remainder of its transfer.
    """

    fault_us: float = 0.0
    page_bytes: int | None = None
    name = "D-page"

    def __call__(self, memory: StepMemory, entered: list[Entry], compute_s: float) -> float:
        for entry in entered:
            states = memory.tiers.states
            notable = states.layers[entry.contents] < memory.tiers.all_layers
            notable |= states.prefetched_step[entry.contents] != NEVER
            notable |= states.ready_s[entry.contents] > memory.tiers.device.now_s
            # A prefetch may arrive, but nothing of this step can leave, while the step faults its blocks in.
            for block in np.flatnonzero(notable).tolist():
                self._access(memory, entry, block)
        return 0.0

    def _access(self, memory: StepMemory, entry: Entry, block: int) -> None:
        tiers, device = memory.tiers, memory.tiers.device
        content = entry.contents[block : block + 1]
        memory.consultation.observe(entry.request, np.array([block]), content)
        memory.first_uses(content)
        resumes = device.now_s
        if tiers.states.layers[content[0]] < tiers.all_layers:
            device.advance_to(device.now_s + self._pages(tiers.block_bytes) * self.fault_us * 1e-6)
            resumes = self._load(memory, content)
        elif tiers.states.ready_s[content[0]] > device.now_s:
            device.advance_to(device.now_s + self.fault_us * 1e-6)
            resumes = max(device.now_s, float(tiers.states.ready_s[content[0]]))
            memory.counts.exposed_late_s += resumes - device.now_s
        # What the policy asks for at a fault travels right behind the faulting page.
        memory.ask_policy()
        memory.issuer.pump(np.nextafter(resumes, np.inf), memory.step)
        device.advance_to(resumes)

    def _pages(self, block_bytes: int) -> int:
        return 1 if self.page_bytes is None else -(-block_bytes // self.page_bytes)

    def _load(self, memory: StepMemory, content: np.ndarray) -> float:
        done = memory.load(content)
        pages = self._pages(memory.tiers.block_bytes)
        if pages > 1:
            # The block went as one piece; its pages cost submissions and piece overheads of their own.
            cost = memory.tiers.device.h2d.cost
            whole_s = cost.submit_s + cost.each_s(memory.tiers.block_bytes)
            extra_s = pages * (cost.submit_s + cost.each_s(self.page_bytes)) - whole_s
            memory.tiers.delay_last_load(extra_s)
            done += extra_s
        return done


@dataclass(frozen=True)
class DLayer:
    """Layer l may start when its pieces are there; the load of layer l+1 overlaps the compute of layer l.

    Pieces are (block, layer); all pieces of layer 0 travel first, then those of layer 1, and so on.
    """

    name = "D-layer"

    def __call__(self, memory: StepMemory, entered: list[Entry], compute_s: float) -> float:
        _observe_all(memory, entered)
        missing = _lacking(memory, entered)
        _wait_for_late(memory, entered)
        if len(missing) == 0:
            return 0.0
        tiers, device = memory.tiers, memory.tiers.device
        layers = tiers.all_layers
        have = tiers.states.layers[missing].astype(np.int64)
        # pieces[l]: blocks that lack layer l, cumulated in the order in which layers travel
        lacking = np.cumsum(np.bincount(have, minlength=layers))[:layers]
        memory.count_misses(missing)
        arrival = tiers.load_by_layers(missing, np.cumsum(lacking))
        return pipeline_stall_s(arrival - device.now_s, compute_s)


def pipeline_stall_s(arrival_s: np.ndarray, compute_s: float) -> float:
    """Stall of a step whose layer l may start at `arrival_s[l]` after the boundary and computes `compute_s / layers`.

    Layer l ends at E_l = max(E_{l-1}, arrival_l) + c/L, so E_last is the maximum over l of arrival_l + (L - l) c/L,
    and the stall is E_last - c.
    """
    layers = len(arrival_s)
    remaining = compute_s / layers * np.arange(layers, 0, -1)
    return max(0.0, float((arrival_s + remaining).max()) - compute_s)


def demand_mode(name: str, fault_us: float = 0.0, page_bytes: int | None = None) -> DPage | DStep | DLayer:
    """The demand mode called `name` that a replay may use."""
    if name == "D-page":
        return DPage(fault_us, page_bytes)
    if name == "D-step":
        return DStep()
    if name == "D-layer":
        return DLayer()
    if name == "D-async":
        raise PagedKVError(
            "D-async is refused in replay: which request waits changes the schedule; use `pagedkv serve`"
        )
    raise PagedKVError(f"demand mode '{name}' is unknown; known are D-page, D-step, D-layer, D-async")
