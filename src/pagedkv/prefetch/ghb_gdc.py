"""Global history buffer with delta correlation over all misses (G/DC)."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._runs import Ranges, runs
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register

STREAM_BLOCKS = 1 << 24
"""Addresses of a stream in the one linear space over which deltas are formed; no request has so many blocks."""


@register
class GhbGdc(PrefetchPolicy):
    """Find the last two deltas of the global miss stream in its history, and replay what followed them there.

    History: the last `history` miss addresses, whatever their stream. Deltas are taken over one linear space (stream,
    then block), so that a jump between requests is a delta as well: a batch order that repeats can be learnt. The
    newest older occurrence of the two newest deltas is looked up, and the deltas that followed it are added up from
    the current address, `degree` of them. Where fewer followed, the replay runs on into what it just replayed (a
    stride thus reaches as far as any pattern). First uses of own prefetches count as misses: without the prefetch
    they were.

    Level: I0/I1. Cost: O(degree) a run of accesses; the paper's walk along the chain is a look-up by pair here. State:
    `history` deltas and an index of their pairs. Source: Nesbit and Smith, HPCA 2004.
    """

    name = "ghb_gdc"
    level = Level.I0
    source = "Nesbit and Smith, HPCA 2004"
    parameters = {"history": 256, "degree": 8}
    least = {"history": 4, "degree": 1}

    history: int
    degree: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._last: int | None = None
        self._deltas: list[int] = []
        self._forgotten = 0
        """Deltas before the first one of the list; positions count from the first delta ever."""
        self._newest: dict[tuple[int, int], int] = {}
        """Position of the second delta of a pair, where it was seen last; the current pair is not among them yet."""

    def propose(self, view: View) -> list[Fetch]:
        wanted = Ranges()
        for stream, first, count in runs(view.accesses):
            self._record(stream * STREAM_BLOCKS + first, count)
            for address in self._replay():
                wanted.add(*divmod(address, STREAM_BLOCKS))
        return wanted.fetches()

    def _record(self, address: int, count: int) -> None:
        """`count` misses on neighbours, from `address` on."""
        if self._last is not None:
            self._push(address - self._last)
        for _ in range(min(count - 1, 3)):
            self._push(1)
        if count > 4:
            self._deltas.extend([1] * (count - 4))
            self._newest[1, 1] = self._forgotten + len(self._deltas) - 2
        self._last = address + count - 1
        self._forget()

    def _push(self, delta: int) -> None:
        if len(self._deltas) > 1:
            self._newest[self._deltas[-2], self._deltas[-1]] = self._forgotten + len(self._deltas) - 1
        self._deltas.append(delta)

    def _forget(self) -> None:
        """Cut what left the history, now and then."""
        surplus = len(self._deltas) - (self.history - 1)
        if surplus > 4 * self.history:
            del self._deltas[:surplus]
            self._forgotten += surplus
            self._newest = {pair: at for pair, at in self._newest.items() if at > self._forgotten}

    def _replay(self) -> list[int]:
        deltas = self._deltas
        if len(deltas) < 3:
            return []
        at = self._newest.get((deltas[-2], deltas[-1]), 0) - self._forgotten
        if at < max(1, len(deltas) - (self.history - 1) + 1):
            return []
        followed = deltas[at + 1 : at + 1 + self.degree]
        address, addresses = self._last, []
        for step in range(self.degree):
            address += followed[step % len(followed)]
            if address < 0:
                break
            addresses.append(address)
        return addresses
