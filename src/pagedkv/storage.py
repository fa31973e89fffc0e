"""Columns as bytes: Parquet where pyarrow is installed, else NumPy's own format.

A machine with a GPU often has torch and NumPy and no network: there nothing else may be needed to record. Readers take
both forms, so that what was written there is used here.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Columns = Mapping[str, np.ndarray]

PARQUET, NPZ = "parquet", "npz"
FORMS = (PARQUET, NPZ)

BROKEN_ZIP = (
    zipfile.BadZipFile,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
    NotImplementedError,
    struct.error,
    zlib.error,
)
"""What zipfile raises on bytes that are no sound zip, depending on where they are wrong."""

_ZIP_MAGIC = b"PK\x03\x04"


def has_pyarrow() -> bool:
    """Whether Parquet can be written and read here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True


def usual_form() -> str:
    """The form in which this machine writes: PARQUET where it can, else NPZ."""
    return PARQUET if has_pyarrow() else NPZ


def form_of(start: bytes) -> str:
    """The form of data that starts so: NPZ if it is a zip, else PARQUET, whose reader says what is wrong with it."""
    return NPZ if start.startswith(_ZIP_MAGIC) else PARQUET


def pack(columns: Columns, form: str) -> bytes:
    """Columns of equal length as bytes. Equal columns give equal bytes."""
    buffer = io.BytesIO()
    if form == NPZ:
        # Members of an npz carry no time of day: NumPy lets zipfile date them to 1980.
        np.savez_compressed(buffer, **columns)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table([pa.array(values) for values in columns.values()], names=list(columns))
        # Counters and times differ from row to row mostly in their low bytes: apart from the others, these pack well.
        split = [name for name, values in columns.items() if np.asarray(values).itemsize > 1]
        options = {"use_dictionary": False, "use_byte_stream_split": split}
        pq.write_table(table, buffer, compression="zstd", compression_level=9, **options)
    return buffer.getvalue()


def unpack(data: bytes, form: str) -> dict[str, np.ndarray]:
    """The columns of `pack`. Raises ValueError, in one line, where the bytes are no such thing or cannot be read."""
    if form == NPZ:
        return _unpack_npz(data)
    if not has_pyarrow():
        raise ValueError("it is Parquet, and pyarrow is not installed here")
    import pyarrow as pa

    try:
        table = read_table(data)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(first_line(error)) from error
    return {name: table.column(name).to_numpy() for name in table.column_names}


def read_frame(path: str | Path) -> pd.DataFrame:
    """A Parquet file as a frame. Raises OSError or ValueError where it is none."""
    return read_table(Path(path).read_bytes()).to_pandas(use_threads=False)


def read_table(data: bytes) -> pa.Table:
    """A Parquet file as Arrow's table. Raises ArrowException or OSError where it is none.

    From memory and without threads, which small tables do not need: Arrow's pools now and then abort a process that
    ends.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)


def _unpack_npz(data: bytes) -> dict[str, np.ndarray]:
    if not data.startswith(_ZIP_MAGIC):
        raise ValueError("no NumPy archive")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (*BROKEN_ZIP, KeyError, OSError) as error:
        raise ValueError(first_line(error)) from error


def first_line(error: Exception) -> str:
    """An error's message without what follows its first line; its kind where it has none."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
