"""Numbers of the report's section on speed: key, value, text. What was not measured prints as n/a."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from pagedkv.geometry import geometry
from pagedkv.paper import tex
from pagedkv.paper.speed import BARS, UNKNOWN, gb_s, memory_rate, ms, row_of, times, us, verdict_text

Quoted = tuple[str, float, str]
Form = Callable[[float], str]

_STEP = (("step", "ms", ms), ("over-floor", "over_floor", times), ("share", "share_of_rate", tex.percent))
_HOST = (("-decide", "host_decide_us_p50"), ("-launch", "host_launch_us_p50"), ("-behind", "host_behind_us_p50"))
QUOTED: tuple[tuple[str, str, str, Form], ...] = (
    ("memory", "streaming", "gb_s", gb_s),
    *(
        (f"{key}-{batch}", f"decode step, batch {batch},", column, form)
        for batch in (64, 1)
        for key, column, form in (*_STEP, ("vllm", "vllm_ms", ms))
    ),
    *((f"host{key}", "host work a step", column, us) for key, column in (("", "us_p50"), ("-p99", "us_p99"), *_HOST)),
    ("host-vllm", "host work a step", "vllm_us", us),
    ("swap", "swap-in of", "gb_s", gb_s),
    ("swap-large", "swap-in of", "large_copy_gb_s", gb_s),
    ("swap-share", "swap-in of", "share_of_large", tex.percent),
    ("swap-beside", "swap-in beside decode", "gb_s", gb_s),
    ("slow-down", "swap-in beside decode", "slow_down", tex.percent),
    ("attention-32", "decode attention, batch 32,", "share_of_rate", tex.percent),
    ("attention-4", "decode attention, batch 4,", "share_of_rate", tex.percent),
)
"""Key after `speed-`, beginning of the row's `what`, column, form."""


def values(found: dict, calibration: dict) -> Iterator[Quoted]:
    """Every key, of `speed.load` and the calibration; the same ones whether anything was measured or not."""
    yield "speed-origin", math.nan, _origin(found["provenance"])
    verdicts = {bar.name: bar.verdict(row_of(found, bar.row)) for bar in BARS}
    yield from ((f"speed-verdict-{name}", math.nan, verdict_text(word)) for name, word in verdicts.items())
    yield "speed-bars", float(len(BARS)), f"{len(BARS)}"
    for key, word in (("met", "met"), ("missed", "missed"), ("unknown", UNKNOWN)):
        count = list(verdicts.values()).count(word)
        yield f"speed-bars-{key}", float(count), f"{count}"
    for key, what, column, form in QUOTED:
        value = float(row_of(found, what).get(column, math.nan))
        yield f"speed-{key}", value, form(value)
    for key, value, form in _fitted(calibration, memory_rate(found)):
        yield f"speed-{key}", value, form(value)


def _origin(provenance: dict) -> str:
    """What ran, where and when."""
    if not provenance:
        return "no run is shipped"
    parts = [provenance.get("device", "an unknown device")]
    parts += [f"driver {provenance['driver']}"] if "driver" in provenance else []
    parts += [f"torch {version}" for name, version in provenance.get("versions", {}).items() if name == "torch"]
    commit = provenance.get("commit", "unknown")
    # A lent machine's checkout may lag behind the code that it was given: then the digest of the sources tells.
    dirty = commit.endswith("-dirty") and "source_sha256" in provenance
    code = f"sources {provenance['source_sha256'][:12]}" if dirty else f"commit {commit[:12]}"
    parts += [provenance.get("recorded_at", "")[:10], code]
    return tex.escape(", ".join(filter(None, parts)))


def _fitted(calibration: dict, memory: float) -> Iterator[tuple[str, float, Form]]:
    """By the fit of decode steps: shares of the memory rate at which weights and KV stream, each apart. And what the
    host takes at least to launch a step of which no graph was captured."""
    compute = calibration.get("compute", {})
    if compute.get("kind") == "measured":
        shape, decode, mixed = geometry(compute["model"]), compute["decode"], compute["mixed"]
    else:
        shape, decode, mixed = geometry("llama-3-8b"), {}, {}
    for batch in (64, 1):
        taken = dict(decode.get("step_s", ())).get(batch, math.nan)
        yield f"weights-{batch}", shape.weight_bytes / taken / (memory * 1e9), tex.percent
    taken = dict(decode.get("context_s", ())).get(64, math.nan)
    yield "kv-64", shape.token_bytes / taken / (memory * 1e9), tex.percent
    yield "launch", mixed.get("launch_s", math.nan), tex.seconds
