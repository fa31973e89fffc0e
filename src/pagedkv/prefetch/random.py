"""A control: random blocks."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register
from pagedkv.workload.rng import Stream


@register
class Random(PrefetchPolicy):
    """Fetch blocks drawn at random from the addresses seen so far: what prefetching costs and gains without a guess.

    At each call `blocks` addresses are drawn, independently and with equal chance, from those that faulted or were
    used for the first time after a prefetch. They replace what still waits of the last call. `blocks`: 4, need not be
    whole (2.5 are 2 and 3 in turn); a comparison sets it so that the bytes prefetched are those of the policy that it
    stands beside. `seed`: 0; equal seeds draw
    equal numbers, on every machine.

    Level: I0/I1. Cost: O(blocks) a call. Source: a control, design section 10.
    """

    name = "random"
    level = Level.I0
    source = "control"
    family = "control"
    replans = True
    parameters = {"blocks": 4, "seed": 0}
    least = {"seed": 0}
    at_least = {"blocks": 0.01}
    reach = "blocks"

    blocks: float
    seed: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._numbers = Stream(self.seed, "random prefetch")
        self._seen: set[tuple[int, int]] = set()
        self._drawable: list[tuple[int, int]] = []
        self._due = 0.0

    @property
    def label(self) -> str:
        """The name alone: how many blocks is the comparison's choice."""
        return self.name

    def propose(self, view: View) -> list[Fetch]:
        for address in zip(view.accesses.stream.tolist(), view.accesses.index.tolist(), strict=True):
            if address not in self._seen:
                self._seen.add(address)
                self._drawable.append(address)
        if not self._drawable:
            return []
        self._due += self.blocks
        count = int(self._due)
        self._due -= count
        return [Fetch(*self._drawable[self._numbers.bits() % len(self._drawable)]) for _ in range(count)]
