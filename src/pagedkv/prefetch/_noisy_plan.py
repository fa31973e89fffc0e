"""A true plan with wrong members in it."""

from __future__ import annotations

from dataclasses import replace

from pagedkv.engine.view import Planned
from pagedkv.workload.rng import Stream


class NoisyPlan:
    """Each member of a plan is wrong with probability `p`: another request of the plan stands in its place.

    The draw is keyed by (seed, step, request), so that it does not depend on when and how often the plan is asked
    for: an entry that is wrong stays wrong, with the same stand-in, until its step. A wrong entry is left out where no
    other request is planned, and while its stand-in is not.
    """

    def __init__(self, p: float, seed: int) -> None:
        self.p = p
        self.seed = seed
        self._members: dict[tuple[int, int], int | None] = {}
        """(step, request) -> the request that the noisy plan names there; only of the plan seen last."""

    def corrupt(self, plan: list[Planned]) -> list[Planned]:
        """`plan` as a planner sees it that is wrong about a share `p` of its members. Cost: O(entries)."""
        blocks = {entry.request: entry.blocks for entry in plan}
        before, self._members = self._members, {}
        noisy = []
        for entry in plan:
            key = (int(entry.step), int(entry.request))
            member = before[key] if key in before else self._member(key, list(blocks))
            self._members[key] = member
            if member in blocks:
                noisy.append(replace(entry, request=member, blocks=blocks[member]))
        return noisy

    def _member(self, key: tuple[int, int], planned: list[int]) -> int | None:
        draws = Stream(self.seed, "noisy plan", *key)
        if draws.uniform() >= self.p:
            return key[1]
        others = [request for request in planned if request != key[1]]
        return others[draws.bits() % len(others)] if others else None
