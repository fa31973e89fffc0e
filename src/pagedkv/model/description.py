"""What the host says of a step, in pinned memory that kernels read by themselves; see `model/batch.py`."""

from __future__ import annotations

import numpy as np
import torch

from pagedkv.device.base import Scheduled, Step
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model.batch import COMPUTED, FIELDS, PRODUCES, ROW, SCHEDULED, START, UPDATE


class Description:
    """Of one step at a time: `requests` [max_batch, FIELDS], and `updates` [u, UPDATE], new entries of block tables.

    A batch that goes on is described by what changes: lengths, and the blocks that are begun.
    """

    def __init__(self, max_batch: int, blocks: int, rows: int, pinned: bool) -> None:
        """`blocks` of a request at most; `rows` of the token store, behind which there is one for padding."""
        self.requests = torch.zeros((max_batch, FIELDS), dtype=torch.int32, pin_memory=pinned)
        self.updates = torch.zeros((max_batch * blocks, UPDATE), dtype=torch.int32, pin_memory=pinned)
        self._described, self._entries = self.requests.numpy(), self.updates.numpy()
        self._rank, self._blocks, self._first, self._end = (np.zeros(rows, np.int64) for _ in range(4))
        """By row: rank of its request, entries of its block table that the device has, and positions of the tokens that
        it produced, from `first`, before `end`. While a batch goes on, the ends of its rows lag behind."""
        self._padding_row = rows
        self._last: Step | None = None
        self.forget()

    def forget(self) -> None:
        """What comes does not follow the last step: a request of that is gone."""
        self._settle()
        self.count = self.tokens = self.longest = self.context = self.new = 0
        self._last = None

    def admit(self, row: int) -> None:
        """A new request takes `row`."""
        self._rank[row] = -1
        self._first[row] = self._end[row] = 0

    def produced(self, row: int) -> slice:
        """Positions of the tokens that the request in `row` has produced."""
        self._settle()
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
        self._described[: self.count, COMPUTED] = step.computed
        self.context += 1
        self.new = 0
        for number in step.beginning:
            row = self._rows[number]
            block = int(self._blocks[row])
            self._entries[self.new] = row, block, slots[step.requests[number].contents[block]]
            self._blocks[row] = block + 1
            self.new += 1
        self._last = step

    def write(self, step: Step, rows: np.ndarray, slots: np.ndarray) -> None:
        """Describe any step; `rows` are those of its requests."""
        self._settle()
        tokens, produces, ends = step.tokens, step.produces, step.computed + step.tokens
        self.count, self.new = len(rows), 0
        described = self._described[: self.count]
        described[:, ROW], described[:, COMPUTED], described[:, SCHEDULED] = rows, step.computed, tokens
        described[:, START], described[:, PRODUCES] = tokens.cumsum() - tokens, produces
        self.tokens, self.longest, self.context = int(tokens.sum()), int(tokens.max()), int(ends.max())
        self._blocks[rows[self._rank[rows] != step.ranks]] = 0
        self._rank[rows] = step.ranks
        blocks = -(-ends // BLOCK_TOKENS)
        for number in (self._blocks[rows] < blocks).nonzero()[0].tolist():
            self._append_blocks(int(rows[number]), step.requests[number], int(blocks[number]), slots)
        said = rows[produces]
        self._first[said] = np.where(self._first[said] == 0, ends[produces], self._first[said])
        self._end[said] = ends[produces] + 1
        decodes = self.longest == 1 and bool(produces.all())
        self._last, self._rows = step if decodes else None, rows

    def _append_blocks(self, row: int, request: Scheduled, blocks: int, slots: np.ndarray) -> None:
        """Entries for the request's `blocks` blocks, behind those that the device has."""
        known = int(self._blocks[row])
        part = self._entries[self.new : self.new + blocks - known]
        part[:, 0] = row
        part[:, 1] = np.arange(known, blocks)
        part[:, 2] = slots[request.contents[known:blocks]]
        self.new += len(part)
        self._blocks[row] = blocks

    def _settle(self) -> None:
        """Let the rows of a batch that goes on know how far they are."""
        if self._last is not None:
            self._end[self._rows] = self._last.computed + 2
