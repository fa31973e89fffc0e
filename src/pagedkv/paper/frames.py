"""Rows of the metrics and serve files in one form, with the derived columns, and the selections every figure shares.

Derived columns (all of one row relative to reference rows of the same scenario, capacity, link and steps):

| column | meaning |
|---|---|
| knowledge | level as an integer, 0 (I0) to 6 (I6) |
| kind | none, spatial (speculative policies), schedule, oracle or other: from the column family |
| series | what a legend calls the run: label and, where it is not logical, the address space |
| stall_left | 1 - stall_removed: share of the stall of `none` + LRU in the same demand mode |
| bound_left | bound_s over that stall; NaN where no bound applies |
| bound_removed | 1 - bound_left: the most that any policy can remove |
| below_bound | bound_left - stall_left: above 0 a run beats its bound, which cannot be |
| gap_closed | 1 - optimality_gap: share of what the bound leaves to be won |
| inverse_rho | min(1, 1 / rho): share that a saturated link can hide in the fluid model |
| over_inverse_rho | stall_removed - inverse_rho |
| removed_of_page | 1 - stall_s over the stall of `none` + LRU under D-page |
| gain_of_page | (stall_none_s - stall_s) over the stall of `none` + LRU under D-page |
| slowdown | elapsed_s over that of `none` + LRU in the same demand mode, minus 1 (closed loop: its tokens_s over own) |
| pool_ratio | capacity_blocks / peak_live_blocks |
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pagedkv.errors import PagedKVError
from pagedkv.storage import read_frame

DEMANDS = ("D-page", "D-step", "D-layer", "D-async")
BOUNDED = ("D-page", "D-step")
LEVELS = tuple(f"I{i}" for i in range(7))
MATCHED = {0: "lru", 1: "lru", 2: "lru", 3: "lru", 4: "plan_aware", 5: "plan_aware", 6: "min"}
KINDS = {"none": "none", "speculative": "spatial", "schedule": "schedule", "oracle": "oracle"}  # else: other
IDENTITY = ["scenario", "recorded", "sweep", "prefetch", "params", "address", "label", "eviction"]
IDENTITY += ["level", "demand", "capacity_blocks", "link_scale"]
REQUIRED = ("scenario", "prefetch", "family", "eviction")
LRU = ("lru", "vllm_free_queue")

Source = pd.DataFrame | str | Path


def load(source: Source) -> pd.DataFrame:
    """A normalised frame from a Parquet file, or from a frame (which is not modified)."""
    if not isinstance(source, pd.DataFrame):
        path = Path(source)
        if not path.is_file():
            raise PagedKVError(f"{path}: no such file; run `snakemake` first")
        try:
            source = read_frame(path)
        except Exception as error:
            raise PagedKVError(f"{path}: not a readable Parquet file ({type(error).__name__})") from error
        missing = [c for c in REQUIRED if c not in source.columns]
        if missing:
            raise PagedKVError(f"{path}: column {missing[0]} is missing")
    return normalise(source)


def normalise(frame: pd.DataFrame) -> pd.DataFrame:
    """One spelling of levels, demand modes and flags; the derived columns added where their inputs exist."""
    if "series" in frame.columns:
        return frame
    frame = frame.reset_index(drop=True).copy()
    defaults = {"recorded": False, "sweep": "main", "demand": "D-step", "address": "logical", "link_scale": 1.0}
    defaults |= {"label": None, "level": None, "params": "", "origin": "", "capacity_blocks": np.nan, "seed": 0}
    defaults |= {"family": None, "schedule_from": None}
    for column, value in defaults.items():
        if column not in frame:
            frame[column] = value
    frame["recorded"] = frame["recorded"].fillna(False).astype(bool)
    frame["demand"] = frame["demand"].map(_demand)
    frame["address"] = frame["address"].where(frame["address"].notna() & (frame["address"] != ""), "logical")
    frame["link_scale"] = frame["link_scale"].astype(float).fillna(1.0)
    frame["knowledge"] = frame["level"].map(_level)
    frame["kind"] = frame["family"].map(lambda family: KINDS.get(family, "other"))
    frame["label"] = frame["label"].where(frame["label"].notna() & (frame["label"] != ""), frame["prefetch"])
    frame["series"] = [_series(r.label, r.address) for r in frame[["label", "address"]].itertuples()]
    return _derive(frame)


def _demand(value: object) -> str:
    text = str(value).lower().replace("_", "-").removeprefix("d-")
    return f"D-{text}"


def _level(value: object) -> float:
    text = str(value).strip().upper().removeprefix("I").removesuffix(".0")
    return float(text) if text.isdigit() else np.nan


def _series(label: str, address: str) -> str:
    return label if address == "logical" or address in label else f"{label} ({address})"


def _derive(frame: pd.DataFrame) -> pd.DataFrame:
    nan = pd.Series(np.nan, index=frame.index)

    def get(column: str) -> pd.Series:
        return pd.to_numeric(frame[column], errors="coerce") if column in frame else nan

    place = ["scenario", "recorded", "capacity_blocks", "link_scale"]
    if "tokens_s" in frame:
        own = _lookup(frame, reference(frame), [*place, "demand"], "tokens_s")
        frame["slowdown"] = own / get("tokens_s") - 1
    elif "stall_s" in frame:
        # Some sweeps play only the beginning of a trace: runs over different steps are not comparable.
        place += ["steps"] if "steps" in frame else []
        none = reference(frame[frame["sweep"] != "fault"])
        own = _lookup(frame, none, place + ["demand"], "stall_s")
        base = get("stall_none_s").fillna(own)
        removed = get("stall_removed").fillna(1 - get("stall_s") / base.where(base > 0))
        page = _lookup(frame, none[none["demand"] == "D-page"], place, "stall_s")
        page = page.where(page > 0)
        bounded = frame["demand"].isin(BOUNDED)
        frame["stall_none_s"], frame["stall_removed"] = base, removed
        frame["stall_left"] = 1 - removed
        frame["bound_left"] = (get("bound_s") / base.where(base > 0)).where(bounded)
        frame["bound_removed"] = 1 - frame["bound_left"]
        frame["below_bound"] = frame["bound_left"] - frame["stall_left"]
        frame["gap_closed"] = 1 - get("optimality_gap")
        frame["inverse_rho"] = np.minimum(1, 1 / get("rho").where(get("rho") > 0))
        frame["over_inverse_rho"] = removed - frame["inverse_rho"]
        frame["removed_of_page"] = 1 - get("stall_s") / page
        frame["gain_of_page"] = (base - get("stall_s")) / page
        elapsed = _lookup(frame, none, place + ["demand"], "elapsed_s") if "elapsed_s" in frame else nan
        frame["slowdown"] = get("elapsed_s") / elapsed - 1
    frame["pool_ratio"] = get("capacity_blocks") / get("peak_live_blocks")
    return frame


def reference(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs everything is relative to: no prefetch, LRU eviction. A control has a label of its own."""
    plain = (frame["prefetch"] == "none") & (frame["label"] == "none")
    return frame[plain & frame["eviction"].isin(LRU)]


