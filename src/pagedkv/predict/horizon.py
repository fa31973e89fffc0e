"""The determinism horizon: how far ahead the scheduler's plan names what really enters the batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch.base import Fetch, PrefetchPolicy

HORIZONS = (1, 2, 4, 8, 16, 32, 64)


@dataclass
class Hits:
    """Blocks over all boundaries asked: planned within the horizon, entered within it, and both."""

    planned: int = 0
    entered: int = 0
    both: int = 0

    @property
    def recall(self) -> float:
        """Share of what entered that the plan had named."""
        return self.both / self.entered if self.entered else float("nan")

    @property
    def precision(self) -> float:
        """Share of what the plan named that entered."""
        return self.both / self.planned if self.planned else float("nan")


@dataclass
class HorizonProbe(PrefetchPolicy):
    """No policy: asks the plan at every `every`-th boundary what the next k steps will read, and compares with what
    they do read. It is not registered, fetches nothing, and so leaves the run as `none` has it.

    `plan`: `stay` or `len_pred`, the plans of I4. A planned request counts with its blocks as they stand; a request
    that runs already is no news and is in neither set. Level: I6, as it sees the truth. Cost: one plan and one look
    ahead a boundary.
    """

    plan: str = "stay"
    every: int = 4
    hits: dict[int, Hits] = field(default_factory=lambda: {k: Hits() for k in HORIZONS})
    name = "horizon_probe"
    level = Level.I6
    spatial = False
    family = "none"

    def propose(self, view: View) -> list[Fetch]:
        longest = max(HORIZONS)
        plan = view.plan if self.plan == "stay" else view.predicted_plan
        planned = [(entry.step - view.step, entry.request, entry.blocks) for entry in plan(longest)]
        true = [(entry.step - view.step, entry.request, entry.blocks) for entry in view.true_plan(longest)]
        for k, hits in self.hits.items():
            named = {request: blocks for ahead, request, blocks in planned if ahead <= k}
            came = {request: blocks for ahead, request, blocks in true if ahead <= k}
            hits.planned += sum(named.values())
            hits.entered += sum(came.values())
            hits.both += sum(blocks for request, blocks in came.items() if request in named)
        return []

    def wake_step(self, view: View) -> int | None:
        return view.step + self.every


def jaccard(working: np.ndarray, joined: np.ndarray) -> float:
    """Mean similarity of the page sets of consecutive steps, |both| / |either|.

    `working[t]`: pages of step t; `joined[t]`: those of them that step t - 1 did not use.
    """
    before, after, new = working[:-1], working[1:], joined[1:]
    either = before + new
    known = either > 0
    return float(((after - new)[known] / either[known]).mean()) if known.any() else float("nan")
