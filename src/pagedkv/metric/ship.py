"""Puts aggregated results under recorded/, with provenance and checksums."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import pandas as pd

import pagedkv
from pagedkv.errors import PagedKVError
from pagedkv.metric.aggregate import read_rows, write_rows


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
        files[target.name] = hashlib.sha256(target.read_bytes()).hexdigest()
    provenance = {
        "what": "aggregated results of runs on public traces, which this repository does not contain",
        "command": command,
        "scenarios": scenarios,
        "origin": "simulated device",
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {
            "pagedkv": pagedkv.__version__,
            **{p: metadata.version(p) for p in ("numpy", "pandas", "pyarrow")},
        },
        "files": files,
    }
    (out / "provenance.json").write_text(json.dumps(provenance, indent=1, sort_keys=True) + "\n")


def _fresh(rows: pd.DataFrame, scenarios: list[str], path: str | Path) -> pd.DataFrame:
    fresh = rows[~rows["recorded"] & rows["scenario"].isin(scenarios)].drop(columns="recorded")
    absent = sorted(set(scenarios) - set(fresh["scenario"]))
    if absent:
        raise PagedKVError(f"{path}: scenario '{absent[0]}' was not run now, so it cannot be recorded")
    return fresh


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()
