"""Toy engines: round numbers, so that times can be worked out by hand.

The model is `tiny` (2 layers, a block of 4096 bytes). Unless a test says otherwise, a block takes 1 ms on the link, a
submission and a piece cost nothing extra, a step computes for 1 ms, and the two directions do not disturb each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pagedkv.device.calibration import Calibration, ComputeCost, CopyCost
from pagedkv.engine.address import LOGICAL, PHYSICAL, AddressSpace, Logical, Physical
from pagedkv.engine.build import build_memory
from pagedkv.engine.host_address import host_slots
from pagedkv.engine.managed import managed_mappings
from pagedkv.engine.memory import StepMemory
from pagedkv.engine.replay import Replay, Rotation
from pagedkv.engine.script import Script
from pagedkv.engine.scripting import build_script
from pagedkv.engine.serve import ServeLoop
from pagedkv.engine.settings import EngineSettings
from pagedkv.geometry import geometry
from pagedkv.prefetch.registry import PREFETCHERS
from pagedkv.trace import Trace
from pagedkv.trace.recorder import Recorder
from pagedkv.workload.table import RequestTable

TINY = geometry("tiny")
MS = 1e-3


def calibration(
    block_s: float = MS,
    submit_s: float = 0.0,
    piece_s: float = 0.0,
    step_s: float = MS,
    contention: float = 1.0,
    memory_bytes_per_s: float = 1e18,
) -> Calibration:
    """Both links move a block in `block_s`; compute costs `step_s` a step, and by default next to nothing for what it
    reads (180 KB of weights, 256 bytes a token of context)."""
    rate = TINY.block_bytes / block_s
    copy = CopyCost(rate, submit_s, ((TINY.piece_bytes, piece_s), (TINY.block_bytes, piece_s)))
    compute = ComputeCost(memory_bytes_per_s, flops_per_s=math.inf, step_overhead_s=step_s)
    return Calibration("toy", "toy", "none", copy, copy, 2 * rate * contention, compute)


def toy_memory(pool: int, policy: Any = "none", space: AddressSpace | None = None, **options: Any) -> StepMemory:
    """A memory over the toy device; `policy` is a name or an object, `pool` counts the null block."""
    if isinstance(policy, str):
        policy = PREFETCHERS.get(policy)(**options.pop("params", {}))
    costs = options.pop("calibration", None) or calibration()
    space = space or Logical(lambda request: np.zeros(0, np.int64))
    return build_memory(costs, TINY, space, policy, pool_blocks=pool, **options)


def put_on_host(memory: StepMemory, count: int) -> np.ndarray:
    """`count` new contents that lie in host memory only, and a clock and link as if nothing had happened."""
    contents = memory.tiers.states.new(count)
    memory.tiers.host.add(contents)
    return contents


Row = dict[str, Any]


def table(rows: Sequence[Row], block_tokens: int = 16) -> RequestTable:
    """A request table from rows with `prompt`, `output`, and optionally `at`, `pause`, `session`, `turn`, `ids`."""
    number = np.arange(len(rows))
    ids = [np.asarray(row.get("ids", ()), np.int64) for row in rows]
    total = np.array([row["prompt"] + row["output"] for row in rows], np.int64)
    known = np.array([min(len(i) * block_tokens, int(t)) for i, t in zip(ids, total, strict=True)], np.int64)
    return RequestTable(
        name="toy",
        block_tokens=block_tokens if any(len(i) for i in ids) else 0,
        origin={},
        arrival_s=np.array([np.nan if "pause" in row else float(row.get("at", 0.0)) for row in rows]),
        pause_s=np.array([float(row.get("pause", np.nan)) for row in rows]),
        prompt_tokens=np.array([row["prompt"] for row in rows], np.int64),
        output_tokens=np.array([row["output"] for row in rows], np.int64),
        session=np.array([row.get("session", n) for n, row in zip(number, rows, strict=True)], np.int64),
        turn=np.array([row.get("turn", 0) for row in rows], np.int64),
        known_tokens=known,
        ids=np.concatenate([np.zeros(0, np.int64), *ids]),
        id_offsets=np.concatenate([[0], np.cumsum([len(i) for i in ids])]).astype(np.int64),
    )


class Watched(ServeLoop):
    """A loop that checks consistency after every step and gives up when it makes no progress."""

    def __init__(
        self, requests: RequestTable, *args: Any, on_step: Callable[[ServeLoop], None] | None = None, **kwargs: Any
    ) -> None:
        self.iterations = 0
        # Preemption and rotation repeat work, but each request gets its turn: a generous number of boundaries suffices.
        self.most_iterations = 1000 + 40 * int((requests.prompt_tokens + requests.output_tokens).sum())

        def check(loop: ServeLoop) -> None:
            self.iterations += 1
            assert self.iterations < self.most_iterations, "the loop makes no progress"
            loop.assert_consistency()
            if on_step is not None:
                on_step(loop)

        super().__init__(requests, *args, on_step=check, **kwargs)


def serve(
    requests: RequestTable,
    policy: Any = "none",
    *,
    recorder: Recorder | None = None,
    async_loads: bool = False,
    leaping: bool = True,
    on_step: Callable[[ServeLoop], None] | None = None,
    settings: Row | None = None,
    aborts: dict[int, float] | None = None,
    async_scheduling: bool = False,
    **options: Any,
) -> Watched:
    """A loop over a toy engine, ready to run. `settings` are the engine's, `options` the memory's."""
    engine = EngineSettings(**{"max_num_seqs": 4, "max_num_batched_tokens": 64, "pool_blocks": 16, **(settings or {})})
    made: list[Watched] = []
    space = Logical(lambda number: made[0].table_of(number))
    memory = toy_memory(engine.pool_blocks, policy, space, host_blocks=engine.host_blocks, **options)
    modes = {"aborts": aborts or {}, "async_scheduling": async_scheduling}
    made.append(Watched(requests, engine, memory, recorder, async_loads, leaping, on_step=on_step, **modes))
    return made[0]


def record(requests: RequestTable, **options: Any) -> tuple[Trace, Watched]:
    """Serve `requests` to the end and return the trace and the loop."""
    recorder = Recorder()
    loop = serve(requests, recorder=recorder, **options)
    loop.run()
    return recorder.finish({"scenario": "toy", "pool_blocks": loop.settings.pool_blocks}), loop


def checked(run: Replay, check: Callable[[], None] = lambda: None) -> Replay:
    """`run`, whose tiers agree with themselves after every step; then `check` is called."""
    play = run._play

    def step(number: int) -> None:
        play(number)
        run.memory.tiers.assert_consistency()
        check()

    run._play = step
    return run


def replay(
    trace: Trace | Script, policy: Any = "none", *, pool: int, rotation: Rotation | None = None, **options: Any
) -> Replay:
    """A replay of `trace`, ready to run. `address` is logical (default), physical or one of the host spaces."""
    script = build_script(trace) if isinstance(trace, Trace) else trace
    made: list[Replay] = []
    physical, address = None, options.pop("address", LOGICAL)
    if address == LOGICAL:
        space = Logical(lambda number: made[0].table_of(number))
    elif address == PHYSICAL:
        space = physical = Physical(managed_mappings(script, pool, seed=1))
    else:
        space = host_slots(address, script, seed=1)
    memory = toy_memory(pool, policy, space, **options)
    made.append(Replay(script, memory, rotation or Rotation(4, None), physical))
    return made[0]
