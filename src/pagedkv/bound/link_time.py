"""How long the link can work while the engine does not stall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.engine.script import Script


@dataclass(frozen=True)
class LinkTime:
    """Compute and idle time from the cut to the start, and to the end, of the compute of each step, without stall.

    Both are 0 for the steps before the cut. Idle time belongs in front of its step; the link works through it as it
    does through compute. `due_s`: until then, what a step reads has to arrive: the start of its compute, or under
    D-layer, with `layers` layers of equal time, the start of its last layer.
    """

    start_s: np.ndarray
    end_s: np.ndarray
    layers: int = 1

    @property
    def due_s(self) -> np.ndarray:
        return self.start_s + (self.layers - 1) / self.layers * (self.end_s - self.start_s)


def link_time(script: Script, warmup_steps: int = 0, layers: int = 1) -> LinkTime:
    """`script`'s times, counted from the boundary before step `warmup_steps`."""
    measured = np.arange(script.steps) >= warmup_steps
    compute_s = np.where(measured, script.compute_s, 0.0)
    end_s = np.cumsum(compute_s + np.where(measured, script.idle_s, 0.0))
    return LinkTime(end_s - compute_s, end_s, layers)
