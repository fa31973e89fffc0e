"""The beginning of a trace."""

from __future__ import annotations

import numpy as np

from pagedkv.trace.schema import Columns, Trace


def head(trace: Trace, steps: int) -> Trace:
    """The first `steps` steps of `trace` (all, if it has no more). The header still describes the whole trace."""

    def until(columns: Columns, limit: int = steps) -> Columns:
        kept = columns["step"] < limit
        return {name: column[kept] for name, column in columns.items()}

    reads = until(trace.reads)
    reads = {**reads, "steps": np.minimum(reads["steps"], steps - reads["step"])}
    transfers = trace.transfers
    kept = transfers["seen_step"] < steps
    return Trace(
        header=trace.header,
        steps=until(trace.steps),
        reads=reads,
        tables=until(trace.tables),
        transfers={name: column[kept] for name, column in transfers.items()},
        events=until(trace.events),
        plans=until(trace.plans),
        requests=trace.requests,
    )
