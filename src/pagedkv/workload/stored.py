"""A request table's columns and metadata as a file: Parquet, or NumPy's format where pyarrow is not installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pagedkv import storage
from pagedkv.errors import PagedKVError
from pagedkv.files import whole_file

FLOATS = ("arrival_s", "pause_s")
INTEGERS = ("prompt_tokens", "output_tokens", "session", "turn", "known_tokens")
COLUMNS = (*FLOATS, *INTEGERS)
IDS = ("ids", "id_offsets")
"""Flat ids and where each row's begin: one list column in Parquet, two arrays in NumPy's format."""

_METADATA = "metadata"
_DTYPES = {**dict.fromkeys(FLOATS, np.dtype(np.float64)), **dict.fromkeys((*INTEGERS, *IDS), np.dtype(np.int64))}

Columns = dict[str, np.ndarray]


def write(path: str | Path, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write COLUMNS and IDS whole or not at all, in the form that this machine can write. Equal tables: equal bytes."""
    with whole_file(path) as temporary:
        if storage.has_pyarrow():
            _write_parquet(temporary, columns, metadata)
        else:
            text = np.array(json.dumps(metadata, sort_keys=True))
            temporary.write_bytes(storage.pack({**columns, _METADATA: text}, storage.NPZ))


def read(path: str | Path) -> tuple[Columns, dict[str, str]]:
    """Columns and metadata of a file in either form. PagedKVError names the file, and the column that is wrong."""
    try:
        with Path(path).open("rb") as file:
            form = storage.form_of(file.read(4))
        if form == storage.NPZ:
            return _read_npz(path)
        if not storage.has_pyarrow():
            raise ValueError("it is Parquet, and pyarrow is not installed here")
        return _read_parquet(path)
    except (OSError, ValueError) as error:
        raise PagedKVError(f"{path}: not a readable request table: {storage.first_line(error)}") from error


def _read_npz(path: str | Path) -> tuple[Columns, dict[str, str]]:
    columns = storage.unpack(Path(path).read_bytes(), storage.NPZ)
    metadata = json.loads(str(columns.pop(_METADATA, "{}")))
    if not isinstance(metadata, dict):
        raise ValueError("its metadata is not a table")
    for name, dtype in _DTYPES.items():
        if name not in columns:
            raise PagedKVError(f"{path}: column {name} is missing")
        if columns[name].dtype != dtype:
            raise PagedKVError(f"{path}: column {name} is {columns[name].dtype}, must be {dtype}")
        if columns[name].ndim != 1:
            raise PagedKVError(f"{path}: column {name} is {dtype} of {columns[name].ndim} dimensions")
    rows = len(columns[COLUMNS[0]])
    for name in (*COLUMNS, "id_offsets"):
        if len(columns[name]) != rows + (name == "id_offsets"):
            raise PagedKVError(f"{path}: column {name} is not as long as the others")
    return {name: columns[name] for name in _DTYPES}, metadata


# Ids mostly count up by one, which delta encoding stores in almost nothing.
_ENCODING = {"block_ids.list.element": "DELTA_BINARY_PACKED"}


def _parquet_types() -> dict:
    import pyarrow as pa

    types = {name: pa.from_numpy_dtype(_DTYPES[name]) for name in COLUMNS}
    return {**types, "block_ids": pa.list_(pa.int64())}


def _write_parquet(path: Path, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [pa.array(columns[name]) for name in COLUMNS]
    arrays.append(pa.ListArray.from_arrays(pa.array(columns["id_offsets"].astype(np.int32)), pa.array(columns["ids"])))
    table = pa.table(arrays, pa.schema(_parquet_types().items(), metadata))
    pq.write_table(table, path, compression="zstd", use_dictionary=False, column_encoding=_ENCODING)


def _read_parquet(path: str | Path) -> tuple[Columns, dict[str, str]]:
    import pyarrow as pa

    try:
        file = storage.read_table(Path(path).read_bytes())
    except pa.ArrowException as error:
        raise ValueError(storage.first_line(error)) from error
    for name, kind in _parquet_types().items():
        if name not in file.column_names:
            raise PagedKVError(f"{path}: column {name} is missing")
        if file.schema.field(name).type != kind:
            raise PagedKVError(f"{path}: column {name} is {file.schema.field(name).type}, must be {kind}")
        if file.column(name).null_count:
            raise PagedKVError(f"{path}: column {name} has empty cells")
    lists = file.column("block_ids").combine_chunks()
    if lists.values.null_count:
        raise PagedKVError(f"{path}: column block_ids has empty cells")
    offsets = lists.offsets.to_numpy().astype(np.int64)
    columns = {name: file.column(name).to_numpy() for name in COLUMNS}
    columns |= {"ids": lists.values.to_numpy()[offsets[0] : offsets[-1]], "id_offsets": offsets - offsets[0]}
    return columns, {key.decode(): value.decode() for key, value in (file.schema.metadata or {}).items()}
