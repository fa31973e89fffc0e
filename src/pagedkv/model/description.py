"""What the host says of a step, in pinned memory that kernels read by themselves; see `model/batch.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pagedkv.device.base import Scheduled, Step
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model.batch import COMPUTED, FIELDS, PRODUCES, ROW, SCHEDULED, START, UPDATE


@dataclass
class Row:
    """Where a live request stands in the token store."""

    index: int
    rank: int = -1
    blocks: int = 0
    """Entries of its block table that the device has."""


class Description:
    """Of one step at a time: `requests` [max_batch, FIELDS], and `updates` [u, UPDATE], new entries of block tables.

    A batch that goes on is described by what changes: lengths, and the blocks that are begun.
    """

    def __init__(self, max_batch: int, blocks: int, rows: int, pinned: bool) -> None:
        """`blocks` of a request at most; `rows` of the token store, behind which there is one for padding."""
        self.requests = torch.zeros((max_batch, FIELDS), dtype=torch.int32, pin_memory=pinned)
        self.updates = torch.zeros((max_batch * blocks, UPDATE), dtype=torch.int32, pin_memory=pinned)
        self._described, self._entries = self.requests.numpy(), self.updates.numpy()
        self._first, self._end = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        """By row: positions of the tokens that the request produced, from `first`, before `end`."""
        self._padding_row = rows
        self.forget()

    def forget(self) -> None:
        """What comes does not follow the last step: a request of that is gone."""
        self.count = self.tokens = self.longest = self.context = self.new = 0
        self._last: Step | None = None

    def admit(self, row: int) -> None:
        """A new request takes `row`."""
        self._first[row] = self._end[row] = 0

    def produced(self, row: int) -> slice:
        """Positions of the tokens that the request in `row` has produced."""
        return slice(int(self._first[row]), int(self._end[row]))

    def pad(self, requests: int) -> None:
        """Describe the step as one of so many requests, and as many new entries, for a CUDA graph of that size."""
        if self.count < requests:
            self._described[self.count : requests] = (self._padding_row, -1, 1, 0, 0)
            self._described[self.count : requests, START] = np.arange(self.count, requests)
        self._entries[self.new : requests] = (self._padding_row, 0, 0)

    # ------------------------------------------------------------ the next step
    def goes_on(self, step: Step) -> bool:
        """The batch of the last step decodes on: every length in it grows by one."""
        last = self._last
        return (
            last is not None
            and step.requests == last.requests
            and (step.ranks is last.ranks or bool((step.ranks == last.ranks).all()))
            and (step.tokens is last.tokens or bool((step.tokens == 1).all()))
        )

    def go_on(self, step: Step, slots: np.ndarray) -> None:
        """Describe a step that goes on. `slots` gives the GPU slot of each content."""
        computed = self._described[: self.count, COMPUTED]
        computed += 1
        self._end[self._indices] += 1
        self.context += 1
        self.new = 0
        for number in (computed % BLOCK_TOKENS == 0).nonzero()[0].tolist():
            row = self._rows[number]
            self._entries[self.new] = row.index, row.blocks, slots[step.requests[number].contents[row.blocks]]
            self.new += 1
            row.blocks += 1
        self._last = step

    def write(self, step: Step, rows: list[Row], slots: np.ndarray) -> None:
        """Describe any step; `rows` are those of its requests."""
        ends, produces, indices = step.computed + step.tokens, step.produces, np.array([row.index for row in rows])
        self.count, self.new = len(rows), 0
        described = self._described[: self.count]
        described[:, ROW], described[:, COMPUTED], described[:, SCHEDULED] = indices, step.computed, step.tokens
        described[:, START], described[:, PRODUCES] = step.tokens.cumsum() - step.tokens, produces
        self.tokens, self.longest, self.context = int(step.tokens.sum()), int(step.tokens.max()), int(ends.max())
        for row, request, rank, end in zip(rows, step.requests, step.ranks.tolist(), ends.tolist(), strict=True):
            if row.rank != rank:
                row.rank, row.blocks = rank, 0
            if row.blocks * BLOCK_TOKENS < end:
                self._append_blocks(row, request, -(-end // BLOCK_TOKENS), slots)
        said = indices[produces]
        self._first[said] = np.where(self._first[said] == 0, ends[produces], self._first[said])
        self._end[said] = ends[produces] + 1
        decodes = self.longest == 1 and bool(produces.all())
        self._last, self._rows, self._indices = step if decodes else None, rows, indices

    def _append_blocks(self, row: Row, request: Scheduled, blocks: int, slots: np.ndarray) -> None:
        """Entries for the request's `blocks` blocks, behind those that the device has."""
        part = self._entries[self.new : self.new + blocks - row.blocks]
        part[:, 0] = row.index
        part[:, 1] = np.arange(row.blocks, blocks)
        part[:, 2] = slots[request.contents[row.blocks : blocks]]
        self.new += len(part)
        row.blocks = blocks
