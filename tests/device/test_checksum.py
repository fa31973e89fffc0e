"""A checksum that notices what goes wrong with blocks, and is one number on every device."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.device import checksum
from pagedkv.device.checksum import block_checksums

WORD = 1 << 64


def by_hand(words: list[int]) -> int:
    """The definition in Python's integers: SplitMix64's finalizer of each word plus a multiple of the golden ratio."""
    total = 0
    for place, word in enumerate(words, 1):
        z = (word + place * 0x9E3779B97F4A7C15) % WORD
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
        total += z ^ (z >> 31)
    return total % WORD


def sums(pool: torch.Tensor) -> list[int]:
    return [value % WORD for value in block_checksums(pool, torch.arange(len(pool), device=pool.device)).tolist()]


@given(st.lists(st.lists(st.integers(0, WORD - 1), min_size=4, max_size=4), min_size=1, max_size=5))
def test_the_checksum_is_what_it_is_defined_to_be(blocks):
    assert sums(torch.from_numpy(np.array(blocks, np.uint64).view(np.int64))) == [by_hand(words) for words in blocks]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_every_kind_of_error_changes_it(dtype):
    """A flipped bit anywhere, two flipped signs, swapped pieces, and a block in the place of another."""
    block = torch.randn(2, 3, 2, 16, 16).to(dtype)
    wrong = [block.clone() for _ in range(6)]
    for place, bit in ((0, 0), (77, 5), (-1, 7)):
        wrong[0].view(-1).view(torch.uint8)[place] ^= 1 << bit
    signs = wrong[1].view(-1).view(torch.uint8)
    signs[7] ^= 128
    signs[15] ^= 128
    wrong[2][[0, 1]] = block[[1, 0]]
    wrong[3][:, [0, 1]] = block[:, [1, 0]]
    wrong[4][:, :, [0, 1]] = block[:, :, [1, 0]]
    wrong[5].zero_()
    assert len(set(sums(torch.stack([block, *wrong])))) == 7


def test_chosen_blocks_in_their_order_and_in_parts(monkeypatch):
    pool = torch.randn(9, 40)
    whole = sums(pool)
    monkeypatch.setattr(checksum, "_CHUNK_BYTES", 2 * pool[0].nbytes)
    slots = torch.tensor([4, 4, 0, 8, 3])
    assert [value % WORD for value in block_checksums(pool, slots).tolist()] == [whole[slot] for slot in slots]
    assert len(block_checksums(pool, torch.empty(0, dtype=torch.int64))) == 0


@pytest.mark.gpu
def test_the_checksum_is_the_same_on_a_gpu():
    pool = torch.randn(50, 4, 2, 2, 16, 64, dtype=torch.bfloat16)
    assert sums(pool) == sums(pool.cuda())
