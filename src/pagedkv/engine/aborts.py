"""When clients give requests up, whether these run, wait, or have not even arrived."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from types import MappingProxyType

NO_ABORTS: Mapping[int, float] = MappingProxyType({})


class Aborts:
    """Row of a request -> time at which its client gives it up. The engine learns of it at the next boundary."""

    def __init__(self, at_s: Mapping[int, float]) -> None:
        self._heap = [(at, row) for row, at in at_s.items()]
        heapq.heapify(self._heap)
        self._early: set[int] = set()
        """Given up before they arrived."""

    def __bool__(self) -> bool:
        return bool(self._heap or self._early)

    @property
    def next_s(self) -> float:
        """Time of the next one; inf if none is to come."""
        return self._heap[0][0] if self._heap else math.inf

    def due(self, now_s: float, live: Mapping[int, object]) -> list[int]:
        """Rows of `live` requests given up by now, in order of time. One that is done already is of no concern."""
        rows = [row for row in sorted(self._early) if row in live]
        while self.next_s <= now_s:
            row = heapq.heappop(self._heap)[1]
            if row in live:
                rows.append(row)
            else:
                self._early.add(row)
        self._early.difference_update(rows)
        return rows
