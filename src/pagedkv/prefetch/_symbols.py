"""Accesses as symbols that name no request, for models that learn an interleaved stream of them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import MutableMapping
from typing import NamedTuple

REMEMBERED = 64
"""Streams whose recency has a rank; an older one counts as new."""
NEW = -1
"""Rank of a stream that is not remembered."""


class Symbol(NamedTuple):
    """Where an access went.

    `rank`: how recently its stream was accessed before, 0 for the same stream as the last access, NEW for an unknown
    one. `offset`: for rank 0, the index less the last index of the stream; for another stream, the index itself.
    """

    rank: int
    offset: int


class Token(NamedTuple):
    """What is known after an access: its symbol, and whether it reached the highest index that its stream ever had."""

    symbol: Symbol
    at_end: bool


class Symbols:
    """Turns addresses into tokens and symbols back into addresses, by what was accessed lately.

    A request is told by its recency and not by its number, so that what is learnt from some requests holds for
    others. `at_end` is the nearest thing to the end of a request that accesses alone can tell.
    """

    def __init__(self) -> None:
        self._recent: list[int] = []
        self._last = 0
        """Last index of the most recent stream."""
        self._end: MutableMapping[int, int] = {}
        """Highest index of each stream so far."""

    def push(self, stream: int, index: int) -> Token:
        """Enter an access."""
        symbol = self._symbol(stream, index)
        self._touch(stream, symbol.rank)
        self._last = index
        end = self._end[stream] = max(index, self._end.get(stream, index))
        return Token(symbol, index == end)

    def push_run(self, stream: int, first: int, count: int) -> list[tuple[Token, int]]:
        """Enter accesses to [first, first + count): tokens with how often each follows itself."""
        tokens = [(self.push(stream, first), 1)]
        end, last = self._end[stream], first + count - 1
        inside = min(last, end - 1) - first
        if inside > 0:
            tokens.append((Token(Symbol(0, 1), False), inside))
        beyond = count - 1 - max(inside, 0)
        if beyond > 0:
            tokens.append((Token(Symbol(0, 1), True), beyond))
        self._last = last
        self._end[stream] = max(end, last)
        return tokens

    def address(self, symbol: Symbol) -> tuple[int, int] | None:
        """(stream, index) that an access of this symbol would go to next; None if it names none."""
        if not 0 <= symbol.rank < len(self._recent):
            return None
        index = symbol.offset + (self._last if symbol.rank == 0 else 0)
        return (self._recent[symbol.rank], index) if index >= 0 else None

    def ahead(self) -> Symbols:
        """A copy that can be pushed into without an access."""
        copy = Symbols()
        copy._recent, copy._last, copy._end = list(self._recent), self._last, ChainMap({}, self._end)
        return copy

    def _symbol(self, stream: int, index: int) -> Symbol:
        if stream not in self._recent:
            return Symbol(NEW, index)
        rank = self._recent.index(stream)
        return Symbol(rank, index - self._last if rank == 0 else index)

    def _touch(self, stream: int, rank: int) -> None:
        if rank > 0:
            del self._recent[rank]
        if rank != 0:
            self._recent.insert(0, stream)
            del self._recent[REMEMBERED:]
