"""Runs that only watch: `none` under LRU, with somebody in it who writes down what a policy would see."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.metric.cases import Case
from pagedkv.predict.streams import Pages
from pagedkv.prefetch.base import Fetch, PrefetchPolicy


class FaultProbe(PrefetchPolicy):
    """No policy: collects the faults under the run's addressing. Not registered. Level: I0/I1. Cost: O(1) a call."""

    name = "fault_probe"
    level = Level.I0
    family = "none"

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[tuple[np.ndarray, np.ndarray]] = []

    def propose(self, view: View) -> list[Fetch]:
        faults = view.accesses.faults()
        self._seen.append((faults.stream, faults.index))
        return []

    @property
    def pages(self) -> Pages:
        """All faults so far."""
        nothing = np.zeros(0, np.int64)
        columns = zip((nothing, nothing), *self._seen, strict=True)
        return Pages(*(np.concatenate(column).astype(np.int64) for column in columns))


@dataclass(frozen=True)
class ProbeCase(Case):
    """The run of `none` under LRU with a probe in it."""

    probe: PrefetchPolicy = field(default_factory=FaultProbe)

    def policy(self) -> PrefetchPolicy:
        return self.probe
