"""Computes the steps that the scheduler decides, ahead of the host: it is told what to compute, never what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch

from pagedkv.device.base import Step
from pagedkv.errors import PagedKVError
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.model import batch
from pagedkv.model.decoder import Decoder
from pagedkv.model.description import Description
from pagedkv.model.graphs import DecodeGraphs


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
        self._described = Description(max_batch, blocks, self._store.padding_row, pinned)
        self._prompts = torch.zeros(max(blocks * BLOCK_TOKENS, max_tokens) * 4, dtype=torch.int32, pin_memory=pinned)
        self._prompts_used = 0
        self._graphs = DecodeGraphs(self._decode, graph_batches)
        self.begin(lambda number: np.zeros(0, np.int32))

    def begin(self, tokens_of: Callable[[int], np.ndarray]) -> None:
        """Forget all requests. `tokens_of(number)` gives the known tokens of a request when it is first computed."""
        self._tokens_of = tokens_of
        self._rows: dict[int, int] = {}
        """Row of each request under way."""
        self._left: dict[int, int] = {}
        """Row of each request that has finished, until another needs it."""
        self._free = list(range(self._store.padding_row - 1, -1, -1))
        self._described.forget()
        self._finished: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def slots(self) -> int:
        """Blocks of the pool that it computes on."""
        return len(self._pool)

    # ------------------------------------------------------------ a step
    def run(self, step: Step, slots: np.ndarray) -> None:
        """Compute `step`. `slots` gives the GPU slot of each content."""
        said = self._described
        if said.goes_on(step):
            said.go_on(step, slots)
        else:
            self._check_size(len(step.requests), int(step.tokens.sum()))
            self._prompts_used = 0
            rows = [self._rows.get(request.number, -1) for request in step.requests]
            if -1 in rows:
                rows = [row if row >= 0 else self._admit(r.number) for r, row in zip(step.requests, rows, strict=True)]
            said.write(step, np.array(rows), slots)
        if said.context > self._max_positions:
            raise PagedKVError(f"a request has {said.context} tokens, the runner has room for {self._max_positions}")
        bucket = self._graphs.bucket(said.count) if said.longest == 1 else None
        if said.new > (bucket or 0):
            self._do.update_tables(self._store, said.updates[: said.new])
        if bucket is None:
            self._forward(said.requests[: said.count], said.tokens, said.longest)
        else:
            said.pad(bucket)
            self._graphs.replay(bucket)

    def _check_size(self, requests: int, tokens: int) -> None:
        if requests > len(self._described.requests) or tokens > len(self._buffers.tokens):
            raise PagedKVError(f"a step of {requests} requests and {tokens} tokens is larger than the runner")

    def again(self) -> None:
        """Compute the last step, a decode, once more as it was; measurements have it run beside other things."""
        count = self._described.count
        bucket = self._graphs.bucket(count)
        if bucket is None:
            self._forward(self._described.requests[:count], count, 1)
        else:
            self._graphs.replay(bucket)

    def capture(self) -> None:
        """Capture the CUDA graphs of decode steps, before the first step."""
        self._described.pad(len(self._described.requests))
        self._graphs.capture()

    def _decode(self, count: int) -> None:
        """What a graph holds: new entries of block tables, at most one a request, and the step."""
        self._do.update_tables(self._store, self._described.updates[:count])
        self._forward(self._described.requests[:count], count, 1)

    def _forward(self, requests: torch.Tensor, tokens: int, longest: int) -> None:
        self._do.expand(self._store, requests, self._buffers, longest)
        rows = self._buffers.rows(len(requests), tokens, longest)
        sample = None if longest == 1 else self._buffers.sample[: len(requests)]
        logits = self._decoder.forward(self._buffers.tokens[:tokens], rows, self._pool, sample)
        self._do.keep(self._store, requests, logits)

    # ------------------------------------------------------------ requests
    def _admit(self, number: int) -> int:
        if not self._free and not self._left:
            raise PagedKVError(
                f"more than {len(self._rows)} requests are under way at once: the runner has no more rows"
            )
        if not self._free:
            finished = next(iter(self._left))
            row = self._left.pop(finished)
            self._finished[finished] = self._said(row)
            self._free.append(row)
        row = self._rows[number] = self._free.pop()
        self._described.admit(row)
        known = self._tokens_of(number)
        staged = self._staged(len(known))
        self._prompts.numpy()[staged] = known
        self._do.admit(self._store, row, self._prompts[staged])
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
        """Request `number` has finished. What it produced stays in its row until another needs that."""
        row = self._rows.pop(number, None)
        if row is not None:
            self._left[number] = row
            self._described.forget()

    def produced(self, unfinished: bool = False) -> dict[int, Produced]:
        """What each finished request got, and with `unfinished` those under way so far. Waits for the device."""
        rows = self._left | (self._rows if unfinished else {})
        said = self._finished | {number: self._said(row) for number, row in rows.items()}
        return {n: Produced(tokens.cpu().numpy(), logits.cpu().numpy()) for n, (tokens, logits) in said.items()}

    def _said(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        where = row, self._described.produced(row)
        return self._store.sampled[where].clone(), self._store.evidence[where].clone()


def _operations(device: torch.device) -> ModuleType:
    if device.type != "cuda":
        return batch
    from pagedkv.model.kernels import batch as kernels

    return kernels
