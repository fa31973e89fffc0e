"""Puts aggregated results under recorded/, with provenance and checksums."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import pandas as pd

import pagedkv
from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of
from pagedkv.metric.aggregate import read_rows, write_rows
from pagedkv.recorded import commit, write_provenance


def ship(runs: str | Path, serve: str | Path, scenarios: list[str], out: str | Path, command: str) -> None:
    """Copy the rows of `scenarios` that were run now from aggregated files to `out`, and write provenance.json.

    `command` is what made the inputs. Raises PagedKVError if a scenario has no fresh row.
    """
    out = Path(out)
    chosen = {name: _fresh(read_rows(path), scenarios, path) for name, path in (("runs", runs), ("serve", serve))}
    out.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, rows in chosen.items():
        target = out / f"{name}.parquet"
        write_rows(rows, target)
        files[target.name] = sha256_of(target)
    provenance = {
        "what": "aggregated results of runs on public traces, which this repository does not contain",
        "command": command,
        "scenarios": scenarios,
        "origin": "simulated device",
        **commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {
            "pagedkv": pagedkv.__version__,
            **{p: metadata.version(p) for p in ("numpy", "pandas", "pyarrow")},
        },
        "files": files,
    }
    write_provenance(out, provenance)


def _fresh(rows: pd.DataFrame, scenarios: list[str], path: str | Path) -> pd.DataFrame:
    fresh = rows[~rows["recorded"] & rows["scenario"].isin(scenarios)].drop(columns="recorded")
    absent = sorted(set(scenarios) - set(fresh["scenario"]))
    if absent:
        raise PagedKVError(f"{path}: scenario '{absent[0]}' was not run now, so it cannot be recorded")
    return fresh
