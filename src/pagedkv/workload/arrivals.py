"""Arrivals whose rate wanders: a log-Gaussian Cox process, with silences where the source has them.

The rate is rate_per_s · exp(fast + slow - (sigma_fast² + sigma_slow²)/2) with two Ornstein-Uhlenbeck processes. It is
the one simple process that has the sources' index of dispersion at 1, 10 and 60 s at once.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pagedkv.workload.rng import Stream

_BIN_S = 0.25  # the rate is constant within a bin


@dataclass(frozen=True)
class Silences:
    """The source falls silent: exponential times on (mean_on_s), lognormal times off (off_mu, off_sigma of ln s)."""

    mean_on_s: float
    off_mu: float
    off_sigma: float


@dataclass(frozen=True)
class Arrivals:
    """Constants of one source. `shape` is that of the gamma gaps in operational time: 1 (Poisson) or 0.5 (bursty)."""

    rate_per_s: float
    sigma_fast: float = 0.0
    tau_fast_s: float = 1.0
    sigma_slow: float = 0.0
    tau_slow_s: float = 1.0
    shape: float = 1.0
    silences: Silences | None = None

    def times(self, rate_scale: float, *key: int | str) -> Iterator[float]:
        """Arrival times in s, ascending, without end. `rate_scale` multiplies the rate; its time constants stay."""
        times = self._busy_times(rate_scale, *key)
        return times if self.silences is None else _interrupted(times, self.silences, Stream(*key, "silences"))

    def _busy_times(self, rate_scale: float, *key: int | str) -> Iterator[float]:
        rate, gaps = Stream(*key, "rate"), Stream(*key, "gaps")
        mean_load = self.rate_per_s * rate_scale * _BIN_S * math.exp(-(self.sigma_fast**2 + self.sigma_slow**2) / 2)
        fast, slow = rate.normal(0, self.sigma_fast), rate.normal(0, self.sigma_slow)
        keep_fast, keep_slow = math.exp(-_BIN_S / self.tau_fast_s), math.exp(-_BIN_S / self.tau_slow_s)
        step_fast = self.sigma_fast * math.sqrt(1 - keep_fast**2)
        step_slow = self.sigma_slow * math.sqrt(1 - keep_slow**2)
        done, due, index = 0.0, self._gap(gaps), 0  # operational time, in which arrivals are one unit apart on average
        while True:
            load = mean_load * math.exp(fast + slow)
            while due <= done + load:
                yield (index + (due - done) / load) * _BIN_S
                due += self._gap(gaps)
            done, index = done + load, index + 1
            fast = keep_fast * fast + rate.normal(0, step_fast)
            slow = keep_slow * slow + rate.normal(0, step_slow)

    def _gap(self, stream: Stream) -> float:
        """A gamma variate of mean 1: half of one degree of freedom is the square of a normal."""
        return stream.exponential() if self.shape == 1.0 else stream.normal() ** 2


def _interrupted(times: Iterable[float], silences: Silences, stream: Stream) -> Iterator[float]:
    """`times` run only while the source is on: every silence shifts what follows."""
    shift, on_until = 0.0, stream.exponential(silences.mean_on_s)
    for time in times:
        while time > on_until:
            shift += stream.lognormal(silences.off_mu, silences.off_sigma)
            on_until += stream.exponential(silences.mean_on_s)
        yield time + shift
