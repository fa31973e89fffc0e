"""Which machine, driver, versions and sources measured something: the provenance of everything recorded."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pagedkv


def facts(where: str) -> dict[str, Any]:
    """Provenance of a measurement that this process makes on `where` (cuda or cpu), as JSON.

    A machine with a GPU may be given a copy of the sources without their newest commits: `commit` is what git says of
    the current folder, with -dirty where tracked files differ from it, and `source_sha256` is what really ran.
    """
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if where == "cuda" else platform.processor() or platform.machine(),
        "where": where,
        "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _output("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
        "source_sha256": source_sha256(Path(pagedkv.__file__).parent),
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


def source_sha256(package: Path) -> str:
    """SHA-256 over the names and bytes of a package's Python files, in order of their paths."""
    total = hashlib.sha256()
    for name in sorted(path.relative_to(package).as_posix() for path in package.rglob("*.py")):
        code = (package / name).read_bytes()
        total.update(f"{name}\0{len(code)}\0".encode() + code)
    return total.hexdigest()


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
