"""Prediction by partial matching: the next access from the longest context that was seen before."""

from __future__ import annotations

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.prefetch._runs import Ranges, runs
from pagedkv.prefetch._symbols import Symbol, Symbols, Token
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.prefetch.registry import register

Context = tuple[int, ...]


class _Counts:
    """What followed a context, how often, and what did so most often (of equals: the last one)."""

    __slots__ = ("counts", "top", "total")

    def __init__(self) -> None:
        self.counts: dict[Symbol, int] = {}
        self.total = 0
        self.top: Symbol | None = None

    def add(self, symbol: Symbol, times: int) -> None:
        count = self.counts[symbol] = self.counts.get(symbol, 0) + times
        self.total += times
        if self.top is None or count >= self.counts[self.top]:
            self.top = symbol


class Model:
    """Counts of what followed each context of 0 to `order` tokens, with the escape of PPM-C.

    In a context with n symbols counted, d of them distinct, a symbol counted c times has c / (n + d), and what was
    never seen there shares d / (n + d), which the next shorter context divides in the same way.
    """

    def __init__(self, order: int) -> None:
        self.order = order
        self.context: Context = ()
        self._seen: dict[Context, _Counts] = {}
        self._numbers: dict[Token, int] = {}

    def after(self, context: Context, token: Token) -> Context:
        """The context once `token` followed; one never learnt makes a context never seen."""
        return (*context, self._numbers.get(token, -1))[-self.order :] if self.order else ()

    def learn(self, token: Token, times: int) -> None:
        """`token` followed, `times` in succession."""
        self._numbers.setdefault(token, len(self._numbers))
        while times:
            following = self.after(self.context, token)
            # Where the context no longer changes, all that remain are counted at once.
            now = times if following == self.context else 1
            for shorter in _suffixes(self.context):
                counts = self._seen.get(shorter)
                if counts is None:
                    counts = self._seen[shorter] = _Counts()
                counts.add(token.symbol, now)
            self.context = following
            times -= now

    def likeliest(self, context: Context) -> tuple[Symbol | None, float]:
        """The symbol of the highest probability, and that; (None, 0) before anything was learnt.

        Looked for among the most frequent symbol of each context, from the longest on, until what escaped to the
        shorter ones is no more than what is found. Symbols of longer contexts are not excluded from the totals of
        shorter ones.
        """
        found, best, escape = None, 0.0, 1.0
        longer: list[_Counts] = []
        for suffix in _suffixes(context):
            counts = self._seen.get(suffix)
            if counts is None:
                continue
            whole = counts.total + len(counts.counts)
            probability = escape * counts.counts[counts.top] / whole
            if probability > best and not any(counts.top in other.counts for other in longer):
                found, best = counts.top, probability
            escape *= len(counts.counts) / whole
            if escape <= best:
                break
            longer.append(counts)
        return found, best


def _suffixes(context: Context) -> list[Context]:
    """The context and all shorter ones, down to the empty one."""
    return [context[start:] for start in range(len(context) + 1)]


@register
class Ppm(PrefetchPolicy):
    """Follow the most probable path that an n-gram model with escape (PPM-C) sees ahead.

    The model learns the one stream of all accesses as symbols that name no request (`_symbols.py`): rank of the stream
    by recency, and delta within it or index in another one; contexts are the last 0 to `order` symbols, each with
    whether it reached the highest block of its stream. At the end of a call the most probable next symbol is taken,
    then the one after it, and so on: up to `degree` blocks, as long as the path's probability is at least `confidence`.

    Level: I0/I1. Cost: O(order) a run of accesses, O(degree * order) a call. State: the counts of every context seen,
    without bound. Source: Cleary and Witten, IEEE Trans. Communications 1984, with the escape of Moffat 1990; as a
    prefetcher, Vitter and Krishnan, J. ACM 1996.
    """

    name = "ppm"
    level = Level.I0
    source = "Cleary and Witten, 1984; Moffat, 1990; Vitter and Krishnan, J. ACM 1996"
    parameters = {"order": 4, "degree": 8, "confidence": 0.25}
    least = {"order": 0, "degree": 1}
    shares = ("confidence",)

    order: int
    degree: int
    confidence: float

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._symbols = Symbols()
        self._model = Model(self.order)

    def propose(self, view: View) -> list[Fetch]:
        bursts = runs(view.accesses)
        for stream, first, count in bursts:
            for token, times in self._symbols.push_run(stream, first, count):
                self._model.learn(token, times)
        return self._path() if bursts else []

    def _path(self) -> list[Fetch]:
        wanted, ahead = Ranges(), self._symbols.ahead()
        context, confidence = self._model.context, 1.0
        for _ in range(self.degree):
            symbol, probability = self._model.likeliest(context)
            confidence *= probability
            address = ahead.address(symbol) if symbol and confidence >= self.confidence else None
            if address is None:
                break
            wanted.add(*address)
            context = self._model.after(context, ahead.push(*address))
        return wanted.fetches()
