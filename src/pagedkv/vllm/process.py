"""The process in which vLLM runs."""

from __future__ import annotations

import os
import sys

HASH_SEED = "0"


def hash_seed_fixed() -> None:
    """Begin this process anew if Python's string hashes differ from run to run: vLLM walks sets of request names."""
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "pagedkv", *sys.argv[1:]])
