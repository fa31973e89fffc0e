"""Do requests get the same tokens under every policy as without offload? On a real device, under pressure.

Two senses (design section 10). *Pinned*: all runs compute the same batches, so tokens and logits have to be equal bit
by bit. *Free*: each run schedules for itself, and the batch-invariant kernels have to give the same tokens all the
same; what they cost beside the tuned ones is part of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pagedkv.device.calibration import Calibration
from pagedkv.device.machine import Machine, MachineSettings
from pagedkv.engine.ladder import Level
from pagedkv.engine.settings import EngineSettings
from pagedkv.eviction.registry import EVICTIONS
from pagedkv.geometry import BLOCK_TOKENS, Geometry
from pagedkv.metric.cases import Case
from pagedkv.metric.machine_runs import record_on
from pagedkv.metric.pinned import PinnedRuns
from pagedkv.model.runner import Produced
from pagedkv.prefetch.registry import PREFETCHERS
from pagedkv.trace.schema import Trace
from pagedkv.workload.prefixes import IdSource
from pagedkv.workload.sessions import Session, Turn, assemble
from pagedkv.workload.table import RequestTable

Progress = Callable[[str], None]

PLAN = Case("la_k", {"k": 16, "plan": "stay"})
VARIANTS = (
    Case("next_n", {"n": 8, "trigger": "miss"}, address="physical"),
    Case("next_n", {"n": 8, "trigger": "tagged"}),
    Case("linux_vma"),
    Case("leap_paper"),
    Case("la_k", {"k": 1, "plan": "stay"}),
    replace(PLAN, eviction="plan_aware"),
)
"""Runs beside those of every policy with its defaults, which for a spatial one are on physical addresses."""
LEFT_OUT = {"lstm": "needs trained weights"}


def closed_cases() -> list[Case]:
    """Every prefetch policy that a closed loop can run on a real device, and `none` under every eviction policy; the
    first one is `none` under LRU."""
    found = [Case("none"), *_with_defaults(lambda level: level <= Level.I4), *VARIANTS]
    evictions = [name for name, policy in EVICTIONS.all().items() if name != "lru" and policy.level <= Level.I4]
    return [*found, *(Case("none", eviction=name) for name in evictions)]


def oracle_cases() -> list[Case]:
    """Policies that read the future: they need a recorded schedule."""
    true_plan = Case("la_k", {"k": 16, "plan": "true"}, eviction="plan_aware")
    found = [true_plan, *_with_defaults(lambda level: level > Level.I4)]
    return [*found, Case("none", eviction="min"), Case("clairvoyant", eviction="min")]


def _with_defaults(admitted: Callable[[Level], bool]) -> Iterator[Case]:
    """Policies whose demand mode a real device has (D-step)."""
    for name, policy in PREFETCHERS.all().items():
        possible = policy.demand in (None, "D-step") and policy.stop is None and name not in LEFT_OUT
        if possible and policy.family != "none" and admitted(policy.level):
            yield Case(name, address="physical" if policy.spatial else "logical")


@dataclass(frozen=True)
class Trial:
    """A workload under pressure: `decodes` private requests rotate on `batch` places every `quantum` steps, while
    `sessions` of two turns share a prompt. About `share` of their KV fits the pool."""

    decodes: int = 10
    sessions: int = 4
    batch: int = 4
    quantum: int = 6
    context: int = 384
    output: int = 40
    share: float = 0.55

    def table(self) -> RequestTable:
        """The requests; lengths differ, and none is a whole number of blocks."""
        ids = IdSource()
        prompt = ids.take(-(-self.context // BLOCK_TOKENS))
        turns = []
        for number in range(self.decodes):
            turns.append(Session(0.0, [Turn(0.0, self.context + 7 * number, self.output + number)]))
        for number in range(self.sessions):
            known = BLOCK_TOKENS * (self.context // BLOCK_TOKENS)
            first = Turn(0.0, self.context + 5 * number + 1, self.output, known, prompt[: known // BLOCK_TOKENS])
            turns.append(Session(0.0, [first, replace(first, pause_s=0.0)]))
        return assemble(turns, "identity", BLOCK_TOKENS, {"generator": "identity", "parameters": {}})

    def blocks(self, table: RequestTable) -> int:
        """Blocks of all requests together."""
        return int((-(-(table.prompt_tokens + table.output_tokens) // BLOCK_TOKENS)).sum())


@dataclass(frozen=True)
class Bench:
    """Where a trial's requests are served: under pressure by `engine`, and by `roomy` without."""

    shape: Geometry
    calibration: Calibration
    table: RequestTable
    engine: EngineSettings
    roomy: EngineSettings
    settings: MachineSettings

    @staticmethod
    def of(where: str, shape: Geometry, calibration: Calibration, trial: Trial) -> Bench:
        """`where`: cuda or cpu."""
        table = trial.table()
        blocks = trial.blocks(table)
        engine = EngineSettings(
            pool_blocks=int(trial.share * blocks),
            host_blocks=4 * blocks,
            max_num_seqs=trial.batch,
            max_num_batched_tokens=128,
            quantum_steps=trial.quantum,
        )
        roomy = replace(engine, pool_blocks=2 * blocks)
        longest = int((table.prompt_tokens + table.output_tokens).max())
        settings = MachineSettings(where, roomy.pool_blocks, 4 * blocks, trial.batch, 128, longest, trust=True)
        return Bench(shape, calibration, table, engine, roomy, settings)

    def machine(self, **changes: Any) -> Machine:
        """In test mode, unless `changes` to its settings say otherwise."""
        return Machine(self.shape, replace(self.settings, **changes))

    def record(self, machine: Machine, engine: EngineSettings, case: Case) -> Trace:
        return record_on(machine, self.table, "identity", engine, self.calibration, case)


