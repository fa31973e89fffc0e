"""Signature path prefetching."""

from __future__ import annotations

from collections import OrderedDict

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT, View
from pagedkv.prefetch._runs import Ranges, runs
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register

SIGNATURE_MASK = (1 << 12) - 1
SIGN = 1 << 6
"""A negative delta enters the signature as its magnitude with this bit added."""
COUNT_MAX = 15
"""Largest 4-bit count of a pattern; above it, all counts of the signature are halved."""
WAYS = 4
"""Deltas kept for a signature."""
MEASURED_MAX = 1023
"""Largest 10-bit count of issued prefetches; above it, issued and used ones are halved."""


def signed(signature: int, delta: int) -> int:
    """The signature after one more delta."""
    return ((signature << 3) ^ (delta if delta >= 0 else SIGN - delta)) & SIGNATURE_MASK


class _Pattern:
    """How often each delta followed a signature."""

    def __init__(self) -> None:
        self.total = 0
        self.counts: dict[int, int] = {}

    def train(self, delta: int) -> None:
        if delta not in self.counts and len(self.counts) == WAYS:
            del self.counts[min(self.counts, key=self.counts.__getitem__)]
        self.counts[delta] = self.counts.get(delta, 0) + 1
        self.total += 1
        if self.total > COUNT_MAX:
            self.total //= 2
            self.counts = {known: count // 2 for known, count in self.counts.items()}


@register
class Spp(PrefetchPolicy):
    """Follow the most likely path of deltas while its confidence lasts.

    Each region (a stream) has a last index and a signature of its last deltas: sig = (sig << 3) xor delta, 12 bits.
    A pattern table counts which delta followed which signature: up to 4 deltas each, counts of 4 bits. From the
    newest access the path is walked: a delta has confidence P = alpha * count / total * P of the path so far, without
    alpha at the first one; every delta with P >= `confidence` is fetched, the most likely one is followed, and the
    walk ends where none passes or after `depth` deltas. alpha is the measured accuracy: used over issued prefetches,
    1 before any. A filter keeps the last `filter` proposed blocks from being proposed again before they are evicted.

    Not here: the fall-back to the next block when there is no candidate (public code has it, the paper has not), and
    the register that carries a path into the next region, because block 0 of a request does not continue another
    request. The pattern table holds every signature, so that none aliases with another.

    Level: I0/I1, with feedback on arrivals and evictions. Cost: O(depth) a run of accesses. State: `regions` and 4096
    times 4 patterns. Source: Kim et al., MICRO 2016.
    """

    name = "spp"
    level = Level.I0
    source = "Kim et al., MICRO 2016"
    parameters = {"confidence": 0.25, "depth": 32, "regions": 256, "filter": 1024}
    least = {"depth": 1, "regions": 1, "filter": 1}
    shares = ("confidence",)
    feedback = True
    reach = "depth"

    confidence: float
    depth: int
    regions: int
    filter: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._regions: OrderedDict[int, tuple[int, int]] = OrderedDict()
        """Stream -> last index, signature."""
        self._patterns: dict[int, _Pattern] = {}
        self._proposed: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._issued = self._used = 0

    def propose(self, view: View) -> list[Fetch]:
        self._measure(view)
        wanted = Ranges()
        for stream, first, count in runs(view.accesses):
            self._walk(wanted, stream, *self._train(stream, first, count))
        return wanted.fetches()

    def _measure(self, view: View) -> None:
        self._issued += int(view.arrived.prefetched.sum())
        self._used += int((view.accesses.kind != FAULT).sum())
        while self._issued > MEASURED_MAX:
            self._issued //= 2
            self._used //= 2
        for block in zip(view.evicted.stream.tolist(), view.evicted.index.tolist(), strict=True):
            self._proposed.pop(block, None)

    @property
    def _accuracy(self) -> float:
        return min(1.0, self._used / self._issued) if self._issued else 1.0

    def _train(self, stream: int, first: int, count: int) -> tuple[int, int]:
        """Enter the run; returns its last index and the signature there, 0 after the first access of a region."""
        last, signature = self._regions.pop(stream, (first, 0))
        for index in range(first, first + count):
            if index != last:
                pattern = self._patterns.get(signature)
                if pattern is None:
                    pattern = self._patterns[signature] = _Pattern()
                pattern.train(index - last)
                signature = signed(signature, index - last)
            last = index
        if len(self._regions) == self.regions:
            self._regions.popitem(last=False)
        self._regions[stream] = (last, signature)
        return last, signature

    def _walk(self, wanted: Ranges, stream: int, index: int, signature: int) -> None:
        confidence, accuracy = 1.0, 1.0
        for _ in range(self.depth):
            pattern = self._patterns.get(signature)
            if pattern is None:
                return
            confidence *= accuracy / pattern.total
            for delta, count in pattern.counts.items():
                if confidence * count >= self.confidence:
                    self._want(wanted, stream, index + delta)
            delta = max(pattern.counts, key=pattern.counts.__getitem__)
            confidence *= pattern.counts[delta]
            if confidence < self.confidence:
                return
            index, signature, accuracy = index + delta, signed(signature, delta), self._accuracy

    def _want(self, wanted: Ranges, stream: int, index: int) -> None:
        if index < 0 or (stream, index) in self._proposed:
            return
        if len(self._proposed) == self.filter:
            self._proposed.popitem(last=False)
        self._proposed[stream, index] = None
        wanted.add(stream, index)
