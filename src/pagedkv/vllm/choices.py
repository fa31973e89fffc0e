"""What vLLM's own choices cost: the same requests under other settings of it, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from pagedkv.device.calibration import Calibration
from pagedkv.engine.settings import EngineSettings
from pagedkv.files import sha256_of
from pagedkv.geometry import Geometry
from pagedkv.metric.aggregate import write_rows
from pagedkv.metric.experience import experienced
from pagedkv.recorded import commit, write_provenance
from pagedkv.vllm.record import record_vllm
from pagedkv.vllm.settings import VllmSettings
from pagedkv.workload.table import RequestTable

DEFAULT = "offload"
"""The choice with which the others are compared: vLLM's own defaults with a CPU tier, scheduling synchronously."""
CHOICES: Mapping[str, VllmSettings] = {
    DEFAULT: VllmSettings(offload="lru"),
    "no offload": VllmSettings(),
    "outputs too": VllmSettings(offload="lru", offload_prompt_only=False),
    "store on second look-up": VllmSettings(offload="lru", store_threshold=2),
    "ARC": VllmSettings(offload="arc"),
    "asynchronous": VllmSettings(offload="lru", async_scheduling=True),
    "asynchronous, no offload": VllmSettings(async_scheduling=True),
}
FILE = "choices.parquet"


def choice_rows(
    table: RequestTable,
    scenario: str,
    engine: EngineSettings,
    geometry: Geometry,
    calibration: Calibration,
    seed: int,
    progress: Callable[[str], None] = lambda choice: None,
) -> list[dict[str, Any]]:
    """A row for each choice. Every read is verified meanwhile, and wrong ones are counted."""
    rows = []
    for choice, settings in CHOICES.items():
        progress(choice)
        trace = record_vllm(table, scenario, engine, geometry, calibration, seed, settings, tolerated=True)
        about = {"scenario": scenario, "choice": choice, "settings": json.dumps(asdict(settings), sort_keys=True)}
        wrong = trace.header["wrong_reads"]
        checked = {"verified_reads_blocks": trace.header["verified_reads_blocks"]}
        checked |= {"wrong_reads_blocks": wrong["blocks"], "first_wrong_read": wrong["first"]}
        rows.append({**about, "version": trace.header["vllm"]["version"], **experienced(trace), **checked})
    return rows


def write_choices(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write the rows into `folder` with a provenance.json that vouches for them."""
    write_rows(pd.DataFrame(rows), folder / FILE)
    write_provenance(
        folder,
        {
            "what": "vLLM's scheduler on a CPU, under several settings of it; steps and copies take calibrated time",
            "made_at": commit(),
            "vllm": sorted({row["version"] for row in rows}),
            "files": {FILE: sha256_of(folder / FILE)},
        },
    )
    return folder / FILE
