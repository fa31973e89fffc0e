"""Which CUDA device this machine has, asked without importing torch: the workflow asks before anything runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec

QUERY = ("--query-gpu=memory.total", "--format=csv,noheader,nounits")


@cache
def gpu_memory_bytes() -> int:
    """Memory of the CUDA device that torch would use first; 0 where there is none, or no torch to drive it."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden in ("", "-1") or shutil.which("nvidia-smi") is None or find_spec("torch") is None:
        return 0
    try:
        answer = subprocess.run(["nvidia-smi", *QUERY], capture_output=True, text=True, timeout=60, check=True).stdout
        sizes = [int(line) * 2**20 for line in answer.split("\n") if line.strip()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0
    first = (hidden or "").split(",")[0].strip()
    # A device named by its UUID is not looked up: the machines that this is for have cards of one kind.
    place = int(first) if first.isdecimal() else 0
    return sizes[place] if place < len(sizes) else 0
