"""Puts recorded traces under recorded/traces/, with provenance and checksums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pagedkv import storage
from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of
from pagedkv.recorded import commit, vouched, write_provenance
from pagedkv.trace.file import read, read_header, write
from pagedkv.trace.schema import Trace
from pagedkv.trace.shipped import FOLDER, path_of

ORIGINS = ("cuda", "vllm-cpu", "vllm-cuda")
UNSAID = ("schema", "scenario", "tables")
"""Of a trace's header, what the provenance need not repeat."""


def ship(paths: Sequence[str | Path], folder: str | Path = FOLDER) -> list[Path]:
    """Write recorded traces into `folder` as Parquet, and a provenance.json that vouches for every trace there.

    Returns the files written. Traces of other scenarios stay, if they are what the provenance says. Raises PagedKVError
    before anything is written for a trace that was simulated, or that holds requests of a public source.
    """
    folder = Path(folder)
    if not storage.has_pyarrow():
        raise PagedKVError("ship-traces: traces are shipped as Parquet, which needs pyarrow")
    traces = {path_of(trace.header["scenario"], folder): trace for trace in map(_shippable, paths)}
    kept = {vouched(path) for path in folder.glob("*.kvtrace") if path not in traces}
    for path, trace in traces.items():
        write(trace, path, storage.PARQUET)
    write_provenance(folder, _provenance(sorted(kept | set(traces))))
    return list(traces)


def _shippable(path: str | Path) -> Trace:
    trace = read(path)
    if trace.header["origin"] not in ORIGINS:
        raise PagedKVError(
            f"{path}: a trace of origin '{trace.header['origin']}'; only those of a GPU or of vLLM are shipped"
        )
    if "generator" not in trace.header["workload"]:
        source = trace.header["workload"].get("source", "unknown")
        raise PagedKVError(f"{path}: holds requests of the public source '{source}', which is not ours to ship")
    return trace


def _provenance(paths: list[Path]) -> dict[str, Any]:
    headers = {path: read_header(path) for path in paths}
    return {
        "what": "block accesses of the embedded workloads, recorded by this engine on a GPU, or from vLLM",
        "shipped_at": commit(),
        "files": {path.name: sha256_of(path) for path in paths},
        "traces": {
            header["scenario"]: {key: value for key, value in header.items() if key not in UNSAID}
            for header in headers.values()
        },
    }
