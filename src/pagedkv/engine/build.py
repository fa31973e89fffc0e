"""Puts an engine together from configuration."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pagedkv.device.base import Device
from pagedkv.device.calibration import Calibration
from pagedkv.device.simulated import SimulatedDevice
from pagedkv.engine.address import AddressSpace
from pagedkv.engine.blocks import BlockStates
from pagedkv.engine.demand import DStep
from pagedkv.engine.host import HostTier
from pagedkv.engine.host_address import HostSlots
from pagedkv.engine.issuer import Issuer, IssuerSettings
from pagedkv.engine.memory import Demand, StepMemory
from pagedkv.engine.pool import Pool
from pagedkv.engine.tiers import Tiers
from pagedkv.eviction.registry import EVICTIONS
from pagedkv.geometry import Geometry
from pagedkv.prefetch.base import PrefetchPolicy


def build_memory(
    calibration: Calibration,
    geometry: Geometry,
    space: AddressSpace,
    policy: PrefetchPolicy,
    *,
    pool_blocks: int,
    host_blocks: int | None = None,
    eviction: str = "lru",
    eviction_params: Mapping[str, Any] = MappingProxyType({}),
    host_eviction: str = "lru",
    demand: Demand | None = None,
    issuer: IssuerSettings | None = None,
    link_scale: float = 1.0,
    contents: int = 0,
    device: Device | None = None,
) -> StepMemory:
    """A memory over `device`, or over a fresh simulated one. `host_blocks` 0: no host tier; None: unlimited."""
    states = BlockStates(contents)
    pool = Pool(pool_blocks, states, EVICTIONS.get(eviction)(**eviction_params))
    host = None if host_blocks == 0 else HostTier(states, host_blocks, EVICTIONS.get(host_eviction)())
    if host is not None and isinstance(space, HostSlots):
        host.addresses = space
    tiers = Tiers(states, pool, device or SimulatedDevice(calibration, geometry, link_scale), host)
    return StepMemory(tiers, Issuer(tiers, space, issuer or IssuerSettings()), policy, space, demand or DStep(), dict)
