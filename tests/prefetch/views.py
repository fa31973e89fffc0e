"""Views with hand-written accesses, and proposals as plain lists."""

from collections.abc import Iterable, Sequence

import numpy as np

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FAULT, FIRST_USE, LATE, Accesses, Arrived, Evicted, View
from pagedkv.prefetch.base import Fetch, PrefetchPolicy

KINDS = {"fault": FAULT, "late": LATE, "use": FIRST_USE}


def seen(*accesses: tuple[int, int, str], level: Level = Level.I1) -> View:
    """A view of `accesses`, each (stream, index, kind)."""
    columns = zip(*((stream, index, KINDS[kind]) for stream, index, kind in accesses), strict=True)
    return View(level, {"accesses": Accesses(*(np.array(column, np.int64) for column in columns))})


def read(*runs: tuple[int, int, int], upto: tuple[int, int] | None = None, level: Level = Level.I2) -> View:
    """A view of the reads of a step, runs (stream, first, count); `upto`: the last access so far was a fault there."""
    fields = {"accesses": Accesses.none(), "reads": runs}
    if upto is not None:
        fields["accesses"] = seen((*upto, "fault")).accesses
    return View(level, fields)


def told(
    *accesses: tuple[int, int, str],
    arrived: Sequence[tuple[int, int]] = (),
    evicted: Sequence[tuple[int, int, bool]] = (),
) -> View:
    """A view with feedback and an idle link: `arrived` are (stream, index), `evicted` (stream, index, unused)."""
    came, left = np.array(arrived, np.int64).reshape(-1, 2), np.array(evicted, np.int64).reshape(-1, 3)
    unused = left[:, 2].astype(bool)
    fields = {
        "accesses": seen(*accesses).accesses if accesses else Accesses.none(),
        "arrived": Arrived(came[:, 0], came[:, 1], np.zeros(len(came), bool)),
        "evicted": Evicted(left[:, 0], left[:, 1], unused, ~unused),
    }
    link = {"now_s": 0.0, "step_s": 1e-3, "block_load_s": 1e-3, "in_flight_blocks": 0, "queued_blocks": 0}
    return View(Level.I1, fields | link)


def access(policy: PrefetchPolicy, index: int, kind: str = "fault", stream: int = 0) -> list[int]:
    """Indices that `policy` proposes after one access, in order. They must be of the stream of the access."""
    proposed = blocks(policy.propose(told((stream, index, kind))))
    assert {of for of, _ in proposed} <= {stream}, "a proposal crosses streams"
    return [found for _, found in proposed]


def uses(policy: PrefetchPolicy, *indices: int) -> None:
    """First uses of prefetched blocks, each of which proposes nothing."""
    assert [access(policy, index, "use") for index in indices] == [[]] * len(indices)


def blocks(fetches: Iterable[Fetch]) -> list[tuple[int, int]]:
    """(stream, index) of every proposed block, in order."""
    return [(f.stream, index) for f in fetches for index in range(f.first, f.first + f.count)]