def _lookup(frame: pd.DataFrame, source: pd.DataFrame, keys: list[str], column: str) -> pd.Series:
    """For each row, the mean of `column` over the rows of `source` that agree with it in `keys`."""
    means = source.groupby(keys, dropna=False)[column].mean().rename("_value").reset_index()
    return frame[keys].merge(means, on=keys, how="left")["_value"].set_axis(frame.index)


def relative(serve: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Each policy's `columns` over those of `none` + LRU of the same scenario, demand mode, capacity and link; columns
    that there are not are left out."""
    keys = ["scenario", "recorded", "demand", "capacity_blocks", "link_scale"]
    columns = [column for column in columns if column in serve]
    base = reference(serve).groupby(keys, dropna=False)[columns].mean()
    rows = serve.merge(base.add_suffix("_none").reset_index(), on=keys, how="inner")
    for column in columns:
        rows[column] = rows[column] / rows[f"{column}_none"].where(rows[f"{column}_none"] > 0)
    plain = (rows["kind"] == "none") & (rows["label"] == "none")
    rows.loc[plain, "series"] = "none + " + rows["eviction"]
    return rows[~(plain & rows["eviction"].isin(LRU))]


def pooled(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean over the seeds of otherwise identical runs."""
    keys = [c for c in [*IDENTITY, "series", "kind", "knowledge"] if c in frame]
    numbers = [c for c in frame.select_dtypes("number").columns if c not in keys]
    if frame.empty or not frame.duplicated(keys).any():
        return frame
    return frame.groupby(keys, dropna=False, sort=False)[numbers].mean().reset_index()


def main(metrics: pd.DataFrame, demand: str = "D-step", sweeps: tuple[str, ...] = ("main",)) -> pd.DataFrame:
    """The policy matrix at the recorded capacity and the link as it is, in one demand mode, seeds pooled."""
    rows = metrics[metrics["sweep"].isin(sweeps) & (metrics["demand"] == demand)]
    native = rows["schedule_from"].isna() | rows["schedule_from"].isin(["", "trace", "recorded"])
    has_native = native.groupby([rows["scenario"], rows["recorded"]]).transform("any")
    rows = rows[native | ~has_native]
    keep = []
    for _, group in rows.groupby(["scenario", "recorded"], sort=False):
        group = group[group["capacity_blocks"].isna() | (group["capacity_blocks"] == group["capacity_blocks"].max())]
        distance = np.log(group["link_scale"].clip(lower=1e-9)).abs()
        keep.append(group[distance == distance.min()])
    return pooled(pd.concat(keep)) if keep else rows


def matched(metrics: pd.DataFrame) -> pd.DataFrame:
    """Each policy with the eviction of its level: I0-I3 LRU, I4-I5 plan-aware, I6 MIN.

    The rows of the sweep `matched` where a scenario has them, and of the policy matrix those that match as they are.
    """
    rows = main(metrics, sweeps=("main", "matched"))
    want = rows["knowledge"].map(MATCHED)
    fits = (rows["eviction"] == want) | (rows["eviction"].isin(LRU) & (want == "lru"))
    own = rows["sweep"] == "matched"
    swept = own.groupby([rows["scenario"], rows["recorded"]]).transform("any")
    raised = (rows["knowledge"] > 3) & ((rows["kind"] == "spatial") | swept)  # knowledge is only the eviction's
    keys = ["scenario", "recorded", "series", "params", "eviction"]
    return rows[own | (fits & ~raised)].sort_values("sweep", kind="stable").drop_duplicates(keys, keep="last")


def scenarios(frame: pd.DataFrame) -> list[tuple[str, bool]]:
    """(name, recorded) of every scenario: built ones first, in the order of the file, then the recorded ones."""
    pairs = frame[["scenario", "recorded"]].drop_duplicates().itertuples(index=False)
    return sorted(((p.scenario, bool(p.recorded)) for p in pairs), key=lambda p: p[1])


def of_scenario(frame: pd.DataFrame, pair: tuple[str, bool]) -> pd.DataFrame:
    """The rows of one (scenario, recorded) pair."""
    return frame[(frame["scenario"] == pair[0]) & (frame["recorded"] == pair[1])]


def title(pair: tuple[str, bool]) -> str:
    """How a scenario is called in figures and tables; a recorded one says so."""
    return f"{pair[0]} (recorded)" if pair[1] else pair[0]


def policy_order(frame: pd.DataFrame) -> list[str]:
    """Series from least to most knowledge: by level, then name; `none` first."""
    rank = frame.assign(first=frame["kind"] != "none").groupby("series")[["first", "knowledge"]].min()
    return list(rank.reset_index().sort_values(["first", "knowledge", "series"], na_position="last")["series"])
