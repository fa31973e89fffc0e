"""A part of a trace, at another rate: for tables whose rows all have absolute arrival times."""

from dataclasses import replace

import numpy as np

from pagedkv.errors import PagedKVError
from pagedkv.workload import parameters
from pagedkv.workload.table import RequestTable


def window(
    table: RequestTable, *, start_s: float, duration_s: float | None, rate_scale: float, limit: int | None
) -> RequestTable:
    """Requests that arrive in [start_s, start_s + duration_s), the first `limit` of them; validated.

    The window is cut in the source's time; then times are counted from its start and divided by `rate_scale`, so
    that the rate is multiplied and bursts are compressed alike.
    """
    start_s = parameters.not_negative("start_s", start_s)
    stop_s = np.inf if duration_s is None else start_s + parameters.positive("duration_s", duration_s)
    rate_scale = parameters.positive("rate_scale", rate_scale)
    limit = parameters.optional_count("limit", limit)
    first, last = np.searchsorted(table.arrival_s, [start_s, stop_s])
    last = last if limit is None else min(last, first + limit)
    if first == last:
        raise PagedKVError(f"workload {table.name}: no request falls into the chosen time")
    part = table.rows(int(first), int(last))
    return replace(part, arrival_s=np.round((part.arrival_s - start_s) / rate_scale, 6)).validate()
