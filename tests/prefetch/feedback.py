"""Views with feedback that says what was prefetched and what a prefetch pushed out."""

from collections.abc import Sequence

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Accesses, Arrived, Evicted, View
from pagedkv.prefetch.base import PrefetchPolicy
from tests.prefetch.views import KINDS, blocks

Triple = tuple[int, int, object]


def fed(
    *accesses: tuple[int, int, str],
    arrived: Sequence[tuple[int, int, bool]] = (),
    evicted: Sequence[tuple[int, int, bool]] = (),
    busy: bool = False,
) -> View:
    """A view of `accesses` (stream, index, kind), `arrived` (stream, index, prefetched) and `evicted` (stream, index,
    by a prefetch). A step takes 1 s, a block 1 s; `busy`: one block is in flight, else none."""
    seen, came, left = ([list(column) for column in zip(*rows, strict=True)] for rows in (accesses, arrived, evicted))
    seen, came, left = (columns or [[], [], []] for columns in (seen, came, left))
    number = lambda column: np.array(column, np.int64)  # noqa: E731
    flag = lambda column: np.array(column, bool)  # noqa: E731
    fields = {
        "accesses": Accesses(number(seen[0]), number(seen[1]), number([KINDS[kind] for kind in seen[2]])),
        "arrived": Arrived(number(came[0]), number(came[1]), flag(came[2])),
        "evicted": Evicted(number(left[0]), number(left[1]), ~flag(left[2]), flag(left[2])),
        "in_flight_blocks": int(busy),
        "queued_blocks": 0,
        "block_load_s": 1.0,
        "step_s": 1.0,
    }
    return View(Level.I1, fields)


def answer(policy: PrefetchPolicy, *accesses: tuple[int, int], kind: str = "fault") -> list[tuple[int, int]]:
    """(stream, index) of what `policy` proposes when it is shown `accesses` (stream, index) in one call."""
    return blocks(policy.propose(fed(*((stream, index, kind) for stream, index in accesses))))


def burst(stream: int, first: int, count: int) -> list[tuple[int, int]]:
    """Accesses to [first, first + count) of a stream."""
    return [(stream, index) for index in range(first, first + count)]
