"""Accesses as the input of the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pagedkv.prefetch._symbols import Symbol, Symbols, Token

Call = Sequence[tuple[int, int, int]]
"""Accesses shown to a policy at once, as runs (stream, first, count)."""


class Input(NamedTuple):
    """A token for the network: class of its symbol, whether it reached the end of its stream, whether a call began
    with it."""

    symbol: int
    at_end: bool
    boundary: bool


class Tokens:
    """Turns calls into inputs. `vocabulary[i]` is class i; every other symbol is class `len(vocabulary)`."""

    def __init__(self, vocabulary: Sequence[Symbol]) -> None:
        self.symbols = Symbols()
        self._class = {symbol: number for number, symbol in enumerate(vocabulary)}

    def push(self, call: Call) -> Iterator[tuple[Input, int]]:
        """Enter the accesses of a call: inputs, with how often each follows itself."""
        boundary = True
        for stream, first, count in call:
            for token, times in self.symbols.push_run(stream, first, count):
                if boundary:
                    yield self.input(token, boundary), 1
                    times, boundary = times - 1, False
                if times:
                    yield self.input(token), times

    def input(self, token: Token, boundary: bool = False) -> Input:
        return Input(self._class.get(token.symbol, len(self._class)), token.at_end, boundary)


def as_array(inputs: Iterable[tuple[Input, int]]) -> np.ndarray:
    """Inputs written out, as an array (length, 3) of whole numbers."""
    pairs = list(inputs)
    distinct = np.array([token for token, _ in pairs], np.int64).reshape(-1, 3)
    return np.repeat(distinct, [times for _, times in pairs], axis=0)
