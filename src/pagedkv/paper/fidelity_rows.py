"""Rows of the table of fidelity (`pagedkv.fidelity.table`) as the report reads them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pagedkv.errors import PagedKVError
from pagedkv.fidelity.columns import frame
from pagedkv.storage import read_frame

Source = pd.DataFrame | str | Path | None


def load(source: Source) -> pd.DataFrame:
    """The table, with `knowledge` (level as an integer) and `series` (what a legend calls a policy); a table without
    rows where there is none."""
    if source is None:
        source = frame()
    elif not isinstance(source, pd.DataFrame):
        path = Path(source)
        try:
            source = read_frame(path)
        except Exception as error:
            raise PagedKVError(f"{path}: not a readable Parquet file ({type(error).__name__})") from error
        if missing := [column for column in frame().columns if column not in source]:
            raise PagedKVError(f"{path}: column {missing[0]} is missing")
    physical = (source["address"] == "physical") & (source["prefetch"] != "none")
    return source.assign(
        knowledge=pd.to_numeric(source["level"].str.removeprefix("I"), errors="coerce"),
        series=source["label"].where(~physical, source["label"] + " (slots)"),
    )


def of_kind(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    return rows[rows["kind"] == kind]


def scenarios(rows: pd.DataFrame) -> list[str]:
    """Scenarios in the order of the table."""
    return list(dict.fromkeys(rows["scenario"]))
