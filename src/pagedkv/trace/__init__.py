"""Block-access traces: schema, recorder, verifying reader."""

from pagedkv.trace.file import read, write
from pagedkv.trace.schema import EVENT_KINDS, PLAN_KINDS, Event, PlanDelta, Trace

__all__ = ["EVENT_KINDS", "PLAN_KINDS", "Event", "PlanDelta", "Trace", "read", "write"]
