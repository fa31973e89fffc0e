"""What deciding costs: measured by `benchmarks/decisions.py`, charged here as a constant (design, section 10).

Wall time never enters a run. A decision is charged as if the engine waited for it, which is the worst case: on a GPU
the policy is asked while the step computes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from pagedkv.errors import PagedKVError

KEY = ["scenario", "prefetch", "address", "params"]
COLUMNS = ["decision_us", "decision_us_per_step", "decision_s", "stall_removed_charged"]
MEASURED = ("us_per_call", "us_per_step", "times_none")


def read_costs(path: str | Path | None) -> pd.DataFrame:
    """Rows of the benchmark: `KEY` and `MEASURED`; none without a file. Raises PagedKVError naming file and cause."""
    if path is None:
        return pd.DataFrame({name: [] for name in [*KEY, *MEASURED]}).astype(dict.fromkeys(MEASURED, float))
    try:
        rows = pd.DataFrame(json.loads(Path(path).read_text())["rows"])
        return rows[[*KEY, *MEASURED]]
    except OSError as error:
        raise PagedKVError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError) as error:
        raise PagedKVError(f"{path}: not what benchmarks/decisions.py writes: {error}") from error


def charged(runs: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """`runs` with `decision_us` (of a call), `decision_us_per_step`, `decision_s` (all calls) and
    `stall_removed_charged`; NaN where the benchmark has no such policy with these parameters on this scenario."""
    known = costs[[*KEY, "us_per_call"]].rename(columns={"us_per_call": "decision_us"})
    rows = runs.drop(columns=COLUMNS, errors="ignore").merge(known, on=KEY, how="left")
    free = rows["prefetch"] == "none"
    rows.loc[free, "decision_us"] = 0.0
    rows["decision_s"] = rows["decision_calls"] * rows["decision_us"] * 1e-6
    rows["decision_us_per_step"] = rows["decision_calls"] * rows["decision_us"] / rows["steps"]
    removed = 1.0 - (rows["stall_s"] + rows["decision_s"]) / rows["stall_none_s"]
    rows["stall_removed_charged"] = np.where(rows["stall_none_s"] > 0, removed, np.nan)
    return rows
