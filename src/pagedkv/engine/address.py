"""Address spaces: how a policy names blocks, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Protocol

import numpy as np

from pagedkv.columns import fitted
from pagedkv.engine.managed import Mappings

LOGICAL, PHYSICAL = "logical", "physical"

Range = tuple[int, ...]
"""(stream, first, count), whatever follows: a `Fetch`, for one."""

TableOf = Callable[[int], np.ndarray]
"""Request number -> contents of its table as it stands now (or will stand at its admission, as far as they exist)."""


class AddressSpace(Protocol):
    """Translates between (stream, index) and contents."""

    name: str

    def encode(self, request: int, blocks: np.ndarray, contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(stream, index) arrays of blocks of a request."""

    def decode(self, stream: int, first: int, count: int) -> np.ndarray:
        """Contents at `count` addresses from `first` on, without those that do not exist."""

    def decode_all(self, ranges: Sequence[Range], name: bool) -> np.ndarray:
        """Contents of several ranges, one after the other; with `name`, they are named by them as in `name_blocks`."""

    def name_blocks(self, stream: int, first: int, contents: np.ndarray) -> None:
        """`contents` were held or asked for as the blocks of `stream` from `first` on."""

    def locate(self, contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(stream, index) arrays of `contents`, whoever holds them; index -1 where there is no such address."""


def slot_runs(slots: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """Runs (stream 0, first, count) of ascending neighbours among `slots`, in their order; -1, no slot, is left out."""
    slots = slots[slots >= 0]
    if len(slots) == 0:
        return ()
    begins = np.flatnonzero(np.diff(slots, prepend=slots[0] - 2) != 1)
    counts = np.diff(begins, append=len(slots))
    return tuple(zip(repeat(0), slots[begins].tolist(), counts.tolist(), strict=False))


class Logical:
    """Stream = request, index = block of its table. Never crosses a request."""

    name = LOGICAL

    def __init__(self, table_of: TableOf) -> None:
        self._table_of = table_of
        self._request = np.full(0, -1, np.int64)
        self._block = np.full(0, -1, np.int64)

    def encode(self, request: int, blocks: np.ndarray, contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(blocks), request), blocks

    def decode(self, stream: int, first: int, count: int) -> np.ndarray:
        low = max(first, 0)
        return self._table_of(stream)[low : max(low, first + count)]

    def decode_all(self, ranges: Sequence[Range], name: bool) -> np.ndarray:
        parts = []
        for stream, first, count, *_ in ranges:
            parts.append(self.decode(stream, first, count))
            if name:
                self.name_blocks(stream, max(first, 0), parts[-1])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def name_blocks(self, stream: int, first: int, contents: np.ndarray) -> None:
        self._fit(contents)
        self._request[contents] = stream
        self._block[contents] = np.arange(first, first + len(contents))

    def locate(self, contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._fit(contents)
        return self._request[contents], self._block[contents]

    def _fit(self, contents: np.ndarray) -> None:
        last = int(contents.max(initial=-1))
        self._request, self._block = fitted(self._request, last), fitted(self._block, last)


class Slots:
    """One stream, 0; index = slot of a block, whatever the request. A slot names the block that got it last.

    A block keeps its number after another got the slot, or none: `encode` answers with it, `locate` does not.
    """

    name: str

    def __init__(self) -> None:
        self._content = np.full(0, -1, np.int64)
        self._slot = np.full(0, -1, np.int64)

    def assign(self, contents: np.ndarray, slots: np.ndarray) -> None:
        """`contents`, at least one, get `slots`."""
        self._content = fitted(self._content, int(slots.max()))
        self._slot = fitted(self._slot, int(contents.max()))
        self._content[slots] = contents
        self._slot[contents] = slots

    def release(self, contents: np.ndarray) -> np.ndarray:
        """`contents` give their slots up; returns the slots that were still theirs."""
        slots = self.locate(contents)[1]
        slots = slots[slots >= 0]
        self._content[slots] = -1
        return slots

    def encode(self, request: int, blocks: np.ndarray, contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(blocks), np.int64), self._slot[contents]

    def decode(self, stream: int, first: int, count: int) -> np.ndarray:
        contents = self._content[max(first, 0) : max(first + count, 0)]
        return contents[contents >= 0]

    def decode_all(self, ranges: Sequence[Range], name: bool) -> np.ndarray:
        if len(ranges) == 1:
            return self.decode(*ranges[0][:3])
        first = np.array([entry[1] for entry in ranges])
        count = np.array([entry[2] for entry in ranges])
        end = np.cumsum(count)
        slots = np.repeat(first + count - end, count) + np.arange(end[-1])
        contents = self._content[slots[(slots >= 0) & (slots < len(self._content))]]
        return contents[contents >= 0]

    def name_blocks(self, stream: int, first: int, contents: np.ndarray) -> None:
        """Blocks have names of their own here."""

    def locate(self, contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._slot = fitted(self._slot, int(contents.max(initial=-1)))
        slots = self._slot[contents]
        given = slots >= 0
        slots[given] = np.where(self._content[slots[given]] == contents[given], slots[given], -1)
        return np.zeros(len(contents), np.int64), slots


class Physical(Slots):
    """Index = slot of the block in managed memory (`managed.py`).

    `mappings` tells which blocks get which slots at each step.
    """

    name = PHYSICAL

    def __init__(self, mappings: Mappings) -> None:
        super().__init__()
        self._mappings = mappings

    def enter_step(self, step: int) -> None:
        """The block tables of `step` are known."""
        if step in self._mappings:
            self.assign(*self._mappings[step])
