"""Turns a trace of ours into the events that vLLM would have published, so that the report can be tried and judged.

The trace is replayed with demand loading in a pool of a given size under LRU. What the GPU evicts is BlockRemoved; what
becomes full is BlockStored, and so is what the replay loads again, because an engine without a host tier would compute
it again. A content of the trace takes the part of a hash: its identity, and that of the whole prefix before it. Blocks
that are not full have no events, as in vLLM. Times are those of the trace without stalls.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pagedkv.device.calibration import Calibration
from pagedkv.engine.address import Logical
from pagedkv.engine.build import build_memory
from pagedkv.engine.feedback import Feedback
from pagedkv.engine.memory import StepMemory
from pagedkv.engine.replay import Replay, Rotation
from pagedkv.engine.script import NEVER, Script
from pagedkv.engine.scripting import build_script
from pagedkv.geometry import BLOCK_TOKENS, geometry
from pagedkv.kv_events.events import Batch, BlockRemoved, BlockStored, Event
from pagedkv.prefetch.registry import PREFETCHERS
from pagedkv.trace.schema import Trace

ROOT = -1
"""Parent of a block that begins a prefix."""


class _Evictions(Feedback):
    """Notes who leaves the GPU in which step."""

    def __init__(self, memory: StepMemory) -> None:
        super().__init__(memory.space)
        self._memory = memory
        self.by_step: dict[int, list[np.ndarray]] = {}

    def named(self, stream: int, first: int, contents: np.ndarray) -> None: ...

    def arrived(self, contents: np.ndarray, prefetched: bool) -> None: ...

    def evicted(self, contents: np.ndarray, unused: np.ndarray, by_prefetch: bool) -> None:
        self.by_step.setdefault(self._memory.step, []).append(contents)


def events_of(trace: Trace, calibration: Calibration, pool_blocks: int | None = None) -> list[Batch]:
    """The event log of a trace in a pool of `pool_blocks` (default: the recorded one). Raises PagedKVError where a step
    of the trace does not fit it."""
    script = build_script(trace)
    shape, engine = geometry(trace.header["model"]["name"]), trace.header["engine"]
    replay: Replay | None = None
    space = Logical(lambda request: replay.table_of(request))
    slots = pool_blocks or trace.header["pool_blocks"]
    memory = build_memory(calibration, shape, space, PREFETCHERS.get("none")(), pool_blocks=slots)
    replay = Replay(script, memory, Rotation(engine["max_num_seqs"], engine["quantum_steps"]), None)
    return played(replay)


def played(replay: Replay) -> list[Batch]:
    """Play a replay that has not begun and return the events of its steps; steps without events have no batch."""
    script, memory = replay.script, replay.memory
    evictions = memory.tiers.feedback = _Evictions(memory)
    replay.run()
    loaded: dict[int, list[np.ndarray]] = {}
    for step, contents in memory.misses:
        loaded.setdefault(step, []).append(contents)
    filled_step, parents = filled_steps(script), _parents(script)
    batches = []
    for step in sorted({*script.events, *loaded, *evictions.by_step}):
        removed = _full(evictions.by_step.get(step, []), filled_step, step)
        again = _full(loaded.get(step, []), filled_step, step)
        filled = script.events[step].filled.tolist() if step in script.events else []
        events: list[Event] = [BlockRemoved((content,)) for content in removed]
        events += _stored(again + filled, parents)
        if events:
            batches.append(Batch(float(script.boundary_s[step + 1]), tuple(events), seq=len(batches)))
    return batches


def filled_steps(script: Script) -> np.ndarray:
    """Step at whose end each content became full, NEVER if it did not."""
    steps = np.full(script.contents, NEVER, np.int64)
    for step, events in script.events.items():
        steps[events.filled] = step
    return steps


def _full(parts: list[np.ndarray], filled_step: np.ndarray, step: int) -> list[int]:
    """Those of the contents that had become full before `step`."""
    contents = np.concatenate([np.zeros(0, np.int64), *parts])
    return contents[filled_step[contents] < step].tolist()


def _parents(script: Script) -> np.ndarray:
    """The content before each one in the block table that names it first, ROOT for the first of a table."""
    parents = np.full(script.contents, ROOT, np.int64)
    for rows in script.table_rows.values():
        table: dict[int, int] = {}
        for _, first, count, content in rows:
            before = table.get(first - 1, ROOT)
            for block in range(count):
                table[first + block] = content + block
                if parents[content + block] == ROOT:
                    parents[content + block] = before
                before = content + block
    return parents


def _stored(contents: list[int], parents: np.ndarray) -> Iterator[BlockStored]:
    """One event for each run of contents that lie one behind the other in a prefix."""
    start = 0
    for end in range(1, len(contents) + 1):
        if end == len(contents) or parents[contents[end]] != contents[end - 1]:
            parent = int(parents[contents[start]])
            yield BlockStored(tuple(contents[start:end]), None if parent == ROOT else parent, BLOCK_TOKENS)
            start = end
