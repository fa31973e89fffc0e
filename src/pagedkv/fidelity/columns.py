"""Columns of the table of fidelity, apart from what fills them: the report reads them without running anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

QUANTITIES = (
    "step_s",
    "tpot_mean_s",
    "tpot_p50_s",
    "tpot_p99_s",
    "ttft_mean_s",
    "ttft_p99_s",
    "end_to_end_mean_s",
    "elapsed_s",
    "stall_s",
    "h2d_bytes",
    "d2h_bytes",
)
"""What is compared of a closed loop, in columns QUANTITY_measured, QUANTITY_simulated and QUANTITY_error (the relative
error, simulated / measured - 1)."""

TERMS = {
    "term_steps": "cost of a step",
    "term_batches": "other batches",
    "term_stall": "stall",
    "term_idle": "idle time",
}
"""Contributions to the error of the elapsed time (`freerun.py`), as the report calls them."""

SIDES = ("measured", "simulated")

WORDS = [
    *("kind", "scenario", "prefetch", "family", "params", "address", "label", "eviction", "demand", "level", "machine"),
    *("ablation", "missed", "first_difference", "by", "unlike", "mode", "bar", "title", "verdict", "cause"),
]
NUMBERS = [
    *(f"{name}_{what}" for name in QUANTITIES for what in (*SIDES, "error")),
    *("steps_measured", "steps_simulated", "schedule_distance", "step_mape", "step_p99", "step_bias"),
    *("step_prompt_share", *TERMS, "decisions_exact", "bytes_exact", "matters", "breaks"),
    *("bytes_off", "step_off", "tpot_off", "end_to_end_off", "ttft_off", "worst", "host_us_p50", "host_us_p99"),
    *(f"stall_none_s_{side}" for side in SIDES),
    *(f"stall_removed_{side}{end}" for side in SIDES for end in ("", "_lo", "_hi")),
    *("stall_removed_error", "tau", "pairs", "notable_pairs", "agreeing_pairs", "requests", "identical"),
    *("identical_share", "tokens_identical", "logits_identical", "verified_blocks", "wrong_blocks", "elapsed_s"),
    *("slowdown", "limit", "value"),
]


def frame(rows: Iterable[Mapping[str, Any]] = ()) -> pd.DataFrame:
    """Rows with every column of the table; what a row has not is empty or NaN."""
    made = pd.DataFrame(list(rows), columns=[*WORDS, *NUMBERS])
    words = made[WORDS].astype(object)
    made[WORDS] = words.where(words.notna(), "").astype(str)
    return made.astype(dict.fromkeys(NUMBERS, float)).assign(recorded=False)
