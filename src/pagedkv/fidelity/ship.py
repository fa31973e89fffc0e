"""Puts what was measured on a GPU under recorded/fidelity/, with provenance and checksums."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pagedkv import storage
from pagedkv import trace as traces
from pagedkv.errors import PagedKVError
from pagedkv.fidelity.measurements import CLOSED, read, read_rows
from pagedkv.files import sha256_of, whole_file
from pagedkv.recorded import PROVENANCE, commit, write_provenance

FOLDER = Path("recorded/fidelity")


def ship(folders: Sequence[Path], identity: Path | None, out: Path = FOLDER) -> list[Path]:
    """Write folders of measurements, traces as Parquet, and the file of token identity below `out`; returns the files.

    Raises PagedKVError before anything is written for what is broken, or was not measured on a GPU.
    """
    if not storage.has_pyarrow():
        raise PagedKVError("ship-measurements: traces are shipped as Parquet, which needs pyarrow")
    for folder in folders:
        _on_gpu(read(folder).machine, folder)
    if identity is not None:
        _on_gpu(read_rows(identity).get("machine", {}), identity)
    written = [path for folder in folders for path in _scenario(folder, out / folder.name)]
    return written + ([_rows(identity, out)] if identity is not None else [])


def _on_gpu(machine: dict, path: Path) -> None:
    if machine.get("where") != "cuda":
        raise PagedKVError(f"{path}: measured on '{machine.get('where')}'; only what a GPU measured is shipped")


def _scenario(folder: Path, out: Path) -> list[Path]:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    files = []
    for path in sorted(folder.iterdir()):
        if CLOSED.fullmatch(path.name):
            traces.write(traces.read(path), out / path.name, storage.PARQUET)
        elif path.suffix == ".json" and path.name != PROVENANCE:
            _copy(path, out / path.name)
        else:
            continue
        files.append(out / path.name)
    _vouch(out, files, read(folder).machine)
    return files


def _rows(path: Path, out: Path) -> Path:
    machine = read_rows(path)["machine"]
    out.mkdir(parents=True, exist_ok=True)
    _copy(path, out / path.name)
    _vouch(out, [out / path.name], machine)
    return out / path.name


def _copy(path: Path, to: Path) -> None:
    with whole_file(to) as temporary:
        shutil.copyfile(path, temporary)


def _vouch(out: Path, files: list[Path], machine: dict) -> None:
    what = "runs of this engine on a GPU, which the simulator is held against"
    sums = {path.name: sha256_of(path) for path in files}
    write_provenance(out, {"what": what, "shipped_at": commit(), "machine": machine, "files": sums})
