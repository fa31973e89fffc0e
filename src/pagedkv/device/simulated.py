"""Virtual clock, two links, calibrated compute."""

from __future__ import annotations

from pagedkv.device.base import Device, Step
from pagedkv.device.calibration import Calibration, step_compute_s
from pagedkv.device.link import Link
from pagedkv.geometry import Geometry


class SimulatedDevice(Device):
    """Advances a clock instead of waiting. Nothing here reads the wall clock, so equal inputs give equal runs.

    `link_scale` multiplies the speed of both links in every term of their cost.

    Copies and steps get in each other's way as was measured. A step that only decodes takes longer while loads arrive
    beside it, as both want the GPU's memory; steps with prompts and stores show no such effect. And the host launches a
    step while it waits for its loads, which hides a part of either.
    """

    origin = "simulated"
    link = Link
    """How its two directions behave."""

    def __init__(self, calibration: Calibration, geometry: Geometry, link_scale: float = 1.0) -> None:
        self.calibration = calibration
        self.geometry = geometry
        self.now_s = 0.0
        self.h2d = self.link(calibration.host_to_device.scaled(link_scale), calibration.contention)
        self.d2h = self.link(calibration.device_to_host.scaled(link_scale), calibration.contention)
        self.h2d.opposite, self.d2h.opposite = self.d2h, self.h2d
        self.block_load_s = self.h2d.cost.each_s(geometry.block_bytes)
        """Time that one more block adds to a load: the tau of the bounds."""
        self._decodes = False
        """The step launched last only decodes."""
        self._loaded_s: float | None = None
        """How long loads had been under way when it was launched; None when it is over."""

    def compute_s(self, tokens: int, context_tokens: float, attention_pairs: float = 0.0) -> float:
        return step_compute_s(self.calibration.compute, self.geometry, tokens, context_tokens, attention_pairs)

    def waited_s(self, step: Step, stall_s: float, compute_s: float) -> float:
        return compute_s - self.calibration.compute.hidden_s(self.geometry, stall_s, *step.work)

    def launch(self, step: Step) -> None:
        self._decodes, self._loaded_s = step.work[2] == 0, self.h2d.busy_by(self.now_s)

    def finish_step(self, start_s: float, stall_s: float, compute_s: float) -> tuple[float, float]:
        loaded_s, self._loaded_s = self._loaded_s, None
        if loaded_s is None:
            return stall_s, compute_s
        if self._decodes:
            return stall_s, compute_s + self.calibration.slowed_s(self.h2d.busy_by(self.now_s) - loaded_s)
        # As a real device counts: it stalls once there is nothing left to launch.
        launching_s = min(stall_s, self.calibration.compute.launching_s)
        return stall_s - launching_s, compute_s + launching_s
