"""Synthetic top-k attention: the positive control, on which the schedule does not tell the pages.

A request reads `selected` of its `blocks` blocks a step; each stays selected with probability `kept`, and the others
are drawn anew by how popular a block is (popularity falls as 1 / rank, ranks drawn once a request). ShadowKV reports
that neighbouring steps select about 60 % of the same chunks (ByteDance-Seed/ShadowKV, issue 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TopK:
    """`requests` requests of `blocks` blocks, which all run for `steps` steps."""

    requests: int = 8
    blocks: int = 128
    selected: int = 16
    steps: int = 48
    kept: float = 0.6
    seed: int = 1

    def selections(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(selected, selected in the step before), boolean arrays of `blocks`, by request and step; the first step of a
        request follows a step that selected nothing."""
        for request in range(self.requests):
            rng = np.random.Generator(np.random.PCG64([self.seed, request]))
            popularity = 1.0 / (1.0 + rng.permutation(self.blocks))
            before = np.zeros(self.blocks, bool)
            for _ in range(self.steps):
                now = before & (rng.random(self.blocks) < self.kept)
                wanted = self.selected - int(now.sum())
                chance = np.where(now, 0.0, popularity)
                now[rng.choice(self.blocks, wanted, replace=False, p=chance / chance.sum())] = True
                yield now, before
                before = now
