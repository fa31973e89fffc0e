"""Event logs: JSON lines, one batch a line. The form is in docs/kv-events.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pagedkv.errors import PagedKVError
from pagedkv.files import whole_file
from pagedkv.kv_events.events import Batch, batch_from, batch_to


@dataclass(frozen=True)
class EventLog:
    """All batches of a log in the order of its lines, and how many batches are known to be missing between them.

    `numbered`: every batch has a sequence number. Without them nobody knows what is missing.
    """

    batches: tuple[Batch, ...]
    missing: int
    numbered: bool

    @property
    def span_s(self) -> float:
        """Time from the first batch to the last one."""
        times = [batch.ts for batch in self.batches]
        return max(times) - min(times) if times else 0.0


def line_of(batch: Batch, content: bool = False) -> str:
    """A batch as a line of a log; see `batch_to`. Equal batches give equal lines."""
    return json.dumps(batch_to(batch, content), separators=(",", ":")) + "\n"


def write_log(batches: Iterable[Batch], path: str | Path, content: bool = False) -> int:
    """Write a log whole or not at all; returns the number of batches."""
    written = 0
    with whole_file(path) as temporary, temporary.open("w") as file:
        for batch in batches:
            file.write(line_of(batch, content))
            written += 1
    return written


def read_log(path: str | Path, allow_gaps: bool = False) -> EventLog:
    """Read and check a log. Raises PagedKVError naming line and cause: no JSON, an unknown event, a missing field, a
    sequence that has a gap (unless `allow_gaps`, which counts them) or falls, a time that goes backwards."""
    order = _Order(allow_gaps)
    batches = []
    for number, text in _lines(path):
        try:
            batch = batch_from(json.loads(text))
            order.check(batch)
        except json.JSONDecodeError as error:
            raise PagedKVError(f"{path}: line {number}: not JSON: {error.msg}") from error
        except ValueError as error:
            raise PagedKVError(f"{path}: line {number}: {error}") from error
        batches.append(batch)
    if not batches:
        raise PagedKVError(f"{path}: holds no batch of events")
    return EventLog(tuple(batches), order.missing, all(batch.seq is not None for batch in batches))


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    try:
        with Path(path).open() as file:
            yield from ((number, text) for number, text in enumerate(file, start=1) if text.strip())
    except UnicodeDecodeError as error:
        raise PagedKVError(f"{path}: not a text file: {error.reason}") from error


class _Order:
    """Every rank numbers and times its own batches."""

    def __init__(self, allow_gaps: bool) -> None:
        self.missing = 0
        self._allow_gaps = allow_gaps
        self._last: dict[int, Batch] = {}

    def check(self, batch: Batch) -> None:
        last = self._last.get(batch.rank)
        self._last[batch.rank] = batch
        if last is None:
            return
        if batch.ts < last.ts:
            raise ValueError(f"time goes back by {last.ts - batch.ts:.6f} s on rank {batch.rank}")
        if batch.seq is None or last.seq is None:
            return
        if batch.seq <= last.seq:
            raise ValueError(
                f"sequence {batch.seq} follows {last.seq} on rank {batch.rank}: the publisher was restarted, or logs "
                "were joined; report each part by itself"
            )
        missing = batch.seq - last.seq - 1
        if missing and not self._allow_gaps:
            raise ValueError(
                f"sequence {batch.seq} follows {last.seq} on rank {batch.rank}: {missing} missing (--allow-gaps counts "
                "them instead)"
            )
        self.missing += missing
