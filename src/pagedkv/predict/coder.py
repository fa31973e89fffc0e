"""Code length of a stream of symbols under a mixture of context models, learned while it is coded.

The code length of any predictor that has seen only the past bounds the stream's entropy from above, whatever the
stream is, and cannot be tuned to it afterwards (prequential principle: Dawid, JRSS A 147, 1984).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from pagedkv.errors import PagedKVError

Symbol = Hashable


class _Counts:
    """How often each symbol followed one context."""

    __slots__ = ("symbols", "total")

    def __init__(self) -> None:
        self.symbols: dict[Symbol, int] = {}
        self.total = 0


class ContextMixture:
    """Predictors of order 0 to `order`, mixed by how well each has coded so far.

    The predictor of order k blends its own counts with the next lower order by the escape probability of PPM-C
    (Moffat, IEEE Trans. Communications 38(11), 1990): p_k(x) = (n(x) + u · p_{k-1}(x)) / (n + u) with n occurrences
    of the context and u distinct symbols behind it; below order 0 all `alphabet` symbols are equally likely. The
    mixture weighs predictors by their likelihood, with a small share handed round at each symbol so that a better one
    can take over later (fixed share: Herbster and Warmuth, Machine Learning 32, 1998).
    """

    SHARE = 1e-3

    def __init__(self, order: int, alphabet: int) -> None:
        if alphabet < 1:
            raise PagedKVError(f"entropy: an alphabet of {alphabet} symbols is too small")
        self._order = order
        self._uniform = 1.0 / alphabet
        self._tables: list[dict[tuple, _Counts]] = [{} for _ in range(order + 1)]
        self._weights = [1.0 / (order + 1)] * (order + 1)

    def bits(self, symbol: Symbol, context: Sequence[Symbol]) -> float:
        """Code length of `symbol` after `context`, whose last element is the most recent; then learns it.

        `context` has at least as many elements as the order, or is the beginning of the stream.
        """
        found = []
        below = self._uniform
        chances = []
        for order, table in enumerate(self._tables):
            key = tuple(context[len(context) - order :]) if order else ()
            counts = table.setdefault(key, _Counts())
            found.append(counts)
            distinct = len(counts.symbols)
            if distinct:
                below = (counts.symbols.get(symbol, 0) + distinct * below) / (counts.total + distinct)
            chances.append(below)
        chance = sum(weight * p for weight, p in zip(self._weights, chances, strict=True))
        kept = [(1.0 - self.SHARE) * w * p / chance for w, p in zip(self._weights, chances, strict=True)]
        self._weights = [w + self.SHARE / len(kept) for w in kept]
        for counts in found:
            counts.symbols[symbol] = counts.symbols.get(symbol, 0) + 1
            counts.total += 1
        return -math.log2(chance)


def code_length(symbols: Sequence[Symbol], order: int, alphabet: int) -> float:
    """Bits that a mixture of the orders 0 to `order` takes for all of `symbols`, of which there may be `alphabet`."""
    model = ContextMixture(order, alphabet)
    return sum(model.bits(symbol, symbols[max(0, i - order) : i]) for i, symbol in enumerate(symbols))


def side_code_length(symbols: Sequence[Symbol], sides: Sequence[Symbol], alphabet: int) -> float:
    """Bits for `symbols` when the decoder also sees `sides[i]` before `symbols[i]`: contexts are none and the side."""
    model = ContextMixture(1, alphabet)
    return sum(model.bits(symbol, (side,)) for symbol, side in zip(symbols, sides, strict=True))
