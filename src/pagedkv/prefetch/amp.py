"""Adaptive multi-stream prefetching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT, LATE, View
from pagedkv.prefetch._on_access import OnAccess
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.registry import register

Address = tuple[int, int]

_NONE = np.empty(0, object)


@dataclass
class _Sequence:
    """A run of consecutive addresses: how many blocks it fetches at a time, and how early."""

    degree: int
    distance: int = 0
    asynchronous: bool = False


@dataclass(frozen=True)
class _Group:
    """Blocks [first, last] that were fetched together. The use of `trigger` fetches the next group."""

    sequence: _Sequence
    first: int
    last: int
    trigger: int | None


@register
class Amp(OnAccess):
    """Groups of p blocks for each sequential run, fetched g blocks before the last one ends; both adapt.

    A fault at x whose predecessor x - 1 was read and has not left the GPU since continues its run: the p blocks behind
    x are fetched, and p grows by `request`. A run starts with p = `request`, g = 0. A group of more than
    `asynchronous_above` blocks has a trigger, g blocks before its last, whose first use fetches the next group; for the
    first such group of a run, g is half of `asynchronous_above`. A group is fetched with p = max(p, g + 1).

    p grows by `request`, up to `degree_max`, when the last block of a group is used: more would have been. When a block
    is evicted unused, p shrinks by one, and g to min(p - 1, g - 1), not below 1 and 0: p blocks are more than survive.
    When the first block of a group is still in flight when it is needed, g grows by one, if it is below p.

    `request`: 1 block. `asynchronous_above`: 4. `degree_max`: 256. As in the paper the state of a run lives as long as
    its blocks. Left out: the second chance of a block that reaches the end of the eviction order unused; there the
    eviction policy decides alone, and p adapts at the eviction.

    Level: I0/I1, with feedback. Cost: O(1) an access or eviction. Source: Gill and Bathen, FAST 2007; policies.md 3.7.
    """

    name = "amp"
    level = Level.I0
    source = "Gill and Bathen, FAST 2007"
    parameters = {"request": 1, "asynchronous_above": 4, "degree_max": 256}
    least = {"request": 1, "asynchronous_above": 0, "degree_max": 1}
    reach = "degree_max"
    feedback = True

    request: int
    asynchronous_above: int
    degree_max: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._unused: dict[int, np.ndarray] = {}
        """Of each stream, the group by which a block was last fetched; None where it was used or left since."""
        self._continues: dict[Address, _Sequence] = {}
        """Address behind the last block read of each run."""

    def propose(self, view: View) -> list[Fetch]:
        left = view.evicted
        for stream, index, unused in zip(left.stream.tolist(), left.index.tolist(), left.unused.tolist(), strict=True):
            self._left(stream, index, unused)
        return super().propose(view)

    def access(self, stream: int, index: int, kind: int) -> list[Fetch]:
        group = self._taken(stream, index)
        sequence = self._continues.pop((stream, index), None)
        if kind == FAULT:
            return self._fault(sequence, stream, index)
        if group is None:
            return []
        return self._use(group, stream, index, kind)

    def _fault(self, sequence: _Sequence | None, stream: int, index: int) -> list[Fetch]:
        if sequence is None:
            self._continues[stream, index + 1] = _Sequence(self._capped(self.request))
            return []
        self._continues[stream, index + 1] = sequence
        fetches = self._fetch(sequence, stream, index + 1)
        sequence.degree = self._capped(sequence.degree + self.request)
        return fetches

    def _use(self, group: _Group, stream: int, index: int, kind: int) -> list[Fetch]:
        """A block of a group is used for the first time."""
        sequence = group.sequence
        self._continues[stream, index + 1] = sequence
        if kind == LATE and index == group.first and sequence.distance < sequence.degree:
            sequence.distance += 1
        fetches = self._fetch(sequence, stream, group.last + 1) if index == group.trigger else []
        if index == group.last:
            sequence.degree = self._capped(sequence.degree + self.request)
        return fetches

    def _fetch(self, sequence: _Sequence, stream: int, first: int) -> list[Fetch]:
        """The next group of a run, from `first` on."""
        count = sequence.degree = self._capped(max(sequence.degree, sequence.distance + 1))
        last, trigger = first + count - 1, None
        if count > self.asynchronous_above:
            if not sequence.asynchronous:
                sequence.distance = max(sequence.distance, self.asynchronous_above // 2)
            trigger = last - min(sequence.distance, count - 1)
        sequence.asynchronous = trigger is not None
        group = _Group(sequence, first, last, trigger)
        self._unused[stream] = column = fitted(self._unused.get(stream, _NONE), last, None)
        column[first : last + 1] = group
        return [Fetch(stream, first, count)]

    def _taken(self, stream: int, index: int) -> _Group | None:
        """The group of a block, which from now on has none."""
        column = self._unused.get(stream, _NONE)
        if index >= len(column):
            return None
        group, column[index] = column[index], None
        return group

    def _left(self, stream: int, index: int, unused: bool) -> None:
        """A block left the GPU."""
        self._continues.pop((stream, index + 1), None)
        group = self._taken(stream, index)
        if group is not None and unused:
            sequence = group.sequence
            sequence.degree = max(1, sequence.degree - 1)
            sequence.distance = max(0, min(sequence.degree - 1, sequence.distance - 1))

    def _capped(self, degree: int) -> int:
        return min(degree, self.degree_max)
