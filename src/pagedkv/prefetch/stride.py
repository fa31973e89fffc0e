"""Reference prediction table."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._reads import ReadCursor
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register

INITIAL, TRANSIENT, STEADY, NO_PREDICTION = range(4)
AFTER = {
    # state: (next state, new stride?) after a right and after a wrong prediction
    INITIAL: ((STEADY, False), (TRANSIENT, True)),
    TRANSIENT: ((STEADY, False), (NO_PREDICTION, True)),
    STEADY: ((STEADY, False), (INITIAL, False)),
    NO_PREDICTION: ((TRANSIENT, False), (NO_PREDICTION, True)),
}
SETTLED = 4
"""Consecutive addresses after which an entry is steady with stride 1, whatever it was before."""


@dataclass
class _Entry:
    last: int
    stride: int = 0
    state: int = INITIAL

    def access(self, index: int) -> None:
        right = index == self.last + self.stride
        self.state, new_stride = AFTER[self.state][0 if right else 1]
        if new_stride:
            self.stride = index - self.last
        self.last = index


@register
class Stride(PrefetchPolicy):
    """Reference prediction table: a stride that was seen twice is followed.

    An entry for each stream holds the last address, a stride and a state. A prediction is right if the address is the
    last one plus the stride. Initial: right to steady, wrong to transient. Transient: right to steady, wrong to no
    prediction. Steady: right stays, wrong to initial, and the stride is kept. No prediction: right to transient, wrong
    stays. Elsewhere a wrong prediction sets the stride. In the steady state address + i * stride, i = 1 .. `degree`,
    is fetched.

    `degree`: 4. `table`: 64 entries, the least recently used one makes room. `per_stream`: the request id takes the
    place of the program counter; False: one entry for all. `observe`: `faults` (faults and first uses of prefetched
    blocks, which are the faults that there would have been) or `all` accesses, where a long run is taken as a whole
    once it is steady.

    Level: I0/I1; I2 with `all`. Cost: O(degree) an access; O(runs read) a call with `all`. Source: Chen and Baer, IEEE
    Transactions on Computers 44(5), 1995.
    """

    name = "stride"
    level = Level.I0
    source = "Chen and Baer, IEEE Trans. Computers 1995"
    parameters = {"degree": 4, "table": 64, "per_stream": True, "observe": "faults"}
    least = {"degree": 1, "table": 1}
    choices = {"per_stream": (True, False), "observe": ("faults", "all")}

    degree: int
    table: int
    per_stream: bool
    observe: str

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._cursor: ReadCursor | None = None
        if self.observe == "all":
            self.level = Level.I2
            self._cursor = ReadCursor()

    def propose(self, view: View) -> list[Fetch]:
        if self._cursor is not None:
            return [fetch for run in self._cursor.new(view) for fetch in self._run(*run)]
        seen = view.accesses
        accesses = zip(seen.stream.tolist(), seen.index.tolist(), strict=True)
        return [fetch for stream, index in accesses for fetch in self._run(stream, index, 1)]

    def _run(self, stream: int, first: int, count: int) -> list[Fetch]:
        """Train on a run of addresses, and follow its end: what a stride of 1 predicts inside it has been read."""
        key = stream if self.per_stream else -1
        entry = self._entries.get(key)
        start = first
        if entry is None:
            entry, start = _Entry(first), first + 1
            self._entries[key] = entry
            if len(self._entries) > self.table:
                self._entries.popitem(last=False)
        self._entries.move_to_end(key)
        end = first + count
        for index in range(start, min(end, start + SETTLED)):
            entry.access(index)
        entry.last = end - 1
        if entry.state != STEADY or entry.stride == 0:
            return []
        if entry.stride == 1:
            return [Fetch(stream, end, self.degree)]
        ahead = [entry.last + i * entry.stride for i in range(1, self.degree + 1)]
        return [Fetch(stream, index) for index in ahead if index >= 0]
