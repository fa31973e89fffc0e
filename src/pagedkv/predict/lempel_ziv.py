"""Lempel-Ziv rate of a stream, and the bound on prediction that is often drawn from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.optimize import brentq


def match_lengths(symbols: Sequence[int]) -> list[int]:
    """L_i for each position: length of the shortest string that begins at i and does not occur wholly before i.

    Matches are kept while i advances, in a suffix automaton of the past that grows symbol by symbol: O(n). A string
    that reaches the end of the stream is as long as it can be seen to be.
    """
    n, lengths = len(symbols), []
    past, length = _SuffixAutomaton(), 0
    state = past.ROOT
    for i in range(n):
        if i:
            past.extend(symbols[i - 1])
        state = past.shortened(state, length)
        while i + length < n and symbols[i + length] in past.next[state]:
            state = past.next[state][symbols[i + length]]
            length += 1
        lengths.append(length + 1)
        length = max(0, length - 1)
        state = past.shortened(state, length)
    return lengths


def lempel_ziv_bits(lengths: Sequence[int]) -> float:
    """Entropy rate in bits a symbol by n log2(n) / sum of L_i (Song et al., Science 327, 2010).

    Right for a stationary stream. Where long repetitions stand between stretches without any, the few long matches
    decide the sum, and the rate comes out too low; see `lempel_ziv_mean_bits`. 0 for fewer than two symbols.
    """
    n = len(lengths)
    return n * math.log2(n) / sum(lengths) if n > 1 else 0.0


def lempel_ziv_mean_bits(lengths: Sequence[int]) -> float:
    """The same rate as the mean of log2(i + 1) / L_i, in which every position has its own say (Kontoyiannis et al.,
    IEEE Trans. Inf. Theory 44(3), 1998)."""
    return sum(math.log2(i + 1) / length for i, length in enumerate(lengths)) / len(lengths) if lengths else 0.0


class _SuffixAutomaton:
    """All substrings of what was fed in (Blumer et al., Theoretical Computer Science 40, 1985)."""

    ROOT = 0

    def __init__(self) -> None:
        self.next: list[dict[int, int]] = [{}]
        self._link, self._length, self._last = [-1], [0], 0

    def shortened(self, state: int, length: int) -> int:
        """The state of the last `length` symbols of a string that `state` stands for."""
        while state != self.ROOT and length <= self._length[self._link[state]]:
            state = self._link[state]
        return state

    def extend(self, symbol: int) -> None:
        new = self._add(self._length[self._last] + 1, {})
        state = self._last
        while state >= 0 and symbol not in self.next[state]:
            self.next[state][symbol] = new
            state = self._link[state]
        if state < 0:
            self._link[new] = 0
        else:
            self._link[new] = self._suffix(state, symbol)
        self._last = new

    def _suffix(self, state: int, symbol: int) -> int:
        target = self.next[state][symbol]
        if self._length[target] == self._length[state] + 1:
            return target
        clone = self._add(self._length[state] + 1, dict(self.next[target]))
        self._link[clone] = self._link[target]
        while state >= 0 and self.next[state].get(symbol) == target:
            self.next[state][symbol] = clone
            state = self._link[state]
        self._link[target] = clone
        return clone

    def _add(self, length: int, following: dict[int, int]) -> int:
        self.next.append(following)
        self._link.append(0)
        self._length.append(length)
        return len(self.next) - 1


def fano_accuracy(bits: float, candidates: int) -> float:
    """Largest chance P of guessing the next of `candidates` symbols at an entropy of `bits`, which solves
    H2(P) + (1 - P) log2(N - 1) = bits (Fano; Song et al. 2010).

    An illustration, not a bound on benefit: the Lempel-Ziv rate overestimates entropy under long-range dependence, so
    that real predictors have beaten this "bound" (Kulkarni et al., Entropy 21(4), 2019); and it speaks of the one next
    symbol, while a prefetcher wants a set within a window.
    """
    if candidates < 2 or bits <= 0:
        return 1.0
    guess = 1.0 / candidates
    if bits >= math.log2(candidates):
        return guess

    def excess(p: float) -> float:
        return -p * math.log2(p) - (1 - p) * math.log2(1 - p) + (1 - p) * math.log2(candidates - 1) - bits

    return float(brentq(excess, guess, 1 - 1e-15)) if excess(1 - 1e-15) < 0 else 1.0
