"""Runs a case on our engine, or on vLLM where that is installed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pagedkv.conformance.cases import Case
from pagedkv.conformance.requests import Requests
from pagedkv.device.calibration import Calibration, ComputeCost, CopyCost
from pagedkv.engine.record import record
from pagedkv.geometry import geometry
from pagedkv.trace.schema import Trace
from pagedkv.vllm.record import record_vllm
from pagedkv.vllm.settings import VllmSettings

GEOMETRY = geometry("llama-3-8b")

_LINK = CopyCost(50e9, 10e-6, ((GEOMETRY.piece_bytes, 1e-6),))
CALIBRATION = Calibration("conformance", "made up", "none", _LINK, _LINK, 80e9, ComputeCost(3e12, 5e14, 1e-3))
"""Round numbers of the right size that never change: what a step takes decides which one an arrival falls into."""

SEED = 1


def run_ours(case: Case, requests: Requests) -> Trace:
    """The steps of our engine; a host tier is loaded from while others go on, as vLLM does."""
    modes = {"async_loads": case.offload is not None, "async_scheduling": case.async_scheduling}
    return record(*_inputs(case, requests), aborts=requests.aborts, **modes)


def run_vllm(case: Case, requests: Requests) -> Trace:
    """The steps of vLLM's scheduler and block manager, on the times of our simulated device."""
    offload = "none" if case.offload is None else case.offload.get("eviction", "lru")
    settings = VllmSettings(async_scheduling=case.async_scheduling, offload=offload)
    return record_vllm(*_inputs(case, requests), settings, aborts=requests.aborts)


def _inputs(case: Case, requests: Requests) -> tuple[Any, ...]:
    """What both engines are told alike."""
    engine = case.engine
    if case.offload is not None:
        engine = replace(engine, host_blocks=case.offload["host_blocks"])
    return requests.table, case.name, engine, GEOMETRY, CALIBRATION, SEED
