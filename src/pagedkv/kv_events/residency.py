"""Which blocks lie where, as told by events; and which come back to the GPU after they were removed.

A hash may be announced several times (equal blocks computed at once, chunks of an offload tier that overlap): it stays
until it was removed as often. A removal of what was never announced happens at the start of a log, and behind a gap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pagedkv.kv_events.events import GPU, AllBlocksCleared, Batch, BlockHash, BlockRemoved, BlockStored

Key = tuple[int, BlockHash]
"""(KV cache group, hash): what identifies a block within the tier of a rank."""


@dataclass
class Tier:
    """Blocks of one rank on one medium, and what was counted there. `blocks` maps each to its announcements and to the
    time of the first one, NaN where that was not seen."""

    blocks: dict[Key, tuple[int, float]] = field(default_factory=dict)
    stored: int = 0
    stored_again: int = 0
    """Announcements of blocks that were there already."""
    removed: int = 0
    removed_unseen: int = 0
    """Removals of blocks whose storing is not in the log."""
    cleared: int = 0
    peak: int = 0
    lifetimes_s: list[float] = field(default_factory=list)
    series: list[tuple[float, int, int, int]] = field(default_factory=list)
    """(time, stored so far, removed so far, resident) after each batch that changed something."""

    def store(self, key: Key, now_s: float) -> None:
        count, since_s = self.blocks.get(key, (0, now_s))
        self.stored += 1
        self.stored_again += count > 0
        self.blocks[key] = count + 1, since_s
        self.peak = max(self.peak, len(self.blocks))

    def remove(self, key: Key, now_s: float) -> bool:
        """Whether the block is gone with this removal."""
        self.removed += 1
        if key not in self.blocks:
            self.removed_unseen += 1
            return True
        count, since_s = self.blocks.pop(key)
        if count > 1:
            self.blocks[key] = count - 1, since_s
            return False
        self.lifetimes_s.append(now_s - since_s)
        return True

    def clear(self) -> None:
        self.cleared += len(self.blocks)
        self.blocks.clear()

    def note(self, now_s: float) -> None:
        """A batch is over."""
        seen = (now_s, self.stored, self.removed, len(self.blocks))
        if not self.series or self.series[-1][1:] != seen[1:]:
            self.series.append(seen)


@dataclass(frozen=True)
class Departure:
    """Blocks that left the GPU of `rank`, in order; None: it was reset, and nothing before may be used again."""

    rank: int
    blocks: tuple[int, ...] | None


@dataclass(frozen=True)
class Arrival:
    """Blocks that one event stored on the GPU of a rank, one behind the other; `came_back[i]`: it was removed before.

    `depth`: blocks of the prefix before them (0 if the log does not hold its root, `rooted`). `follows`: number of the
    arrival that this one goes on with, -1 if a request begins or resumes here: in chunked prefill a request stores its
    blocks in several steps, and the next chunk comes in the same batch or the next one. `held[i]`: another medium had
    the block, so that it may have been loaded.
    """

    rank: int
    number: int
    batch: int
    ts: float
    blocks: tuple[int, ...]
    block_tokens: int
    came_back: np.ndarray
    held: np.ndarray
    away_s: np.ndarray
    """By block: time since it was removed, NaN if it was not."""
    others_stored: np.ndarray
    """By block: how many other blocks were stored since it was removed, -1 if it was not."""
    depth: int
    rooted: bool
    follows: int


class Residency:
    """Plays a log. `tiers` maps (rank, medium) to what was counted; `moves` holds what the GPU lost and got, in order.

    In `moves`, blocks are numbered in order of appearance, apart for each rank.
    """

    def __init__(self) -> None:
        self.tiers: dict[tuple[int, str], Tier] = defaultdict(Tier)
        self.moves: list[Arrival | Departure] = []
        self.arrivals = 0
        self.groups: set[int] = set()
        self._numbers: dict[tuple[int, Key], int] = {}
        self._away: dict[tuple[int, Key], tuple[float, int]] = {}
        """Of each block removed from a GPU: when, and how many blocks had been stored there."""
        self._depths: dict[tuple[int, Key], int] = {}
        self._ends: dict[tuple[int, Key], tuple[int, int]] = {}
        """Last block of an arrival -> (its batch among those of the rank, its number)."""
        self._batches: dict[int, int] = defaultdict(int)

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> Residency:
        residency = cls()
        for number, batch in enumerate(batches):
            residency.play(batch, number)
        return residency

    def play(self, batch: Batch, number: int) -> None:
        """Apply the events of a batch, the `number`-th of the log, in their order."""
        self._batches[batch.rank] += 1
        for event in batch.events:
            if isinstance(event, BlockStored):
                self._store(event, batch, number)
            elif isinstance(event, BlockRemoved):
                self._remove(event, batch)
            elif isinstance(event, AllBlocksCleared):
                self._clear(batch.rank)
        for (rank, _), tier in self.tiers.items():
            if rank == batch.rank:
                tier.note(batch.ts)

    # ------------------------------------------------------------ events
    def _store(self, event: BlockStored, batch: Batch, number: int) -> None:
        tier = self.tiers[batch.rank, event.medium]
        keys = [(event.group_idx, block) for block in event.block_hashes]
        if event.medium == GPU:
            self.groups.add(event.group_idx)
            fresh = [key for key in dict.fromkeys(keys) if key not in tier.blocks]
            if fresh:
                self._arrive(event, keys, fresh, batch, number)
        for key in keys:
            tier.store(key, batch.ts)

    def _arrive(self, event: BlockStored, keys: list[Key], fresh: list[Key], batch: Batch, number: int) -> None:
        rank, stored = batch.rank, self.tiers[batch.rank, GPU].stored
        parent = (rank, (event.group_idx, event.parent_block_hash))
        known = event.parent_block_hash is None or parent in self._depths
        start = self._depths[parent] + 1 if parent in self._depths else 0
        for place, key in enumerate(keys):
            self._depths[rank, key] = start + place
        nobody = (np.nan, stored + 1)
        away = [self._away.pop((rank, key), nobody) for key in fresh]
        others = np.array([stored - at for _, at in away])
        came_back, ordinal = others >= 0, self._batches[rank]
        before, follows = self._ends.pop(parent, (0, -1))
        self._ends[rank, keys[-1]] = ordinal, self.arrivals
        self.moves.append(
            Arrival(
                rank=rank,
                number=self.arrivals,
                batch=number,
                ts=batch.ts,
                blocks=tuple(self._number(rank, key) for key in fresh),
                block_tokens=event.block_size,
                came_back=came_back,
                held=np.array([self._elsewhere(rank, key) for key in fresh]),
                away_s=batch.ts - np.array([at_s for at_s, _ in away]),
                others_stored=others,
                depth=self._depths[rank, fresh[0]],
                rooted=known,
                follows=follows if ordinal - before <= 1 else -1,
            )
        )
        self.arrivals += 1

    def _remove(self, event: BlockRemoved, batch: Batch) -> None:
        tier = self.tiers[batch.rank, event.medium]
        keys = [(event.group_idx, block) for block in event.block_hashes]
        gone = [key for key in keys if tier.remove(key, batch.ts)]
        if event.medium == GPU and gone:
            self._away.update({(batch.rank, key): (batch.ts, tier.stored) for key in gone})
            self.moves.append(Departure(batch.rank, tuple(self._number(batch.rank, key) for key in gone)))

    def _clear(self, rank: int) -> None:
        self.tiers[rank, GPU].clear()
        self._away = {place: at for place, at in self._away.items() if place[0] != rank}
        self.moves.append(Departure(rank, None))

    def _number(self, rank: int, key: Key) -> int:
        return self._numbers.setdefault((rank, key), len(self._numbers))

    def _elsewhere(self, rank: int, key: Key) -> bool:
        others = (tier for (owner, medium), tier in self.tiers.items() if owner == rank and medium != GPU)
        return any(key in tier.blocks for tier in others)
