"""Runs a case on our engine, or on vLLM where that is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pagedkv.conformance.cases import Case
from pagedkv.conformance.requests import Requests
from pagedkv.device.calibration import Calibration, ComputeCost, CopyCost
from pagedkv.engine.record import record
from pagedkv.geometry import geometry
from pagedkv.trace.schema import Trace

GEOMETRY = geometry("llama-3-8b")

_LINK = CopyCost(50e9, 10e-6, ((GEOMETRY.piece_bytes, 1e-6),))
CALIBRATION = Calibration("conformance", "made up", "none", _LINK, _LINK, 80e9, ComputeCost(3e12, 5e14, 1e-3))
"""Round numbers of the right size that never change: what a step takes decides which one an arrival falls into."""

SEED = 1


def has_vllm() -> bool:
    """Whether vLLM can be run here."""
    return find_spec("vllm") is not None


def run_ours(case: Case, requests: Requests) -> Trace:
    """The steps of our engine."""
    return record(requests.table, case.name, case.engine, GEOMETRY, CALIBRATION, SEED, aborts=requests.aborts)


def run_vllm(case: Case, requests: Requests) -> Trace:
    """The steps of vLLM's scheduler and block manager, on the times of our simulated device."""
    from pagedkv.vllm.record import record_vllm

    settings: dict[str, Any] = {"async_scheduling": case.async_scheduling}
    if case.offload is not None:
        settings["offload"] = dict(case.offload)
    return record_vllm(
        requests.table, case.name, case.engine, GEOMETRY, CALIBRATION, SEED, settings, aborts=requests.aborts
    )
