"""Best-offset prefetching: one offset, chosen by how often it would have been timely."""

from __future__ import annotations

from collections import OrderedDict

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._runs import Ranges
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register


def offsets_up_to(largest: int) -> list[int]:
    """Whole numbers from 1 to `largest` without a prime factor above 5: 52 of them up to 256."""
    powers = range(largest.bit_length())
    return sorted(n for a in powers for b in powers for c in powers if (n := 2**a * 3**b * 5**c) <= largest)


@register
class BestOffset(PrefetchPolicy):
    """Fetch X + d for each trigger X, where d is the offset that would have been most often in time lately.

    Trigger: a fault or the first use of an own prefetch. Each trigger X tests the next offset d of the list: if X - d
    is a recent request, d scores. One pass over the list is a round; a learning phase ends with the round in which a
    score reached `score_max`, or after `rounds` of them. The best d then becomes the offset; if its score is not above
    `bad_score`, prefetching is off until the end of the next phase. Recent requests are the last `recent` base
    addresses of completed fills: of a prefetched block Y, Y - d with the d in force; while off, of every demand-loaded
    block, Y itself. Completion is what makes a good offset one that is in time.

    `largest`: the list holds the numbers up to it without a prime factor above 5. The paper has 256; 1024 lets a whole
    request be an offset. Offsets stay within a stream. Starts with d = 1.

    Level: I0/I1, with feedback on arrivals. Cost: O(1) a trigger or arrival. State: a score an offset, `recent`
    addresses. Source: Michaud, HPCA 2016.
    """

    name = "best_offset"
    level = Level.I0
    source = "Michaud, HPCA 2016"
    parameters = {"largest": 1024, "recent": 256, "score_max": 31, "rounds": 100, "bad_score": 1}
    least = {"largest": 1, "recent": 1, "score_max": 1, "rounds": 1, "bad_score": 0}
    feedback = True

    largest: int
    recent: int
    score_max: int
    rounds: int
    bad_score: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._offsets = offsets_up_to(self.largest)
        self._recent: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._offset = 1
        """Offset in force; 0: off."""
        self._begin_phase()

    def propose(self, view: View) -> list[Fetch]:
        self._fill(view)
        wanted = Ranges()
        for stream, index in zip(view.accesses.stream.tolist(), view.accesses.index.tolist(), strict=True):
            self._learn(stream, index)
            if self._offset:
                wanted.add(stream, index + self._offset)
        return wanted.fetches()

    def _fill(self, view: View) -> None:
        """Enter completed fills; of many at once only the last ones would stay."""
        arrived = view.arrived
        counts = arrived.prefetched if self._offset else ~arrived.prefetched
        streams, indices = arrived.stream[counts][-self.recent :], arrived.index[counts][-self.recent :]
        for stream, index in zip(streams.tolist(), indices.tolist(), strict=True):
            base = (stream, index - self._offset)
            self._recent.pop(base, None)
            self._recent[base] = None
        while len(self._recent) > self.recent:
            self._recent.popitem(last=False)

    # ------------------------------------------------------------ learning
    def _begin_phase(self) -> None:
        self._scores = [0] * len(self._offsets)
        self._tested = self._round = 0

    def _learn(self, stream: int, index: int) -> None:
        if (stream, index - self._offsets[self._tested]) in self._recent:
            self._scores[self._tested] += 1
        self._tested += 1
        if self._tested < len(self._offsets):
            return
        self._tested = 0
        self._round += 1
        best = max(self._scores)
        if best >= self.score_max or self._round == self.rounds:
            self._offset = self._offsets[self._scores.index(best)] if best > self.bad_score else 0
            self._begin_phase()
