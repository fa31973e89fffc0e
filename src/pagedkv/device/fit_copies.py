"""Cost of copies from measured ones: submission, piece, bytes, both directions at once, compute beside a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from pagedkv.device.raw import Copy
from pagedkv.device.regression import Fit, fit_costs, hats, interval, median_fit, rounded
from pagedkv.errors import PagedKVError

METHOD = "batch"
"""How the engine moves blocks (cudaMemcpyBatchAsync)."""
LARGE_BYTES = 4 << 20
"""A single copy of at least this much tells the rate of bytes apart from the cost of a piece."""
CONCURRENT = ("decode", "stream", "matmul")
"""What computes beside a copy, the most telling first."""


def fit_copies(copies: list[Copy], replicates: int) -> dict[str, Any]:
    """The copy sections of a calibration. Raises PagedKVError where loads were not measured."""
    alone = [copy for copy in copies if copy.concurrent == "none"]
    loads = _one_way(alone, "h2d", replicates)
    if loads is None:
        raise PagedKVError(f"no copy of direction h2d and method '{METHOD}' was measured alone")
    stores = _one_way(alone, "d2h", replicates)
    if stores is None:
        stores = {**loads, "origin": "not measured: taken over from the other direction"}
    both = [copy for copy in alone if copy.direction == "both" and copy.method == METHOD]
    return {
        "host_to_device": loads,
        "device_to_host": stores,
        **_both_ways(both, loads, stores, replicates),
        **_slowdown(copies, replicates),
    }


def predicted_s(copy: Copy, section: dict[str, Any]) -> float:
    """Time of a one-way copy of the engine's method under a section of a calibration."""
    return section["submit_s"] + copy.pieces * (_piece_s(section, copy.piece_bytes) + copy.piece_bytes / _rate(section))


def _rate(section: dict[str, Any]) -> float:
    return section["bytes_per_s"]


def _piece_s(section: dict[str, Any], piece_bytes: int) -> float:
    sizes, seconds = np.array(section["piece_s"]).T
    return float(np.interp(np.log(piece_bytes), np.log(sizes), seconds))


def _one_way(alone: list[Copy], direction: str, replicates: int) -> dict[str, Any] | None:
    """seconds = submit + n * (piece(m) + m / B). A large single copy has a submission of its own, and no piece."""
    own = [copy for copy in alone if copy.direction == direction and copy.method == METHOD]
    if not own:
        return None
    large = [
        copy
        for copy in alone
        if (copy.direction, copy.method, copy.pieces) == (direction, "single", 1) and copy.piece_bytes >= LARGE_BYTES
    ]
    rows, batched = own + large, np.repeat([1.0, 0.0], [len(own), len(large)])
    sizes = np.array(sorted({copy.piece_bytes for copy in own}))
    if not large and len(sizes) > 1:
        # The two largest sizes share their cost of a piece, which leaves the difference to the rate.
        sizes = sizes[:-1]
    told_apart = bool(large) or len({copy.piece_bytes for copy in own}) > 1
    count = np.array([float(copy.pieces) for copy in rows])
    bytes_ = np.array([float(copy.piece_bytes) for copy in rows])
    pieces = hats(np.log(sizes), np.log(bytes_)) * (batched * count * told_apart)[:, None]
    columns = np.column_stack([batched, 1 - batched, pieces, bytes_ * count])
    seconds = np.array([copy.seconds for copy in rows])
    fit = fit_costs(columns, seconds, np.array([copy.noise for copy in rows]), replicates)
    return _section(fit, sizes, f"{len(own)} copies by {METHOD} and {len(large)} large single ones")


def _section(fit: Fit, sizes: np.ndarray, origin: str) -> dict[str, Any]:
    if fit.costs[-1] == 0:
        raise PagedKVError("copies do not get longer with their bytes: no rate can be fitted")
    per_byte = np.maximum(fit.samples[:, -1], fit.costs[-1] * 1e-3)
    pieces = [interval(cost, fit.samples[:, 2 + i]) for i, cost in enumerate(fit.costs[2:-1])]
    constants = {
        "bytes_per_s": interval(1 / fit.costs[-1], 1 / per_byte),
        "submit_s": interval(fit.costs[0], fit.samples[:, 0]),
    }
    at = [int(size) for size in sizes]
    return {
        **{key: found["value"] for key, found in constants.items()},
        "piece_s": [[size, found["value"]] for size, found in zip(at, pieces, strict=True)],
        "fit": {**constants, "piece_s": [{"at": size, **found} for size, found in zip(at, pieces, strict=True)]},
        "origin": f"fitted to {origin}",
    }


def _both_ways(both: list[Copy], loads: dict, stores: dict, replicates: int) -> dict[str, Any]:
    """Bytes a second of both directions together. These copies are timed from when all of them have been enqueued, so
    that what submissions cost is not in their time (`measure.copy_rates`)."""
    key = "both_directions_bytes_per_s"
    rates = []
    for copy in both:
        fixed = max(s["submit_s"] + copy.pieces * _piece_s(s, copy.piece_bytes) for s in (loads, stores))
        # Where pieces would take most of the time of a copy, its rate is not that of the bytes.
        if copy.seconds > 4 * fixed:
            rates.append(copy.total_bytes / copy.seconds)
    if not rates:
        return {key: rounded(_rate(loads) + _rate(stores)), "both_directions_origin": "not measured: no contention"}
    fit = median_fit(np.array(rates), replicates)
    found = interval(fit.costs[0], fit.samples[:, 0])
    origin = f"median of {len(rates)} copies in both directions at once"
    return {key: found["value"], "both_directions_fit": found, "both_directions_origin": origin}


def _slowdown(copies: list[Copy], replicates: int) -> dict[str, Any]:
    """Factor by which compute slows down beside a load by the engine's method; absent where it was not measured."""
    for concurrent in CONCURRENT:
        factors = [c.compute_slowdown for c in copies if (c.concurrent, c.method) == (concurrent, METHOD)]
        factors = np.array([factor for factor in factors if factor is not None])
        if len(factors):
            fit = median_fit(np.maximum(factors, 1.0), replicates)
            found = interval(fit.costs[0], fit.samples[:, 0])
            origin = f"median of {len(factors)} copies beside '{concurrent}'"
            return {"compute_slowdown": found["value"], "slowdown_fit": found, "slowdown_origin": origin}
    return {}
