"""The table of predictability as figures, tables and numbers read it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pagedkv.metric.aggregate import read_rows

Source = pd.DataFrame | str | Path | None
COLUMNS = ("scenario", "origin", "measure", "stream", "context", "k", "value")


def load(source: Source) -> pd.DataFrame:
    """Rows of `pagedkv predict`; an empty frame with the same columns where a build has none."""
    if source is None:
        return pd.DataFrame({name: [] for name in COLUMNS}).astype({"k": float, "value": float})
    return source if isinstance(source, pd.DataFrame) else read_rows(source)


def of(rows: pd.DataFrame, measure: str, **where: object) -> pd.DataFrame:
    """Rows of one measure whose other columns have the given values."""
    found = rows[rows["measure"] == measure]
    for column, wanted in where.items():
        found = found[found[column] == wanted]
    return found


def one(rows: pd.DataFrame, measure: str, **where: object) -> float:
    """The single value of that description; NaN if there is none."""
    found = of(rows, measure, **where)["value"]
    return float(found.iloc[0]) if len(found) else float("nan")


def scenarios(rows: pd.DataFrame) -> list[str]:
    """Scenarios in the order of the file."""
    return list(dict.fromkeys(rows["scenario"]))


def with_faults(rows: pd.DataFrame) -> list[str]:
    """Scenarios in which something is loaded at all."""
    return [name for name in scenarios(rows) if one(rows[rows["scenario"] == name], "pages", stream="faults") > 0]


def least_bits(rows: pd.DataFrame, stream: str) -> float:
    """Bits a page by the best of all codes that were tried; NaN without any."""
    codes = rows[rows["measure"].isin(["entropy_bits", "compressed_bits"]) & (rows["stream"] == stream)]
    return float(codes["value"].min()) if len(codes) else float("nan")
