"""Computes the steps that the scheduler decides, ahead of the host: it is told what to compute, never what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch

from pagedkv.device.base import Scheduled
from pagedkv.errors import PagedKVError
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model import batch
from pagedkv.model.decoder import Decoder, greedy
from pagedkv.model.graphs import DecodeGraphs


@dataclass
class _Row:
    """Where a live request stands in the token store."""

    index: int
    rank: int = -1
    blocks: int = 0
    """Entries of its block table that the device has."""
    first: int = 0
    end: int = 0
    """Positions of the tokens that it produced: from `first`, before `end`."""


@dataclass(frozen=True)
class Produced:
    """What the model said for one request: greedy tokens, int32, and their logits, float32, in order."""

    tokens: np.ndarray
    logits: np.ndarray


class Runner:
    """Keeps tokens and block tables of live requests on the device, and runs the model on them.

    A step is at most `max_batch` requests and `max_tokens` tokens; a request has at most `max_positions` tokens; `rows`
    of them may be under way. Everything is enqueued on the current stream; the caller waits for the end of a step
    before it launches the next.
    """

    def __init__(
        self,
        decoder: Decoder,
        pool: torch.Tensor,
        *,
        max_batch: int,
        max_tokens: int,
        max_positions: int,
        rows: int = 512,
        graph_batches: Sequence[int] = (),
    ) -> None:
        device = pool.device
        self._decoder, self._pool = decoder, pool
        self._max_positions = max_positions
        self._do = _operations(device)
        blocks = -(-(max_positions + 1) // BLOCK_TOKENS)
        self._store = batch.TokenStore.empty(rows, blocks * BLOCK_TOKENS, device)
        self._buffers = batch.StepBuffers.empty(max_batch, max(max_tokens, max_batch), blocks, device)
        pinned = device.type == "cuda"
        self._requests = torch.zeros((max_batch, batch.FIELDS), dtype=torch.int32, pin_memory=pinned)
        self._updates = torch.zeros((max_batch * blocks, 3), dtype=torch.int32, pin_memory=pinned)
        self._prompts = torch.zeros(max(blocks * BLOCK_TOKENS, max_tokens) * 4, dtype=torch.int32, pin_memory=pinned)
        self._prompts_used = 0
        self._host = self._requests.numpy(), self._updates.numpy(), self._prompts.numpy()
        self._graphs = DecodeGraphs(self._decode, graph_batches)
        self.begin(lambda number: np.zeros(0, np.int32))

    def begin(self, tokens_of: Callable[[int], np.ndarray]) -> None:
        """Forget all requests. `tokens_of(number)` gives the known tokens of a request when it is first computed."""
        self._tokens_of = tokens_of
        self._rows: dict[int, _Row] = {}
        self._free = list(range(self._store.padding_row - 1, -1, -1))
        self._last: tuple[list[Scheduled], list[int]] | None = None
        self._finished: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def slots(self) -> int:
        """Blocks of the pool that it computes on."""
        return len(self._pool)

    # ------------------------------------------------------------ a step
    def run(self, requests: Sequence[Scheduled], tokens: Sequence[int], slots: np.ndarray) -> None:
        """Compute `tokens[i]` tokens of `requests[i]`. `slots` gives the GPU slot of each content."""
        count, updates = len(requests), 0
        if count > len(self._requests) or sum(tokens) > len(self._buffers.tokens):
            raise PagedKVError(f"a step of {count} requests and {sum(tokens)} tokens is larger than the runner")
        self._prompts_used = 0
        if not self._continues(requests, tokens):
            updates = self._describe(requests, tokens, slots)
        else:
            updates = self._describe_next(requests, slots)
        context = self._host[0][:count, batch.COMPUTED] + self._host[0][:count, batch.SCHEDULED]
        if context.max() > self._max_positions:
            raise PagedKVError(f"a request has {context.max()} tokens, the runner has room for {self._max_positions}")
        if updates:
            self._do.update_tables(self._store, self._updates[:updates])
        longest = max(tokens)
        bucket = self._graphs.bucket(count) if longest == 1 else None
        if bucket is None:
            self._forward(self._requests[:count], sum(tokens), longest)
        else:
            self._host[0][count:bucket] = (self._store.padding_row, -1, 1, 0, 0)
            self._host[0][count:bucket, batch.START] = np.arange(count, bucket)
            self._graphs.replay(bucket)

    def again(self) -> None:
        """Compute the last step, a decode, once more as it was; measurements have it run beside other things."""
        count = len(self._last[0])
        bucket = self._graphs.bucket(count)
        if bucket is None:
            self._decode(count)
        else:
            self._graphs.replay(bucket)

    def capture(self) -> None:
        """Capture the CUDA graphs of decode steps, before the first step."""
        self._host[0][:] = (self._store.padding_row, -1, 1, 0, 0)
        self._host[0][:, batch.START] = np.arange(len(self._host[0]))
        self._graphs.capture()

    def _decode(self, count: int) -> None:
        self._forward(self._requests[:count], count, 1)

    def _forward(self, requests: torch.Tensor, tokens: int, longest: int) -> None:
        self._do.expand(self._store, requests, self._buffers, longest)
        rows = self._buffers.rows(len(requests), tokens, longest)
        sample = None if longest == 1 else self._buffers.sample[: len(requests)]
        logits = self._decoder.forward(self._buffers.tokens[:tokens], rows, self._pool, sample)
        self._do.keep(self._store, requests, *greedy(logits))

    # ------------------------------------------------------------ what the host says
    def _continues(self, requests: Sequence[Scheduled], tokens: Sequence[int]) -> bool:
        """The batch of the last step decodes on: every number of it grows by one."""
        if self._last is None:
            return False
        before, ranks = self._last
        return requests == before and max(tokens) == 1 and [request.rank for request in requests] == ranks

    def _describe(self, requests: Sequence[Scheduled], tokens: Sequence[int], slots: np.ndarray) -> int:
        """Write the step into the pinned buffers; returns how many block-table entries are new."""
        start = updates = 0
        described, entries, _ = self._host
        all_produce = True
        for number, (request, count) in enumerate(zip(requests, tokens, strict=True)):
            row = self._rows.get(request.number) or self._admit(request)
            if row.rank != request.rank:
                row.rank, row.blocks = request.rank, 0
            computed, produces = request.computed, count == request.remaining
            updates = self._append_blocks(row, request, computed + count, slots, entries, updates)
            described[number] = (row.index, computed, count, start, produces)
            if produces:
                row.first = row.first or computed + count
                row.end = computed + count + 1
            all_produce &= produces
            start += count
        self._last = (list(requests), [r.rank for r in requests]) if all_produce and start == len(requests) else None
        return updates

    def _describe_next(self, requests: Sequence[Scheduled], slots: np.ndarray) -> int:
        described, entries, _ = self._host
        computed = described[: len(requests), batch.COMPUTED]
        computed += 1
        updates = 0
        for number in np.flatnonzero(computed % BLOCK_TOKENS == 0).tolist():
            request = requests[number]
            row = self._rows[request.number]
            updates = self._append_blocks(row, request, request.computed + 1, slots, entries, updates)
        for request in requests:
            self._rows[request.number].end += 1
        return updates

    @staticmethod
    def _append_blocks(
        row: _Row, request: Scheduled, tokens: int, slots: np.ndarray, entries: np.ndarray, at: int
    ) -> int:
        blocks = -(-tokens // BLOCK_TOKENS)
        new = blocks - row.blocks
        if new <= 0:
            return at
        part = entries[at : at + new]
        part[:, 0] = row.index
        part[:, 1] = np.arange(row.blocks, blocks)
        part[:, 2] = slots[request.contents[row.blocks : blocks]]
        row.blocks = blocks
        return at + new

    # ------------------------------------------------------------ requests
    def _admit(self, request: Scheduled) -> _Row:
        if not self._free:
            raise PagedKVError(
                f"more than {len(self._rows)} requests are under way at once: the runner has no more rows"
            )
        row = self._rows[request.number] = _Row(self._free.pop())
        known = self._tokens_of(request.number)
        staged = self._staged(len(known))
        self._host[2][staged] = known
        self._do.admit(self._store, row.index, self._prompts[staged])
        return row

    def _staged(self, count: int) -> slice:
        """Room in the pinned buffer of this step's prompts."""
        if self._prompts_used + count > len(self._prompts):
            if self._pool.is_cuda:
                torch.cuda.current_stream().synchronize()
            self._prompts_used = 0
        first = self._prompts_used
        self._prompts_used += count
        return slice(first, first + count)

    def leave(self, number: int) -> None:
        """Request `number` has finished: keep what it produced, and reuse its row."""
        row = self._rows.pop(number, None)
        if row is not None:
            self._finished[number] = self._said(row)
            self._free.append(row.index)
            self._last = None

    def produced(self, unfinished: bool = False) -> dict[int, Produced]:
        """What each finished request got, and with `unfinished` those under way so far. Waits for the device."""
        said = self._finished | ({n: self._said(row) for n, row in self._rows.items()} if unfinished else {})
        return {n: Produced(tokens.cpu().numpy(), logits.cpu().numpy()) for n, (tokens, logits) in said.items()}

    def _said(self, row: _Row) -> tuple[torch.Tensor, torch.Tensor]:
        where = row.index, slice(row.first, row.end)
        return self._store.sampled[where].clone(), self._store.evidence[where].clone()


def _operations(device: torch.device) -> ModuleType:
    if device.type != "cuda":
        return batch
    from pagedkv.model.kernels import batch as kernels

    return kernels
