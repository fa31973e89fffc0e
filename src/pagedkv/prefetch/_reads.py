"""What has been read since the last call, for policies that observe every access (I2)."""

from __future__ import annotations

from pagedkv.engine.view import View

Run = tuple[int, int, int]
"""(stream, first, count): consecutive addresses, read in ascending order."""


class ReadCursor:
    """Walks through the reads of each step in the order in which they are made.

    A view lists what the whole step reads, even at a fault in its middle (D-page). What lies behind the last fault or
    first use has not been read yet then; it is handed out at the next call. Reads that are the same as at the last
    call are not handed out twice.
    """

    def __init__(self) -> None:
        self._reads: list[Run] = []
        self._run = 0
        self._done = 0
        """Addresses of run `_run` that were handed out."""

    def new(self, view: View) -> list[Run]:
        """Runs read since the last call, a run cut where reading had stopped or has got to."""
        reads = list(view.reads)
        fresh: list[Run] = []
        if reads != self._reads:
            fresh = self._rest()
            self._reads, self._run, self._done = reads, 0, 0
        if len(view.accesses) == 0:
            return fresh + self._rest()
        return fresh + self._until(int(view.accesses.stream[-1]), int(view.accesses.index[-1]))

    def _rest(self) -> list[Run]:
        return self._take(len(self._reads), 0)

    def _until(self, stream: int, index: int) -> list[Run]:
        """Up to the given address; nothing if it does not come."""
        for number in range(self._run, len(self._reads)):
            of, first, count = self._reads[number]
            if of == stream and first <= index < first + count:
                return self._take(number, index - first + 1)
        return []

    def _take(self, run: int, done: int) -> list[Run]:
        """Everything from the cursor up to the first `done` addresses of run `run`; moves the cursor there."""
        taken = []
        for number in range(self._run, min(run + 1, len(self._reads))):
            stream, first, count = self._reads[number]
            begin = self._done if number == self._run else 0
            end = done if number == run else count
            if end > begin:
                taken.append((stream, first + begin, end - begin))
        if run > self._run or done > self._done:
            self._run, self._done = run, done
        return taken
