"""Replays a trace under every case and turns each run into a row of metrics."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pagedkv.bound import Bounds, bound_for, overlap_stall_s
from pagedkv.device.base import Device
from pagedkv.device.calibration import Calibration
from pagedkv.engine.address import LOGICAL, PHYSICAL, Logical, Physical, Slots
from pagedkv.engine.build import build_memory
from pagedkv.engine.demand import demand_mode
from pagedkv.engine.host_address import HOST_SPACES, host_slots
from pagedkv.engine.issuer import IssuerSettings
from pagedkv.engine.managed import Mappings, managed_mappings
from pagedkv.engine.pinned import PinnedSchedule
from pagedkv.engine.replay import Replay, Rotation
from pagedkv.engine.script import Script
from pagedkv.engine.scripting import build_script
from pagedkv.errors import PagedKVError
from pagedkv.geometry import Geometry, geometry
from pagedkv.metric.cases import Case, cases
from pagedkv.metric.interval import stall_removed_interval
from pagedkv.metric.knowledge import Knowledge, entry_events, knowledge
from pagedkv.metric.outcome import Outcome, link_columns, prefetch_columns, time_columns
from pagedkv.trace.cut import head
from pagedkv.trace.schema import Trace


class TraceRuns:
    """All runs on one trace. Outcomes are kept: sweeps meet in many places, and baselines serve many rows."""

    def __init__(self, trace: Trace, trace_sha256: str, calibration: Calibration, settings: dict[str, Any]) -> None:
        self.header = trace.header
        self.sha256 = trace_sha256
        self.calibration = calibration
        self.settings = settings
        self.geometry: Geometry = geometry(trace.header["model"]["name"])
        if settings["model"] != self.geometry.name:
            raise PagedKVError(
                f"the trace was recorded with {self.geometry.name}, the configuration says {settings['model']}"
            )
        self.trace = trace
        self._scripts: dict[int | None, Script] = {}
        self._mappings: dict[int | None, Mappings] = {}
        self._outcomes: dict[tuple, Outcome] = {}
        self._bounds: dict[tuple, Bounds] = {}
        self._known: dict[tuple, Knowledge] = {}

    def rows(self, progress: Callable[[str], None] = lambda label: None) -> list[dict[str, Any]]:
        """One row a run, in the order of the configuration."""
        return [self.row(case, progress) for case in cases(self.settings["replay"])]

    def reseeded(self, seed: int) -> TraceRuns:
        """Runs on the same trace with the slots that another seed draws. Those without slots are shared."""
        other = copy.copy(self)
        other.header = {**self.header, "seed": seed}
        other._mappings = {}
        return other

    # ------------------------------------------------------------ runs
    def script(self, steps: int | None) -> Script:
        if steps not in self._scripts:
            self._scripts[steps] = build_script(self.trace if steps is None else head(self.trace, steps))
        return self._scripts[steps]

    def device(self, case: Case) -> Device | None:
        """What plays a case: a simulated device, unless a subclass has another."""
        return None

    def schedule(self, case: Case) -> PinnedSchedule | None:
        """What a device that really computes has to compute."""
        return None

    def warmup(self, script: Script) -> int:
        return int(self.settings["replay"]["warmup"] * script.steps)

    def capacity_blocks(self, case: Case) -> int:
        return int(case.capacity * self.header["pool_blocks"])

    def run(self, case: Case) -> Outcome:
        """Play one case, unless it was played before in whatever sweep."""
        drawn = None if case.address == LOGICAL else self.header["seed"]
        key = (case.prefetch, json.dumps(case.params, sort_keys=True), case.address, case.place, drawn)
        if key not in self._outcomes:
            self._outcomes[key] = self._play(case)
        return self._outcomes[key]

    def _play(self, case: Case) -> Outcome:
        script, engine = self.script(case.steps), self.header["engine"]
        policy = case.policy()
        replay: Replay | None = None
        space = self._slots(case) if policy.spatial else None
        space = space or Logical(lambda request: replay.table_of(request))
        memory = build_memory(
            self.calibration,
            self.geometry,
            space,
            policy,
            pool_blocks=self.capacity_blocks(case),
            eviction=case.eviction,
            demand=demand_mode(case.demand, case.fault_us, case.page_bytes),
            link_scale=case.link_scale,
            device=self.device(case),
        )
        rotation = Rotation(engine["max_num_seqs"], engine["quantum_steps"])
        physical = space if isinstance(space, Physical) else None
        replay = Replay(script, memory, rotation, physical, self.schedule(case))
        warmup = self.warmup(script)
        replay.run(warmup)
        device = memory.tiers.device
        return Outcome(
            memory.counts,
            memory.issuer.counts,
            replay.stalls[warmup:],
            memory.misses,
            memory.tiers.unused_block_s,
            device.h2d.bytes,
            device.d2h.bytes,
            device.h2d.busy_s,
        )

    def _slots(self, case: Case) -> Slots | None:
        """The addresses of a case, unless they are those of requests."""
        if case.address == PHYSICAL:
            return Physical(self.managed(case.steps))
        if case.address in HOST_SPACES:
            return host_slots(case.address, self.script(case.steps), self.header["seed"])
        return None

    def managed(self, steps: int | None) -> Mappings:
        """Who has which slot of managed memory: the schedule alone says so, and it is worked out once a script."""
        if steps not in self._mappings:
            pool_blocks, seed = self.header["pool_blocks"], self.header["seed"]
            self._mappings[steps] = managed_mappings(self.script(steps), pool_blocks, seed)
        return self._mappings[steps]

    # ------------------------------------------------------------ rows
    def row(self, case: Case, progress: Callable[[str], None] = lambda label: None) -> dict[str, Any]:
        """The metrics of one case, against `none` at the same place."""
        label = case.policy().label
        progress(f"{case.sweep} {label} {case.address} {case.eviction} {case.demand} link x{case.link_scale:g}")
        outcome = self.run(case)
        shadow = self.run(case.baseline())
        reference = self.run(case.baseline("lru"))
        row = self._identity(case, label)
        row |= time_columns(self.script(case.steps), outcome, self.warmup(self.script(case.steps)))
        row |= prefetch_columns(outcome, shadow)
        row |= link_columns(outcome, shadow, row["elapsed_s"])
        row |= self._bound(case, outcome, reference)
        row |= vars(self._knowledge(case))
        return row

    def _identity(self, case: Case, label: str) -> dict[str, Any]:
        header, blocks = self.header, self.capacity_blocks(case)
        differs = blocks != header["pool_blocks"]
        return {
            "scenario": self.settings["scenario"],
            "origin": header["origin"],
            "schedule_from": f"pool of {header['pool_blocks']} blocks" if differs else "",
            "sweep": case.sweep,
            "prefetch": case.prefetch,
            "family": case.policy().family,
            "params": json.dumps(case.params, sort_keys=True),
            "address": case.address,
            "label": label,
            "eviction": case.eviction,
            "level": str(case.level),
            "demand": case.demand,
            "fault_us": case.fault_us,
            "page_bytes": case.page_bytes or 0,
            "capacity_blocks": blocks,
            "capacity_ratio": blocks / header["peak_live_blocks"],
            "peak_live_blocks": header["peak_live_blocks"],
            "block_bytes": header["block_bytes"],
            "weights_bytes": self.geometry.total_weight_bytes,
            "link_scale": case.link_scale,
            "seed": header["seed"],
            "requests": header["requests"],
            "rate_scale": header["rate_scale"],
            "trace_sha256": self.sha256,
        }

    def _bound(self, case: Case, outcome: Outcome, reference: Outcome) -> dict[str, Any]:
        stall, base = outcome.stall_s, reference.stall_s
        low, high = stall_removed_interval(outcome.stalls_s, reference.stalls_s)
        row = {
            "stall_none_s": base,
            "stall_removed": 1.0 - stall / base if base > 0 else math.nan,
            "stall_removed_lo": low,
            "stall_removed_hi": high,
        }
        script = self.script(case.steps)
        bounds = self._bounds_at(case, script)
        bound = bounds.stall_s
        free_s = bounds.compute_s + float(script.idle_s[self.warmup(script) :].sum())
        return row | {
            "bound_compute_s": bounds.compute_s,
            "bound_min_loads": float(bounds.min_loads),
            "bound_b1_s": bounds.b1_stall_s,
            "bound_b2_s": bounds.b2_stall_s,
            "bound_b4_s": bounds.b4_stall_s,
            "bound_b5_s": overlap_stall_s(reference.counts.demand_loads, self._tau_s(case), free_s),
            "bound_b7_s": bounds.b7_saved_s,
            "bound_s": bound,
            "optimality_gap": (stall - bound) / (base - bound) if base > bound else math.nan,
        }

    def _tau_s(self, case: Case) -> float:
        return self.calibration.host_to_device.scaled(case.link_scale).each_s(self.geometry.block_bytes)

    def _bounds_at(self, case: Case, script: Script) -> Bounds:
        layers = self.geometry.layers if case.demand == "D-layer" else 1
        key = (case.capacity, case.link_scale, case.steps, layers)
        if key not in self._bounds:
            usable = self.capacity_blocks(case) - 1
            self._bounds[key] = bound_for(script, usable, self._tau_s(case), self.warmup(script), layers)
        return self._bounds[key]

    def _knowledge(self, case: Case) -> Knowledge:
        plain = replace(case.baseline("lru"), demand="D-step", fault_us=0.0, page_bytes=None)
        if plain.place not in self._known:
            script = self.script(case.steps)
            events = entry_events(script, self.run(plain).misses, self.warmup(script))
            cost = self.calibration.host_to_device.scaled(case.link_scale)
            link = cost.submit_s, cost.each_s(self.geometry.block_bytes), IssuerSettings().quantum_blocks
            self._known[plain.place] = knowledge(events, script, *link)
        return self._known[plain.place]
