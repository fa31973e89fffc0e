"""Workloads without prefixes: arrivals, prompt lengths and output lengths drawn independently of each other.

In both Azure traces prompt and output lengths are almost independent (Spearman -0.02 and 0.07).
"""

from dataclasses import dataclass
from itertools import islice, takewhile

import numpy as np

from pagedkv.errors import PagedKVError
from pagedkv.workload import parameters
from pagedkv.workload.arrivals import Arrivals
from pagedkv.workload.rng import Mixture, Stream
from pagedkv.workload.sessions import single_turns
from pagedkv.workload.table import RequestTable


@dataclass(frozen=True)
class LengthProfile:
    """Constants of one workload."""

    name: str
    arrivals: Arrivals
    prompt: Mixture
    prompt_most: int
    output: Mixture

    def generate(self, duration_s: float, rate_scale: float, seed: int, limit: int | None) -> RequestTable:
        """The requests of [0, duration_s), the first `limit` of them; each is a session of one turn."""
        settings = {
            "duration_s": parameters.positive("duration_s", duration_s),
            "rate_scale": parameters.positive("rate_scale", rate_scale),
            "seed": parameters.count("seed", seed, least=0),
            "limit": parameters.optional_count("limit", limit),
        }
        times = self.arrivals.times(rate_scale, seed, self.name)
        arrival_s = list(islice(takewhile(lambda time: time < duration_s, times), limit))
        if not arrival_s:
            raise PagedKVError(f"workload {self.name}: no request falls into the chosen time")
        prompt, output = Stream(seed, self.name, "prompt"), Stream(seed, self.name, "output")
        return single_turns(
            np.array(arrival_s),
            np.array([prompt.tokens(self.prompt, self.prompt_most) for _ in arrival_s], np.int64),
            np.array([output.tokens(self.output) for _ in arrival_s], np.int64),
            name=self.name,
            origin={"generator": self.name, "parameters": settings},
        ).validate()
