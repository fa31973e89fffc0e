"""What a trace file holds: tables, columns, kinds. The contract is in docs/architecture.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

SCHEMA_VERSION = 1

_I8, _I32, _I64, _F64 = np.int8, np.int32, np.int64, np.float64

TABLES: dict[str, dict[str, type]] = {
    "steps": {
        "step": _I64,
        "start_us": _F64,
        "stall_us": _F64,
        "compute_us": _F64,
        "idle_us": _F64,
        "prefill_tokens": _I32,
        "decode_tokens": _I32,
        "running": _I32,
        "waiting": _I32,
    },
    "reads": {
        "step": _I64,
        "steps": _I64,
        "request": _I64,
        "rank": _I64,
        "first_block": _I32,
        "blocks": _I32,
        "first_written_block": _I32,
        "computed_tokens": _I32,
        "scheduled_tokens": _I32,
    },
    "tables": {
        "step": _I64,
        "request": _I64,
        "first_block": _I32,
        "blocks": _I32,
        "first_slot": _I64,
        "slot_stride": _I8,
        "first_content": _I64,
    },
    "transfers": {
        "job": _I64,
        "direction": _I8,
        "cause": _I8,
        "first_content": _I64,
        "blocks": _I32,
        "issue_us": _F64,
        "start_us": _F64,
        "done_us": _F64,
        "seen_step": _I64,
    },
    "events": {"step": _I64, "time_us": _F64, "kind": _I8, "request": _I64, "value": _I64},
    "plans": {"step": _I64, "request": _I64, "kind": _I8, "value": _F64},
    "requests": {
        "request": _I64,
        "session": _I64,
        "turn": _I32,
        "arrival_us": _F64,
        "prompt_tokens": _I32,
        "output_tokens": _I32,
        "hit_tokens": _I32,
    },
}


class Event(IntEnum):
    """Kinds of the `events` table. `value` is: admit: tokens found in the caches; preempt: tokens computed so far;
    rotate and abort: the same; drop: tokens asked for; otherwise 0.

    The last four are written of vLLM alone; their request is the one for which it happened. `value` is: evict and
    host_evict: the content that left the GPU (its slot is that of the last row of `tables` that names it) or the host
    tier; load and store: the job of the table `transfers`."""

    ARRIVAL = 0
    ADMIT = 1
    PREEMPT = 2
    RESUME = 3
    ROTATE = 4
    FINISH = 5
    DROP = 6
    ABORT = 7
    EVICT = 8
    LOAD = 9
    STORE = 10
    HOST_EVICT = 11


class PlanDelta(IntEnum):
    """Kinds of the `plans` table: changes of the scheduler's state that the events do not give."""

    QUEUE_BACK = 0
    QUEUE_FRONT = 1
    LEAVE_QUEUE = 2
    LENGTH_PREDICTION = 3
    KNOWN_PAUSE = 4


EVENT_KINDS = {int(kind): kind.name.lower() for kind in Event}
PLAN_KINDS = {int(kind): kind.name.lower() for kind in PlanDelta}

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Trace:
    """A trace in memory: the header and, for each table, a dict of equally long numpy arrays."""

    header: dict[str, Any]
    steps: Columns = field(repr=False)
    reads: Columns = field(repr=False)
    tables: Columns = field(repr=False)
    transfers: Columns = field(repr=False)
    events: Columns = field(repr=False)
    plans: Columns = field(repr=False)
    requests: Columns = field(repr=False)
