"""Which runs a replay section of the configuration asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pagedkv.engine.address import LOGICAL, PHYSICAL
from pagedkv.engine.host_address import HOST_SPACES
from pagedkv.engine.ladder import Level
from pagedkv.errors import PagedKVError
from pagedkv.eviction.registry import EVICTIONS
from pagedkv.prefetch.base import PrefetchPolicy
from pagedkv.prefetch.registry import PREFETCHERS

ADDRESSES = (LOGICAL, PHYSICAL, *HOST_SPACES)

MATCHED = {Level.I4: "plan_aware", Level.I5: "plan_aware", Level.I6: "min"}
"""Eviction of a level in the `matched` sweep; lru below I4."""


@dataclass(frozen=True)
class Case:
    """One run of one policy. `steps`: play only the first so many steps of the trace (None: all)."""

    prefetch: str
    params: dict[str, Any] = field(default_factory=dict)
    address: str = LOGICAL
    eviction: str = "lru"
    demand: str = "D-step"
    fault_us: float = 0.0
    page_bytes: int | None = None
    capacity: float = 1.0
    link_scale: float = 1.0
    steps: int | None = None
    sweep: str = "main"

    def policy(self) -> PrefetchPolicy:
        """A fresh policy object."""
        return PREFETCHERS.get(self.prefetch)(**self.params)

    @property
    def level(self) -> Level:
        """The higher of the prefetch's level, under this addressing, and the eviction's."""
        policy = self.policy()
        own = policy.level
        if policy.spatial and self.address == LOGICAL:
            own = max(own, Level.I1)
        return Level(max(own, EVICTIONS.get(self.eviction).level))

    def baseline(self, eviction: str | None = None) -> Case:
        """The same place without prefetching, under this or another eviction policy."""
        return replace(self, prefetch="none", params={}, address=LOGICAL, eviction=eviction or self.eviction)

    @property
    def place(self) -> tuple:
        """What two runs must share to be compared as baseline and policy."""
        return (self.eviction, self.demand, self.fault_us, self.page_bytes, self.capacity, self.link_scale, self.steps)


def cases(replay: dict[str, Any]) -> Iterator[Case]:
    """All runs that the section asks for; `none` comes first in every sweep."""
    for capacity in replay["capacity"]:
        at = Case("none", capacity=capacity)
        yield from _main(replay, at)
        yield from _matched(replay, at)
    at = Case("none", capacity=replay["capacity"][0])
    yield from _rho(replay, replace(at, sweep="rho"))
    yield from _demand(replay, replace(at, sweep="demand", steps=replay["demand_steps"]))


def addresses_of(entry: Mapping[str, Any]) -> list[str]:
    """The addressings under which an entry of the configuration runs."""
    given = entry.get("address", LOGICAL)
    addresses = [given] if isinstance(given, str) else list(given)
    for address in addresses:
        if address not in ADDRESSES:
            raise PagedKVError(f"config: replay: address '{address}' is unknown; known are {', '.join(ADDRESSES)}")
    return addresses


def _policies(entries: list[dict[str, Any]], at: Case) -> Iterator[Case]:
    for entry in entries:
        for address in addresses_of(entry):
            yield replace(at, prefetch=entry["prefetch"], params=entry.get("params", {}), address=address)


def _main(replay: dict[str, Any], at: Case) -> Iterator[Case]:
    for eviction in replay["evictions"]:
        yield replace(at, eviction=eviction)
    for case in _policies(replay["policies"], at):
        if case.prefetch != "none":
            yield case


def _matched(replay: dict[str, Any], at: Case) -> Iterator[Case]:
    if not replay["matched"]:
        return
    for case in _policies(replay["policies"], replace(at, sweep="matched")):
        if case.prefetch != "none":
            yield replace(case, eviction=MATCHED.get(case.level, "lru"))


def _rho(replay: dict[str, Any], at: Case) -> Iterator[Case]:
    for scale in replay["link_scale"]:
        for case in [replace(at, link_scale=scale), *_policies(replay["sweep"], replace(at, link_scale=scale))]:
            yield case
            if case.prefetch != "none" and MATCHED.get(case.level):
                yield replace(case, eviction=MATCHED[case.level])


def _demand(replay: dict[str, Any], at: Case) -> Iterator[Case]:
    for demand in replay["demand"]:
        fault_us = replay["fault_us"][0] if demand == "D-page" else 0.0
        yield from _policies(replay["demand_policies"], replace(at, demand=demand, fault_us=fault_us))
    if "D-page" in replay["demand"]:
        fault = replace(at, sweep="fault", demand="D-page")
        for fault_us in replay["fault_us"]:
            yield from _policies(replay["demand_policies"][:2], replace(fault, fault_us=fault_us))
        yield replace(fault, fault_us=replay["fault_us"][0], page_bytes=replay["page_bytes"])
