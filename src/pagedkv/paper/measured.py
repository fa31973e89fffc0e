"""A folder of measurements and what was fitted to them, as figures read it: `raw.json` and `calibration.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pagedkv.device.calibration import Calibration, read_calibration
from pagedkv.device.raw import Raw, read_raw


@dataclass(frozen=True)
class Measured:
    raw: Raw
    calibration: Calibration


def read(folder: str | Path) -> Measured:
    """Read both files. Raises PagedKVError that names the one that is missing or wrong."""
    folder = Path(folder)
    return Measured(read_raw(folder / "raw.json"), read_calibration(folder / "calibration.json"))
