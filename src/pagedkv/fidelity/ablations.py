"""The model under test, and the same without one of its parts: what it has to be worse without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pagedkv.device.calibration import Calibration
from pagedkv.device.cost import ComputeCost, EngineCost, MeasuredCost
from pagedkv.engine.settings import EngineSettings

WRONG_CAPACITY = 1.3
"""A simulator that gives itself so much more room than the engine had (LLMServingSim's example, systems.md 4.2)."""


@dataclass(frozen=True)
class Model:
    """What a free-running simulation rests on."""

    calibration: Calibration
    settings: EngineSettings


def ablations(model: Model) -> Iterator[tuple[str, Model]]:
    """(name, `model` without a part), for every part that it has."""
    settings, calibration = model.settings, model.calibration
    pool = int(WRONG_CAPACITY * settings.pool_blocks)
    yield "wrong capacity", replace(model, settings=replace(settings, pool_blocks=pool))
    alone = calibration.host_to_device.bytes_per_s + calibration.device_to_host.bytes_per_s
    yield "no contention", replace(model, calibration=replace(calibration, both_directions_bytes_per_s=alone))
    yield "no slow-down", replace(model, calibration=_undisturbed(calibration))
    yield "no launch overhead", replace(model, calibration=_without_overhead(calibration))
    if settings.host_blocks is not None:
        yield "infinite host", replace(model, settings=replace(settings, host_blocks=None))


def _undisturbed(calibration: Calibration) -> Calibration:
    """Loads beside a step cost it nothing."""
    compute = calibration.compute
    if isinstance(compute, MeasuredCost):
        compute = replace(compute, engine=replace(compute.engine, loading_s=0.0))
    return replace(calibration, compute_slowdown=1.0, compute=compute)


def _without_overhead(calibration: Calibration) -> Calibration:
    """Work that only the host does costs nothing: launching a step, submitting a copy."""
    into, out = (replace(cost, submit_s=0.0) for cost in (calibration.host_to_device, calibration.device_to_host))
    return replace(calibration, host_to_device=into, device_to_host=out, compute=_launched(calibration.compute))


def _launched(cost: ComputeCost | MeasuredCost) -> ComputeCost | MeasuredCost:
    if isinstance(cost, ComputeCost):
        return replace(cost, step_overhead_s=0.0)
    paths = {name: replace(getattr(cost, name), host_s=0.0, launch_s=0.0) for name in ("decode", "mixed")}
    return replace(cost, engine=EngineCost(), **paths)
