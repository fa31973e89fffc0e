"""What is measured to calibrate a device: steps that the cost model is fitted to, others that it is checked on, copies.

The two sets share neither batch nor context, so that an error on the second one is an error of prediction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

FIT, CHECK = "fit", "check"
MIB = 1 << 20


@dataclass(frozen=True)
class StepPoint:
    """One step to measure. `requests`: (tokens scheduled, tokens computed before) of each, in batch order."""

    kind: str
    requests: tuple[tuple[int, int], ...]
    split: str

    @property
    def batch(self) -> int:
        return len(self.requests)

    @property
    def tokens(self) -> int:
        return sum(scheduled for scheduled, _ in self.requests)

    @property
    def context_tokens(self) -> int:
        """Tokens whose KV attention reads, those of the step included, as the engine counts them."""
        return sum(scheduled + computed for scheduled, computed in self.requests)

    @property
    def attention_pairs(self) -> float:
        """Query tokens x tokens attended, summed over chunks of more than one token."""
        return sum(m * (computed + (m + 1) / 2) for m, computed in self.requests if m > 1)


@dataclass(frozen=True)
class CopyPoint:
    """One copy to measure: `pieces` scattered pieces, as many in each direction if `direction` is both."""

    direction: str
    method: str
    piece_bytes: int
    pieces: int
    concurrent: str = "none"


def graph_batches(most: int) -> list[int]:
    """Batch sizes of the CUDA graphs: 1, 2, 4, and every multiple of 8 up to one that holds `most`."""
    batches = [1, 2, 4, *range(8, most + 8, 8)]
    return batches[: next(i for i, batch in enumerate(batches) if batch >= most) + 1]


def step_points(
    pool_tokens: int, max_batch: int = 64, max_tokens: int = 2048, max_context: int = 16384
) -> list[StepPoint]:
    """Steps to measure, about 60 s of an H200 with llama-3-8b at the defaults and 10 repeats.

    `pool_tokens`: what the KV pool holds; `max_tokens`: most tokens of a step; `max_context`: longest request.
    """
    made = [
        *_decode(max_batch, max_context),
        *_prefill(max_tokens, max_context),
        *_mixed(max_batch, max_tokens, max_context),
    ]
    return [p for p in made if p.context_tokens <= pool_tokens and p.tokens <= max_tokens]


def tiny_step_points() -> list[StepPoint]:
    """The same plan at the size of the `tiny` model on a CPU: a few seconds, at most 4096 tokens of KV."""
    return step_points(4096, max_batch=8, max_tokens=128, max_context=512)


def _decode(max_batch: int, longest: int) -> Iterator[StepPoint]:
    for batch in graph_batches(max_batch):
        for context in (longest // 64, longest // 8, longest // 4, longest // 2, longest):
            yield StepPoint("decode", _decoding(batch, context), FIT)
    # Batches inside a bucket; and skewed ones, for attention that is affine in the sum only.
    for batch in (3, 6, 12, 20, 28, 36, 44, 52, 60):
        if batch <= max_batch:
            for context in (longest // 32, longest * 3 // 16, longest * 3 // 8):
                yield StepPoint("decode", _decoding(batch, context), CHECK)
            skewed = _decoding(1, longest * 3 // 4) + _decoding(batch - 1, longest // 32)
            yield StepPoint("decode", skewed, CHECK)


def _prefill(most: int, longest: int) -> Iterator[StepPoint]:
    tokens = 16
    while tokens <= most:
        for computed in (0, longest // 4, longest - tokens):
            yield StepPoint("prefill", ((tokens, computed),), FIT)
        for computed in (longest // 16, longest * 3 // 8):
            yield StepPoint("prefill", ((tokens * 3 // 4, computed),), CHECK)
        tokens *= 2
    yield StepPoint("prefill", ((most // 4, longest // 8), (most // 2, 0)), CHECK)


def _mixed(max_batch: int, most: int, longest: int) -> Iterator[StepPoint]:
    for decodes in (max_batch // 8, max_batch // 2, max_batch - 1):
        for chunk in (most // 32, most // 8, most // 2, most - decodes):
            for context, computed in ((longest // 16, longest // 4), (longest // 4, 0)):
                yield StepPoint("mixed", (*_decoding(decodes, context), (chunk, computed)), FIT)
    for decodes in (max_batch // 16 + 1, max_batch * 3 // 8, max_batch * 3 // 4):
        for chunk in (most // 20, most * 3 // 10, most * 3 // 4):
            yield StepPoint("mixed", (*_decoding(decodes, longest // 8), (chunk, longest // 8)), CHECK)


def _decoding(batch: int, context: int) -> tuple[tuple[int, int], ...]:
    """Requests that attend to `context` tokens each, the new one included."""
    return ((1, context - 1),) * batch


def copy_points(block_bytes: int, piece_bytes: int, most_bytes: int = 256 * MIB) -> list[CopyPoint]:
    """Copies to measure: sizes from a piece of 8 KiB to 4 MiB, 1 to 4096 of them, alone, both ways, beside compute.

    `block_bytes` and `piece_bytes` are those of the model. Large single copies tell bytes from pieces.
    """
    sizes = sorted({8 << 10, 64 << 10, 512 << 10, 4 * MIB, piece_bytes, block_bytes})
    grid = [(size, n) for size in sizes for n in (1, 8, 64, 512, 4096) if size * n <= most_bytes]
    made = [CopyPoint(d, "batch", size, n) for d in ("h2d", "d2h", "both") for size, n in grid]
    made += [CopyPoint(d, "single", size * MIB, 1) for d in ("h2d", "d2h", "both") for size in (16, 64, 256)]
    many = {size: min(4096, most_bytes // size) for size in (piece_bytes, block_bytes)}
    methods = ("batch", "single", "gather8", "gather32")
    made += [CopyPoint("h2d", m, size, n) for m in methods[1:] for size, n in many.items()]
    for concurrent in ("matmul", "stream", "decode"):
        made += [CopyPoint("h2d", m, size, n, concurrent) for m in methods for size, n in many.items()]
        made += [CopyPoint("d2h", "batch", block_bytes, many[block_bytes], concurrent)]
    return made
