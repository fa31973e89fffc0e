"""Which machine, driver and versions measured something: the provenance of everything recorded."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

import pagedkv


def facts(where: str) -> dict[str, Any]:
    """Provenance of a measurement that this process makes on `where` (cuda or cpu), as JSON."""
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if where == "cuda" else platform.processor() or platform.machine(),
        "where": where,
        "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _output("git", "rev-parse", "HEAD"),
        "versions": {
            "pagedkv": pagedkv.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
    }
    if where == "cuda":
        found["driver"] = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        found["versions"] |= {"cuda": torch.version.cuda, "triton": _triton()}
    return found


def _triton() -> str:
    import triton

    return triton.__version__


def _output(*command: str) -> str:
    """First line of what a command prints; empty where it cannot be asked."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().partition("\n")[0]
