"""Random numbers that are the same on every machine and in every Python version.

A stream is splitmix64 (Steele, Lea, Flood, OOPSLA 2014) started from a key such as (seed, "chat", 17). Streams of
different keys are independent, so a session's content does not depend on how many sessions came before it.
Distributions are inverse transforms of its uniforms. Only `math.exp` and `math.log` are left to the platform; what
they feed is rounded (tokens to integers, times to microseconds), so that a last-bit difference does not show.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_STANDARD_NORMAL = NormalDist()

# A mixture of lognormals: (weight, mu, sigma of the logarithm) of each part. Weights need not sum to one.
Mixture = Sequence[tuple[float, float, float]]


def _mix(word: int) -> int:
    """splitmix64's finaliser: a bijection of 64-bit words in which every input bit reaches every output bit."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return word ^ (word >> 31)


class Stream:
    """One stream of random numbers, given by its key (integers and strings)."""

    __slots__ = ("_state",)

    def __init__(self, *key: int | str) -> None:
        state = 0
        for part in key:
            data = part.encode() if isinstance(part, str) else part.to_bytes(16, "little", signed=True)
            state = _mix((state + len(data) + _STEP) & _MASK)  # the length keeps ("a", "b") apart from ("ab",)
            for byte in data:
                state = _mix(((state ^ byte) + _STEP) & _MASK)
        self._state = state

    def bits(self) -> int:
        """64 random bits."""
        self._state = (self._state + _STEP) & _MASK
        return _mix(self._state)

    def uniform(self) -> float:
        """A number strictly between 0 and 1: the middle of one of 2**52 equal cells."""
        return ((self.bits() >> 12) + 0.5) * 2.0**-52

    def exponential(self, mean: float = 1.0) -> float:
        return -mean * math.log(self.uniform())

    def normal(self, mean: float = 0.0, sigma: float = 1.0) -> float:
        return mean + sigma * _STANDARD_NORMAL.inv_cdf(self.uniform())

    def lognormal(self, mu: float, sigma: float) -> float:
        return math.exp(self.normal(mu, sigma))

    def beta(self, a: float, b: float) -> float:
        """Jöhnk's method (1964): for small a and b about every second pair is accepted."""
        while True:
            x, y = self.uniform() ** (1 / a), self.uniform() ** (1 / b)
            if x + y <= 1:
                return x / (x + y)

    def choice(self, weights: Sequence[float]) -> int:
        """An index, drawn in proportion to the weights."""
        left = self.uniform() * math.fsum(weights)
        for index, weight in enumerate(weights):
            left -= weight
            if left <= 0:
                return index
        return len(weights) - 1

    def mixture(self, parts: Mixture) -> float:
        _, mu, sigma = parts[self.choice([weight for weight, _, _ in parts])]
        return self.lognormal(mu, sigma)

    def tokens(self, parts: Mixture, most: int | None = None) -> int:
        """A length of at least one token, at most `most`."""
        length = max(1, int(self.mixture(parts)))
        return length if most is None else min(length, most)
