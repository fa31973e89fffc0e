"""What a step costs: a roofline for a shape that nobody measured, or tables measured on this engine."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from pagedkv.errors import PagedKVError
from pagedkv.geometry import Geometry


@dataclass(frozen=True)
class Table:
    """Values at growing points, linear between them."""

    points: tuple[tuple[int, float], ...]

    def at(self, x: float) -> float:
        """Value at `x`: the first one below the table, on along the last line, which never falls, beyond it."""
        (first, at_first), (last, at_last) = self.points[0], self.points[-1]
        if x <= first:
            return at_first
        if x > last and (len(self.points) == 1 or self.points[-2][1] > at_last):
            return at_last
        index = min(bisect_left(self.points, (x,)), len(self.points) - 1)
        (low, at_low), (high, at_high) = self.points[index - 1 : index + 1]
        return at_low + (x - low) / (high - low) * (at_high - at_low)

    def held(self, x: float) -> float:
        """As `at`, but the last value beyond the table."""
        return self.at(min(x, self.points[-1][0]))

    def bucket(self, x: int) -> int:
        """The first point that is not below `x`; `x` itself beyond the table."""
        index = bisect_left(self.points, (x,))
        return self.points[index][0] if index < len(self.points) else x


@dataclass(frozen=True)
class ComputeCost:
    """Roofline of a step: weights and KV stream from memory, tokens and attention cost arithmetic."""

    memory_bytes_per_s: float
    flops_per_s: float
    step_overhead_s: float

    def step_s(self, geometry: Geometry, tokens: int, context_tokens: float, attention_pairs: float) -> float:
        """See `calibration.step_compute_s`. Affine in tokens too, on one side of the roofline."""
        weights = geometry.weight_bytes / self.memory_bytes_per_s
        products = 2 * geometry.matmul_parameters * tokens / self.flops_per_s
        kv_read = geometry.token_bytes * context_tokens / self.memory_bytes_per_s
        attention = 4 * geometry.layers * geometry.heads * geometry.head_dim * attention_pairs / self.flops_per_s
        return self.step_overhead_s + max(weights, products) + kv_read + attention

    launching_s = 0.0
    loading_s = 0.0
    """Nobody knows how much of it is launching, or what the engine adds."""

    def hidden_s(
        self, geometry: Geometry, stall_s: float, tokens: int, context_tokens: float, attention_pairs: float
    ) -> float:
        """See `MeasuredCost.hidden_s`: nothing."""
        return 0.0


@dataclass(frozen=True)
class PathCost:
    """One way of executing a step: host_s + step_s(tokens) + context_s(tokens) * context + pair_s * pairs, but at least
    `launch_s`.

    `host_s` is the part of scheduling and launching that no kernel hides; it does not depend on the step. `launch_s` is
    what the host takes to launch the step kernel by kernel: a small step is over no sooner.
    """

    host_s: float
    step_s: Table
    context_s: Table
    pair_s: float = 0.0
    launch_s: float = 0.0

    def at(self, tokens: int, context_tokens: float, attention_pairs: float) -> float:
        return max(self.launch_s, self.kernels_s(tokens, context_tokens, attention_pairs))

    def kernels_s(self, tokens: int, context_tokens: float, attention_pairs: float) -> float:
        """Time of a step that is launched fast enough."""
        grows = self.context_s.held(tokens) * context_tokens + self.pair_s * attention_pairs
        return self.host_s + self.step_s.at(tokens) + grows


@dataclass(frozen=True)
class EngineCost:
    """What scheduling and bookkeeping add to a step of the whole engine: step_s + request_s * requests, and `loading_s`
    where loads arrive beside it."""

    step_s: float = 0.0
    request_s: float = 0.0
    loading_s: float = 0.0


@dataclass(frozen=True)
class MeasuredCost:
    """Step times measured on this engine with one model.

    `decode` replays CUDA graphs: a batch costs what the bucket that holds it costs, because the graph computes the
    padding too. `mixed` launches kernel by kernel, and takes every step in which some request has more than one token;
    how many requests it has is not known here, and what the engine adds for them is a small part of it.
    """

    model: str
    decode: PathCost
    mixed: PathCost
    engine: EngineCost = EngineCost()

    def step_s(self, geometry: Geometry, tokens: int, context_tokens: float, attention_pairs: float) -> float:
        """See `calibration.step_compute_s`. Raises PagedKVError for a model that was not the measured one."""
        if geometry.name != self.model:
            raise PagedKVError(f"the calibration was measured with {self.model}, not with {geometry.name}")
        if attention_pairs > 0:
            return self.engine.step_s + self.mixed.at(tokens, context_tokens, attention_pairs)
        model_s = self.decode.at(self.decode.step_s.bucket(tokens), context_tokens, 0.0)
        return self.engine.step_s + self.engine.request_s * tokens + model_s

    @property
    def launching_s(self) -> float:
        """What the host takes to launch a step with prompts."""
        return self.mixed.launch_s

    @property
    def loading_s(self) -> float:
        """What the engine adds to a step beside which loads arrive."""
        return self.engine.loading_s

    def hidden_s(
        self, geometry: Geometry, stall_s: float, tokens: int, context_tokens: float, attention_pairs: float
    ) -> float:
        """How much sooner a step is over that waits `stall_s` for its loads than if it were launched only then: kernels
        are enqueued behind the wait, so that a step which is bound by launching loses less than the wait, or nothing.
        """
        if attention_pairs == 0:
            return 0.0
        kernels_s = self.mixed.kernels_s(tokens, context_tokens, attention_pairs)
        return min(stall_s, max(0.0, self.mixed.launch_s - kernels_s))
