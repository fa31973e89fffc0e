"""Virtual clock, two links, calibrated compute."""

from __future__ import annotations

from pagedkv.device.base import Device
from pagedkv.device.calibration import Calibration, step_compute_s
from pagedkv.device.link import Link
from pagedkv.geometry import Geometry


class SimulatedDevice(Device):
    """Advances a clock instead of waiting. Nothing here reads the wall clock, so equal inputs give equal runs.

    `link_scale` multiplies the speed of both links in every term of their cost.
    """

    origin = "simulated"

    def __init__(self, calibration: Calibration, geometry: Geometry, link_scale: float = 1.0) -> None:
        self.calibration = calibration
        self.geometry = geometry
        self.now_s = 0.0
        self.h2d = Link(calibration.host_to_device.scaled(link_scale), calibration.contention)
        self.d2h = Link(calibration.device_to_host.scaled(link_scale), calibration.contention)
        self.h2d.opposite, self.d2h.opposite = self.d2h, self.h2d
        self.block_load_s = self.h2d.cost.each_s(geometry.block_bytes)
        """Time that one more block adds to a load: the tau of the bounds."""

    def compute_s(self, tokens: int, context_tokens: float, attention_pairs: float = 0.0) -> float:
        return step_compute_s(self.calibration.compute, self.geometry, tokens, context_tokens, attention_pairs)