def identity_rows(bench: Bench, progress: Progress = lambda text: None) -> list[dict[str, Any]]:
    """One row a mode and policy: requests, how many of them got identical tokens, whether all logits are identical,
    blocks that came back other than they left, elapsed time."""
    return [*pinned_rows(bench, progress), *free_rows(bench, progress), *cost_rows(bench)]


def pinned_rows(bench: Bench, progress: Progress = lambda text: None) -> list[dict[str, Any]]:
    """The rows of a pinned schedule."""
    with bench.machine() as machine:
        return _rows("pinned", _pinned(bench, machine, progress))


def free_rows(bench: Bench, progress: Progress = lambda text: None) -> list[dict[str, Any]]:
    """The rows of runs that schedule for themselves, with batch-invariant kernels."""
    with bench.machine(batch_invariant=True) as machine:
        return _rows("free", _free(bench, machine, progress))


def cost_rows(bench: Bench) -> list[dict[str, Any]]:
    """Elapsed time with batch-invariant kernels and with the tuned ones, outside test mode."""
    rows = []
    for name, invariant in (("batch-invariant kernels", True), ("tuned kernels", False)):
        with bench.machine(batch_invariant=invariant, trust=False) as machine:
            served = bench.record(machine, bench.engine, Case("none")).header["served"]
        rows.append({"mode": "cost", "case": name, "elapsed_s": served["elapsed_s"]})
    return rows


Run = tuple[str, dict[int, Produced], dict[str, Any]]
"""Name of a case, what its requests got, and what else is told of it."""


def _pinned(bench: Bench, machine: Machine, progress: Progress) -> Iterator[Run]:
    trace = bench.record(machine, bench.engine, Case("none"))
    settings = {"scenario": "identity", "model": machine.geometry.name, "replay": {"warmup": 0.0}}
    runs = PinnedRuns(trace, "", bench.table, bench.calibration, settings, machine)
    without = Case("none", capacity=bench.roomy.pool_blocks / bench.engine.pool_blocks)
    for case in (without, *closed_cases(), *oracle_cases()):
        name = _name(case, case is without)
        progress(f"pinned {name}")
        outcome = runs.run(case)
        yield name, machine.runner.produced(unfinished=True), runs.evidence(case) | {"stall_s": outcome.stall_s}


def _free(bench: Bench, machine: Machine, progress: Progress) -> Iterator[Run]:
    pressed = [(case, bench.engine) for case in closed_cases() if case.address == "logical"]
    for case, engine in [(Case("none"), bench.roomy), *pressed]:
        name = _name(case, engine is bench.roomy)
        progress(f"free {name}")
        header = bench.record(machine, engine, case).header
        measured = {name: header["served"][name] for name in ("elapsed_s", "stall_s", "preemptions")}
        yield name, machine.runner.produced(), header["evidence"] | measured


def _name(case: Case, roomy: bool) -> str:
    where = f" {case.address}" if case.policy().spatial else ""
    return f"{case.policy().label}{where} {case.eviction}" + (" without offload" if roomy else "")


def _rows(mode: str, runs: Iterator[Run]) -> list[dict[str, Any]]:
    """Each run against the first one, which is the one without offload."""
    rows, reference = [], None
    for name, produced, evidence in runs:
        reference = reference or produced
        pairs = [(reference[number], produced.get(number)) for number in reference]
        same = sum(got is not None and np.array_equal(want.tokens, got.tokens) for want, got in pairs)
        logits = sum(got is not None and np.array_equal(want.logits, got.logits) for want, got in pairs)
        counts = {"requests": len(pairs), "identical": int(same), "logits_identical": logits == len(pairs)}
        rows.append({"mode": mode, "case": name} | counts | evidence)
    return rows
