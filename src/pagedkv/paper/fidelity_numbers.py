"""Numbers of the report's section on fidelity: key, value, text. What was not measured prints as n/a."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from pagedkv.paper import fidelity_rows, tex

Quoted = tuple[str, float, str]

LARGEST = {
    "bytes": "bytes_off",
    "step": "step_off",
    "tpot": "tpot_off",
    "end-to-end": "end_to_end_off",
    "ttft": "ttft_off",
}
"""Worst error of a kind over all closed runs: `fidelity-KEY`; its signed mean is not quoted, because errors cancel."""


def values(rows: pd.DataFrame) -> Iterator[Quoted]:
    """Every key; the same ones whether anything was measured or not."""
    closed, pinned = fidelity_rows.of_kind(rows, "closed"), fidelity_rows.of_kind(rows, "pinned")
    yield _count("fidelity-runs", len(closed))
    yield _count("fidelity-replays", len(pinned))
    yield _count("fidelity-scenarios", closed["scenario"].nunique())
    yield "fidelity-origin", math.nan, origin(rows)
    exact = (closed["decisions_exact"] == 1) & (closed["bytes_exact"] == 1)
    yield _count("fidelity-exact", int(exact.sum()))
    for key, column in LARGEST.items():
        yield _share(f"fidelity-{key}", closed[column].max())
    yield _share("fidelity-step-p99", closed["step_p99"].max())
    yield _share("fidelity-ttft-p99", closed["ttft_p99_s_error"].abs().max())
    yield _share("fidelity-stall", closed["stall_s_error"].abs().max())
    yield _share("fidelity-schedule", closed["schedule_distance"].max())
    yield from _bars(rows)
    yield from _orders(fidelity_rows.of_kind(rows, "order"))
    yield from _value(pinned)
    yield from _identity(rows)
    host_us = closed["host_us_p50"].max()
    yield "fidelity-host", float(host_us), tex.seconds(host_us * 1e-6)


def origin(rows: pd.DataFrame) -> str:
    """A sentence on what the section rests on."""
    closed, pinned = fidelity_rows.of_kind(rows, "closed"), fidelity_rows.of_kind(rows, "pinned")
    if not len(closed) and not len(pinned):
        return (
            "Nothing was measured on a GPU for this build: the comparison below has no rows, and its claims are "
            "undecided."
        )
    machines = sorted({name for name in rows["machine"] if name})
    return (
        f"Measured on {tex.escape(', '.join(machines) or 'an unnamed device')}: {len(closed)} closed-loop runs and "
        f"{len(pinned)} replays of a pinned schedule."
    )


def _bars(rows: pd.DataFrame) -> Iterator[Quoted]:
    judged = fidelity_rows.of_kind(rows, "bar")
    yield _count("fidelity-bars", len(judged))
    for verdict in ("kept", "missed"):
        yield _count(f"fidelity-bars-{verdict}", int((judged["verdict"] == verdict).sum()))


def _orders(orders: pd.DataFrame) -> Iterator[Quoted]:
    yield "fidelity-tau", float(orders["tau"].min()), tex.number(float(orders["tau"].min()), 2)
    notable = orders["notable_pairs"].sum()
    yield _count("fidelity-notable", int(notable))
    yield _share("fidelity-agreeing", orders["agreeing_pairs"].sum() / notable if notable else math.nan)


def _value(pinned: pd.DataFrame) -> Iterator[Quoted]:
    """How far the simulated value of information lies from the measured one, in points of the stall of `none`."""
    yield _share("fidelity-removed", pinned["stall_removed_error"].abs().max())
    yield _share("fidelity-removed-median", pinned["stall_removed_error"].abs().median())
    best = pinned[(pinned["knowledge"] == 4) & (pinned["prefetch"] != "none")]
    for side in ("measured", "simulated"):
        yield _share(f"fidelity-plan-{side}", best[f"stall_removed_{side}"].max())


def _identity(rows: pd.DataFrame) -> Iterator[Quoted]:
    judged = fidelity_rows.of_kind(rows, "identity")
    yield _count("identity-requests", int(judged["requests"].sum()))
    yield _count("identity-verified", int(judged["verified_blocks"].sum()))
    yield _share("identity-share", judged["identical"].sum() / judged["requests"].sum() if len(judged) else math.nan)
    yield _share("identity-cost", fidelity_rows.of_kind(rows, "cost")["slowdown"].max())


def _count(key: str, value: int) -> Quoted:
    return key, float(value), f"{value:,}".replace(",", r"\,")


def _share(key: str, value: float) -> Quoted:
    return key, float(value), tex.percent(float(value))
