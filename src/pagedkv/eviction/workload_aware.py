"""Reuse probability by class of request."""

from enum import IntEnum
from typing import Any

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.ladder import Level
from pagedkv.eviction._queue import Mask, Queue
from pagedkv.eviction.base import Contents, EvictionPolicy
from pagedkv.eviction.registry import register


class Fate(IntEnum):
    """What is said of a request that leaves the batch."""

    QUEUED = 0
    """It waits to run on."""
    PAUSED = 1
    """It has finished, and the client said that another turn of the session follows."""
    DONE = 2
    """It has finished, and so has the session."""


@register
class WorkloadAware(EvictionPolicy):
    """Evict the block that is least likely to be read within the next `window_s` seconds, by what became of the blocks
    of like requests.

    The class of a block is that of the last request that let go of it: its `Fate` and its turn, all turns from `turns`
    on being one. The engine tells it by `released`. Of each class the share p of blocks that were read again is kept,
    and the mean of the times until then, which are taken to be exponentially distributed with rate r. A block that has
    waited for t seconds is read in the next w with probability p e^(-rt) (1 - e^(-rw)) / (1 - p + p e^(-rt)). Within a
    class that falls with t, so that each class is an LRU queue, and only their heads are compared; of equals the one
    that is out of use longest goes. Each class starts as if one block had been read again, after the mean time of all
    classes, and one had not.

    `window_s` (10): the time ahead that counts; `turns` (8). Prefetched blocks wait from their arrival on. The paper
    classifies by type of request and turn; the tables at hand have no type, and what the client says stands for it.

    Level: I4. Cost: O(1) a block that is read or released, O(classes * victims) an eviction. Source: Wang et al.,
    KVCache Cache in the Wild, arXiv 2506.02634 (ATC 2025); vLLM pull request 22236.
    """

    name = "workload_aware"
    level = Level.I4
    source = "Wang et al., KVCache Cache in the Wild, arXiv 2506.02634"
    parameters = {"window_s": 10.0, "turns": 8}
    least = {"turns": 1}
    at_least = {"window_s": 0.0}

    window_s: float
    turns: int

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        classes = len(Fate) * self.turns
        self._class = np.full(0, 0, np.int64)
        self._released_s = np.full(0, np.nan)
        """When each content was let go of, NaN from its next use on."""
        self._waiting_s = np.zeros(0)
        """When each content became evictable."""
        self._releases, self._reuses, self._reuse_s = np.zeros(classes), np.zeros(classes), np.zeros(classes)
        self._queues = [Queue() for _ in range(classes)]

    # ------------------------------------------------------------ what is learnt
    def released(self, contents: Contents, fate: Fate, turn: int) -> None:
        """A request that is the session's turn number `turn` (from 0 on) lets go of `contents`, which may become
        evictable then."""
        if len(contents):
            self._grow(contents)
            number = fate * self.turns + min(turn, self.turns - 1)
            self._class[contents] = number
            self._released_s[contents] = self.now_s
            self._releases[number] += len(contents)

    def touch(self, contents: Contents) -> None:
        if len(contents):
            self._grow(contents)
            reused = contents[~np.isnan(self._released_s[contents])]
            np.add.at(self._reuses, self._class[reused], 1)
            np.add.at(self._reuse_s, self._class[reused], self.now_s - self._released_s[reused])
            self._released_s[reused] = np.nan

    # ------------------------------------------------------------ the set
    def insert(self, contents: Contents) -> None:
        super().insert(contents)
        if len(contents):
            self._grow(contents)
            self._waiting_s[contents] = self.now_s
            for number in np.unique(self._class[contents]).tolist():
                among = contents[self._class[contents] == number]
                self._queues[number].push(among, self._serial[among])

    def victims(self, count: int, allowed: Mask) -> Contents:
        heads = np.concatenate([queue.take(count, self._current, allowed) for queue in self._queues])
        return heads[np.lexsort((self._serial[heads], self._probability(heads)))][:count]

    def _probability(self, contents: Contents) -> np.ndarray:
        """Probability that each content is read in the next `window_s`."""
        share, rate = self._model()
        p, r = share[self._class[contents]], rate[self._class[contents]]
        unread = p * np.exp(-r * (self.now_s - self._waiting_s[contents]))
        return unread * -np.expm1(-r * self.window_s) / (1 - p + unread)

    def _model(self) -> tuple[np.ndarray, np.ndarray]:
        """(share of blocks that were read again, rate of doing so) of each class."""
        reuses, reuse_s = self._reuses.sum(), self._reuse_s.sum()
        mean_s = reuse_s / reuses if reuse_s > 0 else 1.0
        share = (self._reuses + 1) / (self._releases + 2)
        return share, (self._reuses + 1) / (self._reuse_s + mean_s)

    def _grow(self, contents: Contents) -> None:
        largest = int(contents.max())
        self._class = fitted(self._class, largest, 0)
        self._released_s = fitted(self._released_s, largest, np.nan)
        self._waiting_s = fitted(self._waiting_s, largest, 0.0)
