"""All runs in one file, beside the ones that the repository ships."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pagedkv.errors import PagedKVError
from pagedkv.files import whole_file
from pagedkv.recorded import vouched
from pagedkv.storage import read_frame


def read_rows(path: str | Path) -> pd.DataFrame:
    """A runs file. Raises PagedKVError naming file and cause."""
    try:
        return read_frame(path)
    except OSError as error:
        raise PagedKVError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise PagedKVError(f"{path}: not a runs file: {str(error).splitlines()[0]}") from error


def write_rows(rows: pd.DataFrame | list[dict], path: str | Path) -> None:
    """Write rows whole or not at all; equal rows give equal bytes."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    with whole_file(path) as temporary:
        frame.to_parquet(temporary, compression="zstd", index=False)


def aggregate(fresh: Sequence[str | Path], recorded: str | Path | None, kind: str) -> pd.DataFrame:
    """Rows of `fresh` files, then those of `recorded`/KIND.parquet whose scenario was not run now.

    The column `recorded` tells them apart. Recorded files are checked against `recorded`/provenance.json, which holds
    their SHA-256.
    """
    frames = [read_rows(path).assign(recorded=False) for path in fresh]
    shipped = Path(recorded) / f"{kind}.parquet" if recorded is not None else None
    if shipped is not None and shipped.exists():
        rows = read_rows(vouched(shipped))
        run_now = set().union(*(frame["scenario"] for frame in frames)) if frames else set()
        frames.append(rows[~rows["scenario"].isin(run_now)].assign(recorded=True))
    return pd.concat(frames, ignore_index=True)
