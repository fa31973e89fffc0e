"""A lane in which nothing happens until the test lets it: delays, reorders what a stream may reorder, and fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import nullcontext

from pagedkv.device.lane import PassedMark
from pagedkv.errors import PagedKVError


class ManualMark(PassedMark):
    """Passes when its lane gets there. To synchronize lets the lane go on until then."""

    def __init__(self, lane: ManualLane | None = None) -> None:
        super().__init__()
        self.lane = lane
        self.passed = False
        self.failed = False

    def query(self) -> bool:
        if self.failed:
            raise PagedKVError("the copy has failed")
        return self.passed

    def synchronize(self) -> None:
        while not self.query():
            assert self.lane is not None and self.lane.advance(), "waits for what never happens"


class ManualLane:
    """Work of one lane is done in order; `advance` does the next piece of it. Two lanes advance as the test likes.

    Work that waits for a mark of another lane is not done before that one has passed, however often one tries.
    """

    def __init__(self) -> None:
        self._queue: deque[tuple[str, object]] = deque()
        self._fails = False
        self.active = nullcontext

    def after(self, mark: ManualMark) -> None:
        self._queue.append(("after", mark))

    def mark(self) -> ManualMark:
        mark = ManualMark(self)
        self._queue.append(("mark", mark))
        return mark

    def recycle(self, mark: ManualMark) -> None:
        assert mark.passed, "given back while it is still under way"

    def give(self, work: Callable[[int], int]) -> int:
        self._queue.append(("work", work))
        return 1

    def fail_next(self) -> None:
        """The next piece of work moves nothing, and what waits for it hears so."""
        self._fails = True

    def advance(self) -> bool:
        """Go on to behind the next piece of work; False where that has to wait, or where nothing is left."""
        worked, failed = False, False
        while self._queue:
            kind, what = self._queue[0]
            if (kind == "after" and not what.query()) or (worked and kind != "mark"):
                break
            self._queue.popleft()
            if kind == "work":
                worked, failed, self._fails = True, self._fails, False
                if not failed:
                    what(0)
            elif kind == "mark":
                what.passed, what.failed = True, failed
        return worked
