"""A 64-bit checksum of blocks: the same numbers on a CPU and on a GPU, by plain torch operations on integers.

Every 64-bit word of a block is mixed with its place, and the results are added modulo 2^64, in which order does not
count. The mix is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
2014): a bijection, so that one changed word always changes the sum, and swapped pieces or two flipped bits do too but
for one chance in 2^64. It finds errors; it does not resist an adversary.
"""

from __future__ import annotations

import torch

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)
_CHUNK_BYTES = 64 << 20


def block_checksums(pool: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
    """int64 [n]: checksums of blocks `slots` (int64 [n]) of `pool` [blocks, ...], contiguous, any type.

    A block is a multiple of 8 bytes. All work is on the current stream; temporaries stay below a few hundred MB.
    """
    words = pool.view(len(pool), -1).view(torch.int64)
    place = torch.arange(1, words.shape[1] + 1, device=pool.device) * _GOLDEN
    chunk = max(1, _CHUNK_BYTES // (8 * words.shape[1]))
    parts = [_mixed(words[slots[i : i + chunk]] + place).sum(1) for i in range(0, len(slots), chunk)]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64, device=pool.device)


def _mixed(z: torch.Tensor) -> torch.Tensor:
    """In place. Shifts of int64 drag the sign along, which the masks take away."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        z ^= (z >> shift) & ((1 << (64 - shift)) - 1)
        z *= factor
    z ^= (z >> 31) & ((1 << 33) - 1)
    return z
