"""Sequential prefetching of SARC."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT, View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch._on_access import OnAccess
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register

Address = tuple[int, int]


@register
class Sarc(OnAccess):
    """Count each block's run; behind a run that is long enough, fetch fixed groups, the next one by a trigger.

    When block n is read after it has come to the GPU, its counter becomes one more than that of n - 1, at most
    `threshold`, or 1 if n - 1 is not on the GPU. A block whose counter is at the threshold is sequential. A fault on a
    sequential block fetches the next `degree` blocks. The first use of the block `trigger` blocks before the last one
    of a group fetches the group behind it.

    `threshold`: 2. `degree`: 8. `trigger`: 4. The paper gives the rule without numbers. Its other half, which divides
    the cache between sequential and random data, is the eviction policy `sarc`.

    Level: I0/I1, with feedback. Cost: O(1) an access or eviction. Source: Gill and Modha, USENIX ATC 2005, section II.
    """

    name = "sarc"
    level = Level.I0
    source = "Gill and Modha, USENIX ATC 2005"
    parameters = {"threshold": 2, "degree": 8, "trigger": 4}
    least = {"threshold": 1, "degree": 1, "trigger": 0}
    feedback = True

    threshold: int
    degree: int
    trigger: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if self.trigger >= self.degree:
            raise PagedKVError(f"sarc: trigger {self.trigger} is not inside a group of {self.degree} blocks (degree)")
        self._counter: dict[Address, int] = {}
        self._next_group: dict[Address, int] = {}
        """Where the group begins that the use of a trigger block fetches."""

    def propose(self, view: View) -> list[Fetch]:
        for address in zip(view.evicted.stream.tolist(), view.evicted.index.tolist(), strict=True):
            self._counter.pop(address, None)
        return super().propose(view)

    def access(self, stream: int, index: int, kind: int) -> list[Fetch]:
        count = min(self.threshold, 1 + self._counter.get((stream, index - 1), 0))
        self._counter[stream, index] = count
        following = self._next_group.pop((stream, index), None)
        if kind == FAULT:
            return self._group(stream, index + 1) if count == self.threshold else []
        return [] if following is None else self._group(stream, following)

    def _group(self, stream: int, first: int) -> list[Fetch]:
        end = first + self.degree
        self._next_group[stream, max(first, end - 1 - self.trigger)] = end
        return [Fetch(stream, first, self.degree)]
