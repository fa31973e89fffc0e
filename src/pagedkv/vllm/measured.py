"""What a GPU measured of vLLM, and of our engine on the same requests: a row a recorded trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from pagedkv import trace as traces
from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of
from pagedkv.metric.aggregate import write_rows
from pagedkv.metric.experience import experienced
from pagedkv.recorded import commit, write_provenance
from pagedkv.vllm.choices import CHOICES
from pagedkv.vllm.settings import VllmSettings

FILE = "measured.parquet"
OURS = "ours"
PREFIX = "vllm_"
"""A scenario of this name is of vLLM, on the requests of the scenario without it."""


def measured_row(path: Path) -> dict[str, Any]:
    """Of a trace that a GPU made: columns as those of `choices.choice_rows`, without what only a shadow knows, and
    `observing_s`, the part of its time that watching cost. Our engine's is under the name of vLLM's scenario.

    Raises PagedKVError for a trace that was not made on a GPU.
    """
    trace = traces.read(path)
    header = trace.header
    if header["origin"] not in ("cuda", "vllm-cuda"):
        raise PagedKVError(f"{path}: a trace of origin '{header['origin']}'; only what a GPU measured belongs here")
    of_vllm = "vllm" in header
    settings = VllmSettings(**header["vllm"]["settings"]) if of_vllm else None
    return {
        "scenario": header["scenario"] if of_vllm else PREFIX + header["scenario"],
        "choice": OURS if settings is None else _choice(settings),
        "settings": json.dumps({} if settings is None else asdict(settings), sort_keys=True),
        "version": header["vllm"]["version"] if of_vllm else header["versions"]["pagedkv"],
        "observing_s": float(header.get("observing_s", 0.0)),
        **experienced(trace),
    }


def _choice(settings: VllmSettings) -> str:
    """The name of these settings, if they are among those that are compared."""
    return next((name for name, choice in CHOICES.items() if choice == settings), "other settings")


def write_measured(folder: Path, paths: Sequence[Path]) -> Path:
    """Write a row for each trace into `folder`, with a provenance.json that vouches for them and for traces there."""
    rows = sorted(map(measured_row, paths), key=lambda row: (row["scenario"], row["choice"]))
    write_rows(pd.DataFrame(rows), folder / FILE)
    kept = {path.name: sha256_of(path) for path in folder.glob("*.kvtrace")}
    provenance = {
        "what": "vLLM whole on a GPU and our engine there on the same requests; read from the traces named",
        "made_at": commit(),
        "traces": {str(path): sha256_of(path) for path in paths},
        "files": {FILE: sha256_of(folder / FILE)} | kept,
    }
    write_provenance(folder, provenance)
    return folder / FILE
