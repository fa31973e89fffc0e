"""Markov prefetcher: what followed the last miss the other times, over blocks or over requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._runs import Ranges
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register

OVER = {"blocks": Level.I0, "requests": Level.I3}


class _Successors:
    """State -> its last `width` distinct successors, newest first. The oldest recorded of `size` states goes first.

    A state is the last `order` nodes; `follow` appends a node and records it as the successor of the state before.
    """

    def __init__(self, order: int, width: int, size: int) -> None:
        self._table: OrderedDict[tuple, list] = OrderedDict()
        self._state: tuple = ()
        self._order, self._width, self._size = order, width, size

    def follow(self, node: Hashable) -> None:
        if len(self._state) == self._order:
            self._record(node)
        self._state = (*self._state, node)[-self._order :]

    def _record(self, node: Hashable) -> None:
        known = self._table.pop(self._state, [])
        if not known or known[0] != node:
            known = [node, *(other for other in known if other != node)][: self._width]
        self._table[self._state] = known
        if len(self._table) > self._size:
            self._table.popitem(last=False)

    def ahead(self, degree: int, depth: int = 1) -> Iterator[Hashable]:
        """The first `degree` successors of the state; then, `depth` times in all, those of its first successor."""
        state = self._state
        for _ in range(depth):
            found = self._table.get(state)
            if found is None:
                return
            yield from found[:degree]
            state = (*state, found[0])[-self._order :]


@register
class Markov(PrefetchPolicy):
    """Fetch what followed the last `order` nodes when they were seen before, the most recent successor first.

    `over`: `blocks`, where a node is a block that missed (first uses of own prefetches count as misses: without the
    prefetch they were), or `requests`, where a node is a request that joins the batch and all blocks are fetched that
    a successor was last seen to read. `order`: 1 or 2 last nodes are the state. Each state keeps its last `width`
    distinct successors, and there are at most `table` states. The first `degree` of them are fetched; after the last
    node of a call the walk goes on from the most recent successor, `depth` times in all (the paper has 1).

    Level: I0/I1 over blocks, I3 over requests. Cost: O(degree + width) a miss or entry, O(depth * degree) a call.
    State: `table` times `width`. Source: Joseph and Grunwald, ISCA 1997; over requests: this work.
    """

    name = "markov"
    level = Level.I0
    source = "Joseph and Grunwald, ISCA 1997"
    parameters = {"over": "blocks", "order": 1, "width": 4, "degree": 2, "depth": 1, "table": 65536}
    least = {"order": 1, "width": 1, "degree": 1, "depth": 1, "table": 1}
    choices = {"over": tuple(OVER), "order": (1, 2)}
    reach = "depth"

    over: str
    order: int
    width: int
    degree: int
    depth: int
    table: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self.level = OVER[self.over]
        self.spatial = self.over == "blocks"
        self._successors = _Successors(self.order, self.width, self.table)
        self._batch: frozenset[int] = frozenset()
        self._blocks: dict[int, int] = {}
        """Blocks that each request was last seen to read."""

    def propose(self, view: View) -> list[Fetch]:
        return self._after_misses(view) if self.over == "blocks" else self._after_entries(view)

    def _after_misses(self, view: View) -> list[Fetch]:
        wanted = Ranges()
        for stream, index in self._ahead(zip(view.accesses.stream.tolist(), view.accesses.index.tolist(), strict=True)):
            wanted.add(stream, index)
        return wanted.fetches()

    def _after_entries(self, view: View) -> list[Fetch]:
        for request, first, count in view.reads:
            self._blocks[request] = first + count
        before, self._batch = self._batch, frozenset(view.batch)
        entered = (request for request in view.batch if request not in before)
        return [Fetch(r, 0, self._blocks[r]) for r in self._ahead(entered) if r not in self._batch]

    def _ahead(self, nodes: Iterable[Hashable]) -> Iterator[Hashable]:
        """Follow the nodes of a call; what was seen to follow each of them, and the longer walk after the last."""
        successors, node = self._successors, None
        for node in nodes:
            successors.follow(node)
            yield from successors.ahead(self.degree)
        if self.depth > 1 and node is not None:
            yield from successors.ahead(self.degree, self.depth)
