"""The tree-based density prefetcher of NVIDIA's UVM driver."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch._residency import Residency
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class UvmTree(PrefetchPolicy):
    """Fill the largest subtree around a fault of which more than a threshold is occupied.

    The addresses of a stream are cut into regions of `region` blocks, each the leaves of a binary tree. For the faults
    of one call, a leaf is occupied if its block is present or faults; then each aligned group of `big_page` leaves
    with a fault counts as occupied whole. For each faulting leaf, the largest subtree on its way to the root whose
    occupied share is strictly above `threshold` percent is fetched. A tree ends at the highest address of its region
    of which anything was told, and its shares count the leaves up to there.

    `threshold`: 51. `region`: 512 leaves, as 2 MiB in pages of 4 KiB. `big_page`: 16 leaves, as 64 KiB; 1: off.
    `min_faults`: 1, faults in a region before anything is fetched there. The driver gathers the faults of many warps
    in one batch; here a batch is what one call shows, all faults of a step in D-step and one in D-page. Left out: the
    whole-region fill at a first touch (a first touch creates a block, it never loads one) and the exemption of pages
    that thrash between processors.

    Level: I0/I1. Cost: O(region) a region with faults, O(log region) a fault. Source: NVIDIA open-gpu-kernel-modules,
    uvm_perf_prefetch.c; policies.md 2.5.
    """

    name = "uvm_tree"
    level = Level.I0
    source = "NVIDIA open-gpu-kernel-modules, uvm_perf_prefetch.c"
    parameters = {"threshold": 51, "region": 512, "big_page": 16, "min_faults": 1}
    least = {"threshold": 1, "region": 1, "big_page": 1, "min_faults": 1}
    feedback = True

    threshold: int
    region: int
    big_page: int
    min_faults: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if self.threshold > 100:
            raise PagedKVError(f"uvm_tree: threshold is a percentage, not {self.threshold}")
        self._residency = Residency()
        self._faults: dict[tuple[int, int], int] = defaultdict(int)

    def propose(self, view: View) -> list[Fetch]:
        self._residency.update(view)
        self._residency.accessed(view.accesses)
        faults = view.accesses.faults()
        batches: dict[tuple[int, int], list[int]] = {}
        for stream, index in zip(faults.stream.tolist(), faults.index.tolist(), strict=True):
            batches.setdefault((stream, index // self.region), []).append(index % self.region)
        return [fetch for place, leaves in batches.items() for fetch in self._batch(*place, leaves)]

    def _batch(self, stream: int, number: int, faulting: list[int]) -> list[Fetch]:
        """Fetches in region `number` of a stream, in which the leaves `faulting` fault."""
        self._faults[stream, number] += len(faulting)
        if self._faults[stream, number] < self.min_faults:
            return []
        base = number * self.region
        present = self._residency.present(stream, base, self.region)
        chosen = self._chosen(present, sorted(faulting)) & ~present
        edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]))).tolist()
        return [Fetch(stream, base + a, b - a) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    def _chosen(self, present: np.ndarray, faulting: list[int]) -> np.ndarray:
        """Mask of the subtrees to be filled. The faulting leaves are present, as their loads are under way."""
        leaves = len(present)
        occupied = present.copy()
        for leaf in faulting:
            group = leaf - leaf % self.big_page
            occupied[group : group + self.big_page] = True
        upto = np.concatenate([[0], np.cumsum(occupied)])
        chosen = np.zeros(leaves, bool)
        done = 0
        for leaf in faulting:
            if leaf < done:
                continue  # in a subtree that is chosen: the way up from here on is the same
            first, end, size = leaf, leaf + 1, 1
            while size < leaves:
                size *= 2
                low = leaf - leaf % size
                high = min(low + size, leaves)
                if (upto[high] - upto[low]) * 100 > (high - low) * self.threshold:
                    first, end = low, high
            chosen[first:end] = True
            done = end
        return chosen
