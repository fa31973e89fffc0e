"""Stream buffers."""

from __future__ import annotations

from collections import OrderedDict, deque

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT
from pagedkv.prefetch._on_access import OnAccess
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register

Address = tuple[int, int]


class _Buffers:
    """The buffers of one stream, or of all, least recently used first; and the filter before them.

    A buffer is its head, by which it is found, and the next address that it will fetch.
    """

    def __init__(self, buffers: int, remembered: int) -> None:
        self.most = buffers
        self.next_of: OrderedDict[Address, int] = OrderedDict()
        self.faults: deque[Address] = deque(maxlen=remembered)
        """Addresses behind the last faults."""

    def allocate(self, head: Address, following: int) -> None:
        self.next_of[head] = following
        self.next_of.move_to_end(head)
        if len(self.next_of) > self.most:
            self.next_of.popitem(last=False)


@register
class StreamBuffers(OnAccess):
    """Each of a few buffers runs a fixed distance ahead of one sequential stream.

    A fault or first use of a prefetched block at the head of a buffer moves the head on and fetches one more block at
    its tail. A fault at no head takes the least recently used buffer for the blocks behind it and fetches the first
    `depth` of them; but with a filter only if the block before it is one of the last `filter` faults, so that it takes
    two faults in sequence.

    `buffers`: 4. `depth`: 4 blocks. `filter`: 8 faults remembered; 0: no filter. `per_stream`: False, all streams
    compete for the buffers, as in hardware; True: each has its own. A buffer here holds no data: its blocks are in the
    pool and count against capacity, and a fault at a head, where a prefetch was dropped, still moves it on.

    Level: I0/I1. Cost: O(filter) a fault. Source: Jouppi, ISCA 1990; filter of Palacharla and Kessler, ISCA 1994.
    """

    name = "stream_buffers"
    level = Level.I0
    source = "Jouppi, ISCA 1990; Palacharla and Kessler, ISCA 1994"
    parameters = {"buffers": 4, "depth": 4, "filter": 8, "per_stream": False}
    least = {"buffers": 1, "depth": 1, "filter": 0}
    choices = {"per_stream": (True, False)}
    reach = "depth"

    buffers: int
    depth: int
    filter: int
    per_stream: bool

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._of: dict[int, _Buffers] = {}

    def access(self, stream: int, index: int, kind: int) -> list[Fetch]:
        key = stream if self.per_stream else -1
        if key not in self._of:
            self._of[key] = _Buffers(self.buffers, self.filter)
        mine, address, behind = self._of[key], (stream, index), (stream, index + 1)
        following = mine.next_of.pop(address, None)
        if following is not None:
            mine.allocate(behind, following + 1)
            return [Fetch(stream, following)]
        if kind != FAULT:
            return []
        admitted = self.filter == 0 or address in mine.faults
        mine.faults.append(behind)
        if not admitted:
            return []
        mine.allocate(behind, index + 1 + self.depth)
        return [Fetch(stream, index + 1, self.depth)]
