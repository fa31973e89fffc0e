"""Block tables of a trace as a replay walks through them."""

from __future__ import annotations

import numpy as np

from pagedkv.engine.script import Script
from pagedkv.engine.scripting import BlockTable

_NONE = np.zeros(0, np.int64)


class EntryTables:
    """What each request reads, as far as it exists: the current stay in the batch, or the next one."""

    def __init__(self, script: Script) -> None:
        self._created_step = script.created_step
        self._entries: dict[int, list[np.ndarray]] = {}
        for _, request, contents in script.entries:
            self._entries.setdefault(request, []).append(contents)
        self._index: dict[int, int] = {}
        self._whole: dict[int, np.ndarray] = {}
        """Answers that will not change before the request leaves: all of their blocks exist."""
        self.step = 0
        """Step at whose boundary the engine stands."""

    def enter(self, request: int) -> None:
        self._index.setdefault(request, 0)

    def leave(self, request: int) -> None:
        self._index[request] = self._index.get(request, 0) + 1
        self._whole.pop(request, None)

    def contents(self, request: int) -> np.ndarray:
        """Contents in block order."""
        whole = self._whole.get(request)
        if whole is not None:
            return whole
        entries = self._entries.get(request, ())
        index = self._index.get(request, 0)
        if index >= len(entries):
            return _NONE
        contents = entries[index]
        exist = self._created_step[contents] < self.step
        if not exist.all():
            return contents[exist]
        self._whole[request] = contents
        return contents


class RunningTables:
    """What each request of the batch reads in a step, blocks that it began since it joined included."""

    def __init__(self, script: Script) -> None:
        self._rows = script.table_rows
        self._tables: dict[int, BlockTable] = {}

    def contents(self, request: int, step: int, blocks: int) -> np.ndarray:
        """The first `blocks` contents of the table as it is at `step`. Steps are asked for in order."""
        if request not in self._tables:
            self._tables[request] = BlockTable(self._rows[request])
        table = self._tables[request]
        table.advance(step)
        return table.contents[:blocks]
