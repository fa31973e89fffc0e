"""A prefetcher that learns by reinforcement which offset to fetch (after Pythia)."""

from __future__ import annotations

from collections import deque
from operator import add
from random import Random

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import FIRST_USE, View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch._runs import Ranges
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register

ACTIONS = (1, 3, 4, 5, 10, 11, 12, 22, 23, 30, 32, -1, -3, -6, 0)
"""Offsets to choose from; 0: fetch nothing."""
TIMELY, LATE, OUTSIDE = 20.0, 12.0, -12.0
WRONG, WRONG_BUSY = -8.0, -14.0
NOTHING, NOTHING_BUSY = -4.0, -2.0
TILES = 128
TILINGS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
"""Odd multipliers, one a tiling: each spreads the values of a feature over its tiles in another way."""
LAST_DELTAS = 4
STREAM, DELTAS = 0, 1
"""The features: stream with last delta, and the last four deltas."""


class Values:
    """Q: for each feature and tiling a table of tiles times actions. A feature's value is the sum over its tilings, a
    state's the maximum over its features."""

    def __init__(self, alpha: float, gamma: float) -> None:
        self.alpha, self.gamma = alpha, gamma
        self._rows = [[1.0 / (1.0 - gamma)] * len(ACTIONS) for _ in range(2 * len(TILINGS) * TILES)]

    def state(self, stream: int, deltas: tuple[int, ...]) -> list[list[float]]:
        """Rows of the tables that make up the value of a state."""
        path = 0
        for delta in deltas:
            path = (path << 7) ^ (delta & 0x7F)
        values = ((stream << 12) ^ (deltas[-1] & 0xFFF), path)
        return [
            self._rows[(feature * len(TILINGS) + tiling) * TILES + (((value + 1) * odd & 0xFFFFFFFF) >> 25)]
            for feature, value in ((STREAM, values[STREAM]), (DELTAS, values[DELTAS]))
            for tiling, odd in enumerate(TILINGS)
        ]

    def best(self, state: list[list[float]]) -> int:
        """Number of the action of the highest value, the first of equals."""
        a, b, c, d, e, f = state
        values = list(map(max, map(add, map(add, a, b), c), map(add, map(add, d, e), f)))
        return values.index(max(values))

    def learn(self, old: _Choice, new: _Choice) -> None:
        """SARSA, in each table by itself."""
        for row, following in zip(old.state, new.state, strict=True):
            target = old.reward + self.gamma * following[new.action]
            row[old.action] += self.alpha * (target - row[old.action])


class _Choice:
    """An action taken in a state, and its reward once that is known."""

    __slots__ = ("action", "block", "reward", "state")

    def __init__(self, state: list[list[float]], action: int) -> None:
        self.state, self.action = state, action
        self.block: tuple[int, int] | None = None
        self.reward: float | None = None


@register
class PythiaLike(PrefetchPolicy):
    """SARSA over 15 offsets, rewarded for prefetches that are used, in time, and do not crowd the link.

    At each access at block X of a stream the state is (stream, last delta) and the last four deltas of the stream; the
    offset a of the highest value is chosen (with probability `epsilon` a random one, by `seed`) and X + a fetched.
    Choices wait in a queue of `queue`. Reward: used in time 20, used late 12 (it was in flight, or not even started),
    nothing chosen -4, outside the stream -12; what leaves the queue without one was wrong, -8. While the link is busy,
    that is -14 and choosing nothing only -2; busy is when what is queued and in flight takes more than half of the
    next step. A choice that leaves the queue is learnt from with the one that leaves next: Q += `alpha` (R + `gamma` Q'
    - Q). All values start at 1 / (1 - gamma). A block that is in the queue already is not fetched and not queued again.

    Not here: more than one block a choice, which public code adds by how often an offset repeats in a page. The
    features are the paper's, with the stream for the program counter; the shipped configuration has others.

    Level: I0/I1. Cost: O(actions) an access, some 10 us in Python. State: 2 features * 3 tilings * 128 tiles * 15
    actions. Source: Bera et al., MICRO 2021.
    """

    name = "pythia_like"
    level = Level.I0
    source = "Bera et al., MICRO 2021"
    parameters = {"alpha": 0.0065, "gamma": 0.556, "epsilon": 0.0018, "queue": 256, "seed": 1}
    least = {"queue": 1, "seed": 0}
    shares = ("alpha", "gamma", "epsilon")

    alpha: float
    gamma: float
    epsilon: float
    queue: int
    seed: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if self.gamma == 1:
            raise PagedKVError(f"pythia_like: gamma is below 1, not {self.gamma}")
        self.values = Values(self.alpha, self.gamma)
        self._random = Random(self.seed)
        self._streams: dict[int, tuple[int, tuple[int, ...]]] = {}
        """Stream -> last index, last deltas."""
        self._choices: deque[_Choice] = deque()
        self._by_block: dict[tuple[int, int], _Choice] = {}
        self._left: _Choice | None = None
        self._busy = False

    def propose(self, view: View) -> list[Fetch]:
        seen, wanted = view.accesses, Ranges()
        self._busy = (view.in_flight_blocks + view.queued_blocks) * view.block_load_s > view.step_s / 2
        for stream, index, kind in zip(seen.stream.tolist(), seen.index.tolist(), seen.kind.tolist(), strict=True):
            waiting = self._by_block.get((stream, index))
            if waiting is not None and waiting.reward is None:
                waiting.reward = TIMELY if kind == FIRST_USE else LATE
            self._act(wanted, stream, index)
        return wanted.fetches()

    def _act(self, wanted: Ranges, stream: int, index: int) -> None:
        last, deltas = self._streams.get(stream, (index, (0,) * LAST_DELTAS))
        deltas = (*deltas[1:], index - last)
        self._streams[stream] = (index, deltas)
        state = self.values.state(stream, deltas)
        exploring = self._random.random() < self.epsilon
        choice = _Choice(state, self._random.randrange(len(ACTIONS)) if exploring else self.values.best(state))
        offset = ACTIONS[choice.action]
        block = (stream, index + offset)
        if offset == 0:
            choice.reward = NOTHING_BUSY if self._busy else NOTHING
        elif block[1] < 0:
            choice.reward = OUTSIDE
        elif block in self._by_block:
            return
        else:
            choice.block = block
            self._by_block[block] = choice
            wanted.add(*block)
        self._enter(choice)

    def _enter(self, choice: _Choice) -> None:
        """Queue a choice; learn from the one before the one that has to leave for it."""
        if len(self._choices) == self.queue:
            leaving = self._choices.popleft()
            if leaving.block is not None:
                del self._by_block[leaving.block]
            if leaving.reward is None:
                leaving.reward = WRONG_BUSY if self._busy else WRONG
            if self._left is not None:
                self.values.learn(self._left, leaving)
            self._left = leaving
        self._choices.append(choice)
