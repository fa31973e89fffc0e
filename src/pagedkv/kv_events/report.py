"""What an event log says of a deployment, as figures: tiers, blocks that come back, and what a host tier would do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pagedkv.device.calibration import Calibration
from pagedkv.errors import PagedKVError
from pagedkv.geometry import Geometry
from pagedkv.kv_events.event_log import EventLog
from pagedkv.kv_events.events import GPU
from pagedkv.kv_events.host_tier import LRU, ORDERS, held
from pagedkv.kv_events.offload_worth import Costs, Worth, run_blocks, worth
from pagedkv.kv_events.residency import Arrival, Residency, Tier

CAPACITY_SHARES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Sizes of a host tier to try, in peaks of what the GPU held; and one that holds everything."""


@dataclass(frozen=True)
class Point:
    """A host tier that was tried: `capacity_blocks` a rank (None: holds all), the order in which it gives blocks up,
    and the share of the blocks that came back which it would have loaded."""

    capacity_blocks: int | None
    order: str
    share: float
    worth: Worth


@dataclass(frozen=True)
class Runs:
    """One entry a load that the tier that holds everything would have made: blocks, blocks of the prefix before them,
    time on the link (L_e)."""

    blocks: np.ndarray
    depth: np.ndarray
    load_s: np.ndarray


@dataclass(frozen=True)
class Report:
    """All figures. `points` is empty, and `no_costs` says why, where bytes and times cannot be told."""

    batches: int
    missing: int
    numbered: bool
    span_s: float
    tiers: dict[tuple[int, str], Tier]
    came_back: int
    reloaded: int
    """Of those that came back: another medium held them at that time."""
    rootless: int
    away_s: np.ndarray
    others_stored: np.ndarray
    costs: Costs | None
    no_costs: str
    points: tuple[Point, ...]
    runs: Runs

    @property
    def ranks(self) -> int:
        return len({rank for rank, _ in self.tiers}) or 1

    @property
    def gpu(self) -> list[Tier]:
        return [tier for (_, medium), tier in self.tiers.items() if medium == GPU]

    @property
    def peak_blocks(self) -> int:
        """The most blocks that a GPU was known to hold: no more than its pool."""
        return max((tier.peak for tier in self.gpu), default=0)

    @property
    def removed(self) -> int:
        return sum(tier.removed for tier in self.gpu)

    @property
    def computed(self) -> int:
        """Blocks that GPUs stored without having them already, and without a tier that they may have come from."""
        return sum(tier.stored - tier.stored_again for tier in self.gpu) - self.reloaded

    @property
    def whole(self) -> Point | None:
        """The point of the tier that holds everything."""
        return next((point for point in self.points if point.capacity_blocks is None), None)


def report(log: EventLog, calibration: Calibration, geometry: Geometry) -> Report:
    """Work out all figures of a log for a model of the given shape and the links and steps of a calibration."""
    residency = Residency.of(log.batches)
    arrivals = [move for move in residency.moves if isinstance(move, Arrival)]
    came_back = _joined([arrival.came_back for arrival in arrivals], bool)
    elsewhere = _joined([arrival.held for arrival in arrivals], bool)
    costs, no_costs = _costs(residency, arrivals, calibration, geometry)
    points: tuple[Point, ...] = ()
    if costs is not None:
        try:
            points = tuple(_points(residency, arrivals, costs))
        except PagedKVError as error:
            costs, no_costs = None, str(error)
    return Report(
        batches=len(log.batches),
        missing=log.missing,
        numbered=log.numbered,
        span_s=log.span_s,
        tiers=dict(sorted(residency.tiers.items())),
        came_back=int(came_back.sum()),
        reloaded=int((came_back & elsewhere).sum()),
        rootless=sum(not arrival.rooted for arrival in arrivals),
        away_s=_joined([arrival.away_s for arrival in arrivals], float)[came_back],
        others_stored=_joined([arrival.others_stored for arrival in arrivals], np.int64)[came_back],
        costs=costs,
        no_costs=no_costs,
        points=points,
        runs=_runs(residency, arrivals, costs),
    )


def _joined(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)


def _costs(
    residency: Residency, arrivals: Sequence[Arrival], calibration: Calibration, geometry: Geometry
) -> tuple[Costs | None, str]:
    sizes = {arrival.block_tokens for arrival in arrivals}
    if not arrivals:
        return None, "nothing was stored on a GPU"
    if len(residency.groups) > 1:
        return None, f"{len(residency.groups)} groups of layers store blocks, whose sizes in bytes differ"
    if len(sizes) > 1 or 0 in sizes:
        return None, f"blocks of {', '.join(map(str, sorted(sizes)))} tokens were stored, not of one size"
    return Costs(calibration, geometry, sizes.pop()), ""


def _points(residency: Residency, arrivals: Sequence[Arrival], costs: Costs) -> list[Point]:
    peak = max(tier.peak for (_, medium), tier in residency.tiers.items() if medium == GPU)
    tried = [(max(1, int(share * peak)), order) for share in CAPACITY_SHARES for order in ORDERS]
    came_back = sum(int(arrival.came_back.sum()) for arrival in arrivals)
    points = []
    for capacity, order in (*tried, (None, LRU)):
        value = worth(held(residency.moves, residency.arrivals, capacity, order), arrivals, costs)
        share = value.loaded_blocks / came_back if came_back else math.nan
        points.append(Point(capacity, order, share, value))
    return points


def _runs(residency: Residency, arrivals: Sequence[Arrival], costs: Costs | None) -> Runs:
    blocks, depth = run_blocks(held(residency.moves, residency.arrivals, None, LRU), arrivals)
    return Runs(blocks, depth, costs.load_s(blocks) if costs is not None else np.full(len(blocks), math.nan))


# ---------------------------------------------------------------- as tables
def tables(found: Report) -> dict[str, dict[str, np.ndarray]]:
    """The figures as columns: `residency` over time, `curve` of host tiers, `runs` of loads, `returns` of blocks."""
    series = [(*place, *row) for place, tier in found.tiers.items() for row in tier.series]
    return {
        "residency": _columns(("rank", "medium", "ts", "stored", "removed", "resident"), series),
        "curve": _columns(
            ("capacity_blocks", "order", "share", *(field.name for field in fields(Worth))),
            [
                (-1 if p.capacity_blocks is None else p.capacity_blocks, p.order, p.share, *vars(p.worth).values())
                for p in found.points
            ],
        ),
        "runs": dict(vars(found.runs)),
        "returns": {"away_s": found.away_s, "others_stored": found.others_stored},
    }


def _columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, np.ndarray]:
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return {name: np.array(column) for name, column in zip(names, columns, strict=True)}
