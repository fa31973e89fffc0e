"""What loads from a host tier would have cost, and what prefill they would have saved at most, by calibrated costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pagedkv.device.calibration import Calibration, step_compute_s
from pagedkv.geometry import Geometry
from pagedkv.kv_events.host_tier import Held
from pagedkv.kv_events.residency import Arrival


@dataclass(frozen=True)
class Costs:
    """Costs of a deployment with blocks of `block_tokens` tokens of the given model."""

    calibration: Calibration
    geometry: Geometry
    block_tokens: int

    @property
    def block_bytes(self) -> int:
        return self.block_tokens * self.geometry.token_bytes

    def load_s(self, blocks: np.ndarray) -> np.ndarray:
        """Time on the link of loads of so many blocks, a submission each; 0 for a load of none."""
        copy = self.calibration.host_to_device
        return np.where(blocks > 0, copy.submit_s + blocks * copy.each_s(self.block_bytes), 0.0)

    def store_s(self, blocks: int) -> float:
        """Time on the other direction of so many blocks. Submissions are not counted: nobody knows how many."""
        return blocks * self.calibration.device_to_host.each_s(self.block_bytes)


@dataclass(frozen=True)
class Worth:
    """Of one tier, over a whole log: seconds of the link in either direction, and of prefill that is saved at most."""

    loaded_blocks: int
    stored_blocks: int
    load_s: float
    store_s: float
    saved_s: float

    @property
    def gain_s(self) -> float:
        """Prefill saved at most, less the loads: what is left if nothing hides them."""
        return self.saved_s - self.load_s


def worth(held: Held, arrivals: Sequence[Arrival], costs: Costs) -> Worth:
    """Worth of what a tier held. Raises PagedKVError where the calibration knows another model than that of `costs`."""
    return Worth(
        loaded_blocks=int(held.loaded.sum()),
        stored_blocks=held.stores,
        load_s=float(costs.load_s(held.loaded).sum()),
        store_s=costs.store_s(held.stores),
        saved_s=saved_s(held, arrivals, costs),
    )


def saved_s(held: Held, arrivals: Sequence[Arrival], costs: Costs) -> float:
    """Prefill compute saved at most: for every batch of events, a step that computes all of its loaded blocks and
    nothing else, and that is not run at all. A real step computes others beside them, and is only made shorter."""
    steps: dict[int, list[tuple[int, int]]] = {}
    for arrival in arrivals:
        if count := int(held.loaded[arrival.number]):
            chunk = arrival.depth * costs.block_tokens, count * costs.block_tokens
            steps.setdefault(arrival.batch, []).append(chunk)
    total = 0.0
    for chunks in steps.values():
        tokens = sum(count for _, count in chunks)
        context = tokens + sum(before for before, _ in chunks)
        pairs = sum(count * (before + (count + 1) / 2) for before, count in chunks)
        total += step_compute_s(costs.calibration.compute, costs.geometry, tokens, context, pairs)
    return total


def run_blocks(held: Held, arrivals: Sequence[Arrival]) -> tuple[np.ndarray, np.ndarray]:
    """(blocks, depth of the first) of every load as a request would see it: the loaded blocks of arrivals that go on
    with each other, together."""
    run_of: list[int] = []
    for arrival in arrivals:
        run_of.append(run_of[arrival.follows] if arrival.follows >= 0 else arrival.number)
    blocks = np.bincount(run_of, weights=held.loaded, minlength=len(arrivals)).astype(np.int64)
    depths = np.array([arrival.depth for arrival in arrivals], np.int64)
    return blocks[blocks > 0], depths[blocks > 0]
