"""Policies that answer each access by itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from pagedkv.engine.view import View
from pagedkv.prefetch.base import Fetch, PrefetchPolicy


class OnAccess(PrefetchPolicy):
    """Answers the accesses of a view one after the other, in the order in which they were made.

    So it decides the same whether it is asked after each access (D-page) or once for all of a step (D-step).
    """

    def propose(self, view: View) -> list[Fetch]:
        seen, access = view.accesses, self.access
        accesses = zip(seen.stream.tolist(), seen.index.tolist(), seen.kind.tolist(), strict=True)
        return [fetch for stream, index, kind in accesses for fetch in access(stream, index, kind)]

    @abstractmethod
    def access(self, stream: int, index: int, kind: int) -> Iterable[Fetch]:
        """Blocks to fetch after an access; `kind` is FAULT, LATE or FIRST_USE."""
