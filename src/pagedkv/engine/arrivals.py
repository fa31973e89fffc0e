"""When requests arrive: at their own time, or a pause after the previous turn of their session."""

from __future__ import annotations

import heapq
import math

import numpy as np

from pagedkv.engine.requests import Request
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.workload.table import RequestTable


class Arrivals:
    """Coming requests of a table in order of time.

    `own_keys`: give blocks that are shared with nobody keys of their own, so that a request that is computed again
    finds what it computed before.
    """

    def __init__(self, table: RequestTable, own_keys: bool) -> None:
        self.table = table
        self._own_keys = own_keys
        self._next_key = _first_private_key(table)
        self._next_turn = _next_turns(table)
        self._heap = [(at, row) for row, at in enumerate(table.arrival_s.tolist()) if not math.isnan(at)]
        heapq.heapify(self._heap)

    def __bool__(self) -> bool:
        return bool(self._heap)

    @property
    def next_s(self) -> float:
        """Time of the next arrival; inf if none is due to come by itself."""
        return self._heap[0][0] if self._heap else math.inf

    def pop(self) -> Request:
        """The next request to arrive."""
        at, row = heapq.heappop(self._heap)
        table = self.table
        keys = table.block_keys(row)
        if self._own_keys:
            private = keys < 0
            keys[private] = np.arange(self._next_key, self._next_key + int(private.sum()))
            self._next_key += int(private.sum())
        prompt, output = int(table.prompt_tokens[row]), int(table.output_tokens[row])
        return Request(row, int(table.session[row]), int(table.turn[row]), at, prompt, output, keys)

    def following(self, row: int, end_s: float) -> int | None:
        """The next turn of the session of a request that finished at `end_s`, if it is still to come."""
        following = self._next_turn.get(row)
        return None if following is None or self.table.arrival_s[following] <= end_s else following

    def finished(self, row: int, end_s: float) -> None:
        """A request finished: the next turn of its session follows after its pause, unless it has its own time."""
        following = self._next_turn.get(row)
        if following is not None and not math.isnan(self.table.pause_s[following]):
            heapq.heappush(self._heap, (end_s + float(self.table.pause_s[following]), following))

    def goes_on(self, row: int) -> bool:
        """Whether the request of `row` is not its session's last."""
        return row in self._next_turn

    def drop_session(self, row: int) -> int:
        """The request of `row` and the rest of its session are not served; returns how many these are."""
        rows = [row]
        while rows[-1] in self._next_turn:
            rows.append(self._next_turn[rows[-1]])
        # Turns with a time of their own would come without being asked for.
        self._heap = [entry for entry in self._heap if entry[1] not in rows]
        heapq.heapify(self._heap)
        return len(rows)


def _first_private_key(table: RequestTable) -> int:
    shares = max(1, table.block_tokens // BLOCK_TOKENS)
    return (int(table.ids.max()) + 1) * shares if len(table.ids) else 0


def _next_turns(table: RequestTable) -> dict[int, int]:
    """Row of a turn -> row of the session's next turn."""
    order = np.lexsort((table.turn, table.session))
    follows = table.session[order][1:] == table.session[order][:-1]
    return dict(zip(order[:-1][follows].tolist(), order[1:][follows].tolist(), strict=True))
