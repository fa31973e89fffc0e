"""What the scheduler of the closed loop knows at each boundary, and what a policy may ask it.

`recorded.py` plays this part in a replay.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from pagedkv.engine.batch import Batch
from pagedkv.engine.kv import KvManager
from pagedkv.engine.ladder import Level
from pagedkv.engine.pauses import PausedSessions
from pagedkv.engine.plan import Lengths, Room, plan_fields
from pagedkv.engine.requests import Request
from pagedkv.engine.scheduler import Scheduler
from pagedkv.engine.view import Pause
from pagedkv.geometry import BLOCK_TOKENS


class Outlook:
    """Answers for `scheduler`. The loop tells it the batch, and who comes and goes."""

    def __init__(self, scheduler: Scheduler, kv: KvManager) -> None:
        self.scheduler = scheduler
        self.kv = kv
        self.memory = kv.memory
        self.batch = Batch.of([], [])
        self._level = self.memory.consultation.level
        self.live: dict[int, Request] = {}
        """Requests that have arrived and are not done."""
        self._paused = PausedSessions(self.memory.tiers.states)
        self._lengths = Lengths()

    # ------------------------------------------------------------ what happens
    def end_pause(self, number: int) -> None:
        """Request `number` has arrived, whether it will be served or not."""
        self._paused.end(number)

    def arrive(self, request: Request) -> None:
        self.live[request.number] = request

    def finish(self, request: Request, following: int | None) -> None:
        """`request`, which still has its blocks, is done. Its client says whether another turn follows, and some
        policies want to know of the pause before it."""
        self._lengths.finished(request.output_tokens)
        if following is not None and self._level >= Level.I4:
            pause = Pause(request.session, following, request.last_token_s)
            self._paused.begin(pause, self.kv.shareable(request))
        del self.live[request.number]

    # ------------------------------------------------------------ what is known
    def nearest(self, requests: int) -> list[np.ndarray]:
        """Contents that the first `requests` of the queue will read."""
        return [self.kv.reusable(request).copy() for request in islice(self.scheduler.waiting, requests)]

    def table_of(self, number: int) -> np.ndarray:
        """Contents of a live request's table; of a waiting one, those it would start with; of the next turn of a paused
        session, those of the turn that finished."""
        request = self.live.get(number)
        if request is None:
            return self._paused.contents(number) if number in self._paused else np.zeros(0, np.int64)
        return request.contents if request.blocks else self.kv.reusable(request)

    def view_fields(self) -> dict[str, object]:
        """The fields of a view that come from the schedule, up to the policy's level."""
        level = self._level
        fields: dict[str, object] = {"step": self.memory.step}
        if level >= Level.I2:
            fields["reads"] = self._reads()
        if level >= Level.I3:
            fields["batch"] = tuple(request.number for request in self.batch.requests)
        if level >= Level.I4:
            state = self.scheduler.queue_state(self.memory.step)
            fields |= plan_fields(state, self._blocks_of, self._room, self._paused.listed())
        return fields

    def _reads(self) -> tuple[tuple[int, int, int], ...]:
        """Blocks that attention reads in the step at hand: of each request all up to the last scheduled token."""
        batch = self.batch
        return tuple((r.number, 0, blocks) for r, blocks in zip(batch.requests, batch.blocks, strict=True))

    def _blocks_of(self, number: int) -> int:
        request = self.live.get(number)
        return len(self.table_of(number) if request is None else self.kv.reusable(request))

    def _room(self) -> Room:
        scheduler = self.scheduler
        seats = scheduler.settings.max_num_seqs - len(scheduler.running) - len(scheduler.loading)
        return Room(seats, self.memory.tiers.pool.available, self._ends(), self._need)

    def _need(self, number: int) -> int:
        return -(-self.live[number].tokens // BLOCK_TOKENS)

    def _ends(self) -> Iterator[tuple[int, int]]:
        """(step, blocks) at which running requests are predicted to have ended, and give their blocks up."""
        self.batch.settle()
        for request in self.scheduler.running:
            rest = self._lengths.rest(request.produced)
            if rest is not None:
                yield self.memory.step + rest, request.blocks
