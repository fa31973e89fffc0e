"""A delta LSTM, trained beforehand."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.errors import PagedKVError
from pagedkv.learn.network import CONTEXT, Network, load
from pagedkv.learn.tokens import Input, Tokens, as_array
from pagedkv.prefetch._runs import Ranges, runs
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register


@register
class Lstm(PrefetchPolicy):
    """Fetch what a small recurrent network, trained on another part or another trace, expects as the next access.

    Each access is a token: symbol (rank of the stream by recency, and delta within it or index in another one; the
    1024 most frequent of the training trace, and one for all others), whether it reached the highest block that its
    stream ever had, whether a call began with it. The last 64 tokens go through an embedding of 32 and one LSTM of
    128 units, once a call; the `top` likeliest symbols are fetched, best first. With `depth` above 1 the likeliest is
    taken for granted and the next one predicted, so often in all: one more step of the network each.

    `weights`: file that `pagedkv.learn.train` wrote; needed. The network does not learn while it runs.

    Level: I0/I1. Cost: 64 + `depth` steps of the LSTM a call, about 1.2 ms on a CPU, and O(1) a run of accesses. State:
    64 tokens, 0.4 to 0.9 MB of weights. Source: Hashemi et al., ICML 2018; input and sizes after policies.md 4.
    """

    name = "lstm"
    level = Level.I0
    source = "Hashemi et al., ICML 2018"
    parameters = {"weights": None, "top": 8, "depth": 1}
    least = {"top": 1, "depth": 1}
    reach = "depth"

    weights: str | Path | None
    top: int
    depth: int

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if self.weights is not None and not Path(self.weights).is_file():
            raise PagedKVError(f"lstm: weights: there is no file '{self.weights}'")
        self._network: Network | None = None
        self._tokens: Tokens | None = None
        self._recent: deque[tuple[Input, int]] = deque(maxlen=CONTEXT)

    @property
    def label(self) -> str:
        changed = [f"{k}={v}" for k, v in (("top", self.top), ("depth", self.depth)) if v != self.parameters[k]]
        return f"lstm({', '.join(changed)})" if changed else "lstm"

    def propose(self, view: View) -> list[Fetch]:
        bursts = runs(view.accesses)
        if not bursts:
            return []
        if self._network is None:
            # Not in the constructor: policies are made for their label alone, too.
            self._network = self._load()
            self._tokens = Tokens(self._network.vocabulary)
        self._recent.extend((token, min(times, CONTEXT)) for token, times in self._tokens.push(bursts))
        return self._predict(self._network, self._tokens)

    def _load(self) -> Network:
        if self.weights is None:
            raise PagedKVError("lstm: weights is needed: a file written by training on a trace (pagedkv train-lstm)")
        return load(self.weights)

    def _predict(self, network: Network, tokens: Tokens) -> list[Fetch]:
        wanted, ahead = Ranges(), tokens.symbols.ahead()
        inputs, state = as_array(self._recent)[-CONTEXT:], None
        for _ in range(self.depth):
            state = network.run(inputs, state)
            expected = [ahead.address(network.vocabulary[number]) for number in network.likeliest(state, self.top)]
            for address in expected:
                if address is not None:
                    wanted.add(*address)
            if not expected or expected[0] is None:
                break
            inputs = as_array([(tokens.input(ahead.push(*expected[0])), 1)])
        return wanted.fetches()
