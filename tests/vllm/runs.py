"""Small runs of vLLM's scheduler: sessions that share a beginning, in a pool that is too small for all of them."""

from __future__ import annotations

from typing import Any

from pagedkv.engine.settings import EngineSettings
from pagedkv.trace import Trace
from pagedkv.vllm.record import record_vllm
from pagedkv.vllm.settings import VllmSettings
from pagedkv.workload.table import RequestTable
from tests.engine.build import TINY, calibration, table

POOL = 61
ENGINE = {
    "pool_blocks": POOL,
    "host_blocks": 200,
    "max_num_seqs": 4,
    "max_num_batched_tokens": 128,
    "max_model_len": 1024,
    "preemption": "recompute",
}


def sessions(count: int = 6, turns: int = 3, shared: int = 8, own: int = 6, output: int = 40) -> RequestTable:
    """Each session's first prompt is `shared` blocks of all sessions and `own` blocks of its own; a later one is the
    turn before, its answer (2.5 blocks) and as much again."""
    rows = []
    for session in range(count):
        history = list(range(shared))
        for turn in range(turns):
            step = own + -(-output // 16)
            history = history + [1000 * (session + 1) + 100 * turn + place for place in range(step)]
            prompt = 16 * (len(history) - step + own)
            arrival = {"at": 0.004 * session} if turn == 0 else {"pause": 0.02}
            row = {"prompt": prompt, "output": output, "session": session, "turn": turn, "ids": history}
            rows.append({**row, **arrival})
    return table(rows)


def engine(**changed: Any) -> EngineSettings:
    return EngineSettings(**{**ENGINE, **changed})


def recorded(
    requests: RequestTable,
    settings: VllmSettings | None = None,
    engine_settings: dict[str, Any] | None = None,
    **options: Any,
) -> Trace:
    """The trace of vLLM on `requests`, every read of it verified."""
    costs = calibration(block_s=2e-4)
    made = engine(**(engine_settings or {}))
    return record_vllm(requests, "toy", made, TINY, costs, 1, settings or VllmSettings(), **options)
