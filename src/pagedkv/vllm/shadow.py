"""A shadow of every slot, which proves that each read finds the tokens that it should.

A place of a slot holds a fingerprint of all tokens from the beginning of a sequence up to that place, so that it tells
equal tokens behind different ones apart. 64 bits: that two differ in tokens and agree here has a chance of 2^-64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pagedkv.engine.transfers import STORE
from pagedkv.errors import PagedKVError
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.mix import splitmix64
from pagedkv.vllm.transfer import Copy


def fingerprints(tokens: np.ndarray) -> np.ndarray:
    """uint64, one for each prefix of `tokens` that is not empty."""
    places = splitmix64(np.arange(len(tokens), dtype=np.uint64))
    return np.cumsum(splitmix64(tokens.astype(np.uint64) + places), dtype=np.uint64)


class Shadow:
    """`tokens_of(number)`: all tokens of a request, outputs included.

    Raises PagedKVError at the first read of a wrong block; where wrong reads are `tolerated`, they are counted.
    """

    def __init__(self, slots: int, tokens_of: Callable[[int], np.ndarray], tolerated: bool = False) -> None:
        self._gpu = np.zeros((slots, BLOCK_TOKENS), np.uint64)
        self._cpu: dict[int, np.ndarray] = {}
        self._copies: dict[int, tuple[Copy, np.ndarray]] = {}
        self._tokens_of = tokens_of
        self._known: dict[int, np.ndarray] = {}
        self._tolerated = tolerated
        self.reads = 0
        """Blocks of which a read was verified."""
        self.wrong = 0
        """Those of them that did not hold what they should."""
        self.first_wrong = ""

    def step(self, number: int, slots: list[int], computed: int, tokens: int) -> None:
        """The request writes `tokens` tokens behind `computed` ones, and then reads all of them."""
        wanted = self._fingerprints(number)
        end = computed + tokens
        places = np.arange(computed, end)
        table = np.asarray(slots)
        self._gpu[table[places // BLOCK_TOKENS], places % BLOCK_TOKENS] = wanted[computed:end]
        blocks = -(-end // BLOCK_TOKENS)
        found = self._gpu[table[:blocks]].ravel()[:end]
        if not np.array_equal(found, wanted[:end]):
            self._count(number, slots, np.flatnonzero(found != wanted[:end]))
        self.reads += blocks

    def _count(self, number: int, slots: list[int], places: np.ndarray) -> None:
        block = int(places[0]) // BLOCK_TOKENS
        said = f"request {number}: slot {slots[block]}, its block {block}, does not hold its token {places[0]}"
        if not self._tolerated:
            raise PagedKVError(said)
        self.first_wrong = self.first_wrong or said
        self.wrong += len(np.unique(places // BLOCK_TOKENS))

    def leave(self, number: int) -> None:
        """The request has finished."""
        self._known.pop(number, None)

    def _fingerprints(self, number: int) -> np.ndarray:
        if number not in self._known:
            self._known[number] = fingerprints(self._tokens_of(number))
        return self._known[number]

    # ------------------------------------------------------------ copies
    def submit(self, copy: Copy) -> None:
        """A copy starts: what it is to move is what lies there now."""
        self._copies[copy.job] = copy, self._source(copy).copy()

    def complete(self, job: int) -> None:
        """A copy has ended; PagedKVError if what it read was written over meanwhile."""
        copy, expected = self._copies.pop(job)
        if not np.array_equal(self._source(copy), expected):
            raise PagedKVError(f"copy {job}: a slot that it read was written over before it was done")
        if copy.direction == STORE:
            self._cpu.update(zip(copy.cpu_slots, expected, strict=True))
        else:
            self._gpu[copy.slots] = expected

    def _source(self, copy: Copy) -> np.ndarray:
        if copy.direction == STORE:
            return self._gpu[copy.slots]
        missing = [slot for slot in copy.cpu_slots if slot not in self._cpu]
        if missing:
            raise PagedKVError(f"copy {copy.job}: nothing was stored in slot {missing[0]} of the CPU tier")
        return np.stack([self._cpu[slot] for slot in copy.cpu_slots])
