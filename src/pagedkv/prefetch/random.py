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
    used for the first time after a prefetch. They replace what still waits of the last call. `blocks`: 4; a comparison
    sets it so that the bytes prefetched are those of the policy that it stands beside. `seed`: 0; equal seeds draw
    equal numbers, on every machine.

    Level: I0/I1. Cost: O(blocks) a call. Source: a control, design section 10.
    """

    name = "random"
    level = Level.I0
    source = "control"
    family = "control"
    replans = True
    parameters = {"blocks": 4, "seed": 0}
    least = {"blocks": 1, "seed": 0}
    reach = "blocks"

    blocks: int
    seed: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._numbers = Stream(self.seed, "random prefetch")
        self._seen: set[tuple[int, int]] = set()
        self._drawable: list[tuple[int, int]] = []

    def propose(self, view: View) -> list[Fetch]:
        for address in zip(view.accesses.stream.tolist(), view.accesses.index.tolist(), strict=True):
            if address not in self._seen:
                self._seen.add(address)
                self._drawable.append(address)
        if not self._drawable:
            return []
        return [Fetch(*self._drawable[self._numbers.bits() % len(self._drawable)]) for _ in range(self.blocks)]
