"""Runs of the closed loop on a machine, and what has to be equal between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pagedkv.device.machine import Machine, MachineSettings
from pagedkv.engine.address import Logical
from pagedkv.engine.build import build_memory
from pagedkv.engine.serve import ServeLoop
from pagedkv.engine.settings import EngineSettings
from pagedkv.errors import PagedKVError
from pagedkv.metric.cases import Case
from pagedkv.model.runner import Produced
from pagedkv.workload.table import RequestTable
from tests.engine.build import TINY, Watched, calibration, table

ROOM = 128
"""Blocks of the machine's pools: more than any request table of these tests needs."""
SETTINGS = MachineSettings("cpu", ROOM, ROOM, 8, 64, 400, batch_invariant=True, trust=True)
DEMAND_ONLY = Case("none")
ROTATION = {"quantum_steps": 3, "max_num_seqs": 2}
"""Each request leaves the GPU and comes back many times."""
PRESSURE = {"pool_blocks": 11, "max_num_seqs": 2}
"""Just enough room for two requests."""


@dataclass(frozen=True)
class Run:
    """A finished run: the loop, and what each request got."""

    loop: Watched
    produced: dict[int, Produced]

    @property
    def wrong_blocks(self) -> int:
        """Blocks that came back from host memory other than they left."""
        return self.loop.device.evidence().get("wrong_blocks", 0)

    @property
    def loaded_blocks(self) -> int:
        """Blocks that came back and were verified."""
        return self.loop.device.evidence()["verified_blocks"]

    def same_as(self, other: Run) -> bool:
        """Whether every request got the same tokens with the same logits, bit by bit."""
        return self.produced.keys() == other.produced.keys() and all(
            np.array_equal(mine.tokens, other.produced[number].tokens)
            and np.array_equal(mine.logits, other.produced[number].logits)
            for number, mine in self.produced.items()
        )


def run(
    machine: Machine,
    requests: RequestTable,
    case: Case = DEMAND_ONLY,
    on_step: Callable[[ServeLoop], None] | None = None,
    **settings: Any,
) -> Run:
    """Serve `requests` on `machine`; `settings` are the engine's. Consistency is checked at every boundary."""
    loop = loop_on(machine, requests, case, on_step, **settings)
    loop.run()
    drain(loop)
    loop.assert_consistency()
    return Run(loop, machine.runner.produced())


def loop_on(
    machine: Machine,
    requests: RequestTable,
    case: Case = DEMAND_ONLY,
    on_step: Callable[[ServeLoop], None] | None = None,
    **settings: Any,
) -> Watched:
    """As `run`, not yet started."""
    engine = EngineSettings(
        **{"host_blocks": ROOM, "max_num_seqs": 4, "max_num_batched_tokens": 64, "pool_blocks": 16} | settings
    )
    made: list[Watched] = []
    memory = build_memory(
        calibration(),
        TINY,
        Logical(lambda number: made[0].table_of(number)),
        case.policy(),
        pool_blocks=engine.pool_blocks,
        host_blocks=engine.host_blocks,
        eviction=case.eviction,
        device=machine.device(requests, calibration()),
    )
    made.append(Watched(requests, engine, memory, leaping=False, on_step=on_step))
    return made[0]


def alone(machine: Machine, requests: RequestTable) -> Run:
    """The reference: each request by itself, nothing shared, nothing moved."""
    reference = run(machine, requests, pool_blocks=ROOM, max_num_seqs=1, prefix_cache=False)
    assert reference.loaded_blocks == 0
    assert all(np.isfinite(got.logits).all() for got in reference.produced.values())
    return reference


def drain(loop: ServeLoop) -> None:
    """See every transfer complete."""
    while loop.memory.tiers.wait_for_a_transfer():
        pass


def private(count: int, prompt: int = 50, output: int = 30) -> RequestTable:
    """Requests of different lengths that share nothing, all there from the beginning."""
    return table([{"prompt": prompt + 7 * n, "output": output - n} for n in range(count)])


def sessions(count: int, prefix_blocks: int = 4, output: int = 12, groups: int = 2) -> RequestTable:
    """Sessions of two turns; the sessions of a group share the first blocks of their prompts."""
    rows = []
    for turn in range(2):
        for number in range(count):
            ids = [100 * (number % groups) + block for block in range(prefix_blocks)]
            row = {"prompt": 16 * prefix_blocks + 5 * number + 1, "output": output, "ids": ids, "session": number}
            rows.append(row | {"turn": turn} | ({"pause": 0.0005} if turn else {}))
    return table(rows)


def found(requests: RequestTable, reference: Run, machine: Machine, **options: Any) -> bool:
    """Whether anything shows that a run went wrong: a broken invariant, wrong bytes, or other tokens or logits."""
    try:
        got = run(machine, requests, **options)
    except (AssertionError, PagedKVError, IndexError):
        return True
    finally:
        machine.world.forget()
    return got.wrong_blocks > 0 or not got.same_as(reference)
