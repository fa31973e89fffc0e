"""Feedback-directed throttling of another prefetch policy."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT, LATE, View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch._runs import Ranges
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import PREFETCHERS, register

LEVELS = ((4, 1), (8, 1), (16, 2), (32, 4), (64, 4))
"""Distance and degree of levels 1 to 5."""
FIRST_LEVEL = 3
LATELY = 4096
"""Blocks that are remembered as accessed or proposed."""
ACCURATE, INACCURATE, OFTEN_LATE, POLLUTING = 0.75, 0.40, 0.01, 0.005


class Measured:
    """Counts of which each interval is worth twice the one before: issued and used prefetches, late ones among them,
    demand misses, and those on blocks that a prefetch had pushed out."""

    def __init__(self) -> None:
        self.now = dict.fromkeys(("issued", "used", "late", "misses", "polluted"), 0)
        self.past = dict.fromkeys(self.now, 0.0)

    def close(self) -> tuple[float, float, float]:
        """End the interval: accuracy, lateness, pollution."""
        self.past = {name: (self.past[name] + count) / 2 for name, count in self.now.items()}
        self.now = dict.fromkeys(self.now, 0)
        pairs = (("used", "issued"), ("late", "used"), ("polluted", "misses"))
        return tuple(self.past[part] / self.past[whole] if self.past[whole] else 0.0 for part, whole in pairs)


def change(accuracy: float, lateness: float, pollution: float) -> int:
    """+1: more aggressive, -1: less, 0: stay."""
    late, polluting = lateness > OFTEN_LATE, pollution > POLLUTING
    if accuracy >= ACCURATE:
        return 1 if late else -polluting
    if accuracy >= INACCURATE:
        return -1 if polluting else int(late)
    return -1 if late or polluting else 0


@register
class Fdp(PrefetchPolicy):
    """Runs the speculative policy `inner` and turns its aggressiveness by how accurate, late and polluting it is.

    Levels 1 to 5 are (distance, degree) = (4, 1), (8, 1), (16, 2), (32, 4), (64, 4); it starts at 3. Distance is how
    many blocks ahead of an access the inner policy fetches: the value of its parameter `reach` (see base.py), given to
    it at each change. Degree is how many new blocks an access may add: of an answer, those are kept that were accessed
    or proposed lately, and degree * accesses others. A policy without such a parameter is held by the degree alone.

    After each `interval` evictions: accuracy = used / issued, lateness = late / used, pollution = misses on blocks that
    a prefetch pushed out / misses, from counts that halve an interval. Accurate (0.75): up if late (0.01), else down if
    polluting (0.005). Medium (0.40): down if polluting, else up if late. Inaccurate: down if late or polluting. The
    paper's interval is half its cache, 8192 evictions; 512 suits pools of 1000 blocks and more. Misses on pushed-out
    blocks are told exactly, where the paper has a Bloom filter.

    `inner`: name, `inner_params`: its parameters. Level: the inner one's, with feedback. Cost: the inner one's, plus
    O(1) an access and a proposed block. State: recently seen and pushed-out blocks. Source: Srinath, Mutlu, Kim and
    Patt, HPCA 2007.
    """

    name = "fdp"
    level = Level.I0
    source = "Srinath, Mutlu, Kim and Patt, HPCA 2007"
    parameters = {"inner": "next_n", "inner_params": {}, "interval": 512}
    least = {"interval": 1}
    feedback = True

    inner: str
    inner_params: Mapping[str, object]
    interval: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if not isinstance(self.inner_params, Mapping):
            raise PagedKVError(f"fdp: inner_params maps parameters to values, not {self.inner_params!r}")
        if self.inner == self.name or PREFETCHERS.get(self.inner).family != "speculative":
            raise PagedKVError(f"fdp: inner is a speculative policy other than fdp, not '{self.inner}'")
        self._inner: PrefetchPolicy = PREFETCHERS.get(self.inner)(**self.inner_params)
        if not self._inner.spatial:
            raise PagedKVError(f"fdp: inner works on addresses; {self._inner.label} names requests")
        self._label = f"fdp({self._inner.label})"
        self.level, self.replans = self._inner.level, self._inner.replans
        self._measured = Measured()
        self._evictions = 0
        self._pushed_out: set[tuple[int, int]] = set()
        self._known: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._set(FIRST_LEVEL)

    @property
    def label(self) -> str:
        return self._label

    def propose(self, view: View) -> list[Fetch]:
        self._measure(view)
        if self._evictions >= self.interval:
            self._evictions = 0
            self._set(self._aggressiveness + change(*self._measured.close()))
        for block in _blocks(view.accesses, slice(None)):
            self._remember(block)
        return self._limited(self._inner.propose(view), self._degree * len(view.accesses))

    def wake_step(self, view: View) -> int | None:
        return self._inner.wake_step(view)

    def _set(self, level: int) -> None:
        self._aggressiveness = min(max(level, 1), len(LEVELS))
        distance, self._degree = LEVELS[self._aggressiveness - 1]
        if self._inner.reach in self._inner.parameters:
            setattr(self._inner, self._inner.reach, distance)

    def _measure(self, view: View) -> None:
        accesses, arrived, evicted = view.accesses, view.arrived, view.evicted
        now, kind = self._measured.now, accesses.kind
        now["issued"] += int(arrived.prefetched.sum())
        now["used"] += int((kind != FAULT).sum())
        now["late"] += int((kind == LATE).sum())
        self._evictions += len(evicted.stream)
        # Evictions of before this step's faults come first: these may be on what they pushed out.
        self._pushed_out.difference_update(_blocks(arrived, slice(None)))
        self._pushed_out.difference_update(_blocks(evicted, ~evicted.by_prefetch))
        self._pushed_out.update(_blocks(evicted, evicted.by_prefetch))
        missed = _blocks(accesses, kind == FAULT)
        now["misses"] += len(missed)
        now["polluted"] += sum(block in self._pushed_out for block in missed)
        self._pushed_out.difference_update(missed)

    def _limited(self, fetches: list[Fetch], most: int) -> list[Fetch]:
        """The same blocks in the same order, at most `most` of them new."""
        asked, kept = Ranges(), Ranges()
        for fetch in fetches:
            asked.add(fetch.stream, fetch.first, fetch.count)
        for fetch in asked.fetches():
            for index in range(fetch.first, fetch.first + fetch.count):
                block = (fetch.stream, index)
                if block not in self._known:
                    if most == 0:
                        continue
                    most -= 1
                    self._remember(block)
                kept.add(*block)
        return kept.fetches()

    def _remember(self, block: tuple[int, int]) -> None:
        self._known.pop(block, None)
        self._known[block] = None
        if len(self._known) > LATELY:
            self._known.popitem(last=False)


def _blocks(named: Any, which: np.ndarray | slice) -> list[tuple[int, int]]:
    """(stream, index) of some of the accesses, arrivals or evictions."""
    return list(zip(named.stream[which].tolist(), named.index[which].tolist(), strict=True))
