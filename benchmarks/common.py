"""What every benchmark shares: the trace it runs on, one core, and where its figures come from."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from pagedkv import config
from pagedkv.errors import PagedKVError
from pagedkv.workload import registry
from pagedkv.workload.sources import default_data_dir
from pagedkv.workload.table import RequestTable


def one_core() -> None:
    """Stay on one core, whichever is there."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def azure_conversation(settings: config.Config, requests: int | None = None) -> RequestTable:
    """The first `requests` of the Azure conversation trace, or of its generator where the file is absent."""
    source = {"source": "azure-conv", **({"limit": requests} if requests else {})}
    try:
        return registry.build(source, default_data_dir(), settings["sources"], download=False)
    except PagedKVError as error:
        print(f"{error}\nusing the embedded generator azure_conv instead", file=sys.stderr)
        generator = {**source, "generator": "azure_conv", "seed": settings["seed"]}
        del generator["source"]
        return registry.build(generator, ".")


def write(path: Path, rows: list[dict[str, Any]], table: RequestTable, *packages: str) -> None:
    """Rows on a workload, with their provenance, as JSON."""
    write_rows(path, rows, {"workload": {"name": table.name, **table.origin}}, *packages)


def write_rows(path: Path, rows: list[dict[str, Any]], inputs: dict[str, Any], *packages: str) -> None:
    """Rows and their provenance, `inputs` included, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": rows, "provenance": {**inputs, **_provenance(packages)}}, indent=1) + "\n")


def _provenance(packages: tuple[str, ...]) -> dict[str, Any]:
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    commit = subprocess.run(describe, capture_output=True, text=True).stdout.strip()
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "cpu": names[0] if names else platform.machine(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("numpy", "pagedkv", *packages)},
        "commit": commit or "uncommitted",
    }
