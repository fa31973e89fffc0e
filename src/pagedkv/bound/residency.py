"""B7: how much load time can be saved by keeping blocks on the GPU until they are needed again."""

from __future__ import annotations

import numpy as np

from pagedkv.bound.intervals import Intervals
from pagedkv.bound.link_time import LinkTime


def residency_saving(
    begin: np.ndarray, end: np.ndarray, blocks: np.ndarray, saved: np.ndarray, weight: np.ndarray, room: np.ndarray
) -> float:
    """The most that any choice of what to keep saves.

    Group i, `blocks[i]` blocks, is idle over the slots of time begin[i] .. end[i] - 1; keeping a share of it throughout
    saves that share of `saved[i]`, which may be an expectation: delay times the probability that the group comes back.
    In slot t `room[t]` idle blocks fit; `weight[t]` is how long the slot lasts.

    Spread what a group saves over its slots in proportion to their weight. Then a choice saves, per unit of weight, in
    each slot what the blocks kept there are worth, at most what the densest blocks that fit are worth: a fractional
    knapsack in each slot (policies.md, B7). The sum over slots holds for every choice, so also for one made without
    knowing who comes back. A group without weight is counted whole. Cost: O((groups + slots) log groups).
    """
    elapsed = np.concatenate([[0.0], np.cumsum(weight)])
    span = elapsed[end] - elapsed[begin]
    placed = (span > 0) & (blocks > 0)
    whole = float(saved[~placed].sum())
    begin, end, blocks, worth = begin[placed], end[placed], blocks[placed], saved[placed] / span[placed]
    order = np.argsort(-worth / blocks, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    knapsack = _Knapsack(len(order))
    change = np.concatenate([end, begin])
    sign = np.repeat([-1.0, 1.0], len(begin))
    which = np.concatenate([rank, rank])
    size, value = np.concatenate([blocks, blocks]) * sign, np.concatenate([worth, worth]) * sign
    by_slot = np.argsort(change, kind="stable")
    bounds = np.searchsorted(change[by_slot], np.arange(len(weight) + 1)).tolist()
    total = 0.0
    for slot, (low, high) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        for i in by_slot[low:high].tolist():
            knapsack.change(int(which[i]), float(size[i]), float(value[i]))
        total += weight[slot] * knapsack.best(float(room[slot]))
    return whole + total


def residency_saved_s(
    intervals: Intervals, capacity_blocks: int, tau_s: float, link: LinkTime, warmup_steps: int = 0
) -> float:
    """B7 of a trace from its cut on: load time that keeping blocks over their idle intervals saves at most.

    Every interval ends in a use, so each is worth its load time, `tau_s` a block. Slots are steps, and last as long as
    they compute; in the step before the cut a block may be held for nothing.
    """
    measured = intervals.entry >= max(warmup_steps, 1)
    begin = np.maximum(intervals.leave[measured], warmup_steps)
    entry, blocks = intervals.entry[measured], intervals.blocks[measured].astype(float)
    room = capacity_blocks - intervals.working
    return residency_saving(begin, entry, blocks, tau_s * blocks, link.end_s - link.start_s, room)


class _Knapsack:
    """Sizes and values by rank, the densest first, as Fenwick trees: the most value of a given size."""

    def __init__(self, ranks: int) -> None:
        self._size = [0.0] * (ranks + 1)
        self._value = [0.0] * (ranks + 1)
        self._items = [(0.0, 0.0)] * ranks
        self._top = 1 << ranks.bit_length() >> 1 if ranks else 0

    def change(self, rank: int, size: float, value: float) -> None:
        own_size, own_value = self._items[rank]
        self._items[rank] = own_size + size, own_value + value
        node = rank + 1
        while node < len(self._size):
            self._size[node] += size
            self._value[node] += value
            node += node & -node

    def best(self, room: float) -> float:
        """Value of what fits into `room`, the last item in part."""
        node, value, step = 0, 0.0, self._top
        while step:
            following = node + step
            if following < len(self._size) and self._size[following] <= room:
                node = following
                room -= self._size[node]
                value += self._value[node]
            step >>= 1
        if node < len(self._items):  # the next one, which is larger than what is left
            size, worth = self._items[node]
            value += worth * max(0.0, room) / size
        return value
