"""vLLM's steps of the generated cases, as recorded/vllm/conformance ships them: for machines without vLLM.

One file a table, all cases in it. Of slices of public traces, which this repository does not contain, only the rows of
the comparison are kept.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import pagedkv
from pagedkv import storage
from pagedkv.conformance.cases import Case
from pagedkv.conformance.steps import KEPT, Kept
from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of, whole_file
from pagedkv.recorded import commit, vouched, write_provenance

FOLDER = Path("recorded/vllm/conformance")
ROWS = "rows.parquet"
COMMAND = "pagedkv conformance tests/conformance/cases --keep recorded/vllm/conformance --out FILE"

_SMALL = {"kind": np.int8, "slot_stride": np.int8, "start_us": np.float64}
"""Types of columns that are not counts below 2**31."""


class StoredSteps:
    """vLLM's recorded steps, by case."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self._tables = {name: _table(folder / f"{name}.parquet") for name in KEPT}
        self.rows = storage.read_frame(vouched(folder / ROWS))

    def steps(self, case: Case) -> Kept:
        """Raises PagedKVError when the case was not recorded, or is not any more what was recorded."""
        row = self._row(case)
        number = int(row["number"])
        return {name: _of_case(columns, number) for name, columns in self._tables.items()}

    def row(self, case: Case) -> dict[str, Any]:
        """The row that the comparison gave when it was recorded."""
        return self._row(case).drop("number").to_dict()

    def _row(self, case: Case) -> pd.Series:
        found = self.rows[self.rows["case"] == case.name]
        again = f"record it again where vLLM is installed: {COMMAND}"
        if not len(found):
            raise PagedKVError(f"case '{case.name}': {self.folder} has no steps of vLLM; {again}")
        if found["digest"].item() != case.digest:
            raise PagedKVError(f"case '{case.name}': it was changed after vLLM's steps were recorded; {again}")
        return found.iloc[0]


def write_steps(folder: Path, rows: pd.DataFrame, steps: Mapping[str, Kept], versions: Mapping[str, str]) -> None:
    """`rows`: of the comparison, one a case; `steps`: case -> what vLLM did, of those that may be kept."""
    folder.mkdir(parents=True, exist_ok=True)
    numbered = rows.assign(number=range(len(rows)))
    numbers = dict(zip(numbered["case"], numbered["number"], strict=True))
    for name, columns in KEPT.items():
        parts = [(numbers[case], said[name]) for case, said in steps.items()]
        number = np.repeat([number for number, _ in parts], [len(said[columns[0]]) for _, said in parts])
        together = {
            column: np.concatenate([said[column] for _, said in parts]).astype(_SMALL.get(column, np.int32))
            for column in columns
        }
        with whole_file(folder / f"{name}.parquet") as temporary:
            temporary.write_bytes(storage.pack({"case": number.astype(np.int16), **together}, storage.PARQUET))
    with whole_file(folder / ROWS) as temporary:
        numbered.to_parquet(temporary, index=False)
    files = [*(f"{name}.parquet" for name in KEPT), ROWS]
    write_provenance(folder, _provenance(versions, {name: sha256_of(folder / name) for name in files}))


def _provenance(versions: Mapping[str, str], files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "what": "steps of vLLM's scheduler and block manager on the cases of tests/conformance, and how ours compare",
        "command": COMMAND,
        **commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {
            "pagedkv": pagedkv.__version__,
            **{package: metadata.version(package) for package in ("numpy", "pandas", "pyarrow")},
            **versions,
        },
        "files": dict(files),
    }


def _table(path: Path) -> dict[str, np.ndarray]:
    return storage.unpack(vouched(path).read_bytes(), storage.PARQUET)


def _of_case(columns: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    first, last = np.searchsorted(columns["case"], [number, number + 1])
    return {name: values[first:last] for name, values in columns.items() if name != "case"}
