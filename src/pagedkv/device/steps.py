"""Measures steps of the model at given points: the raw material of the step-time fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pagedkv.device.base import PlainStep
from pagedkv.device.machine import Machine
from pagedkv.device.points import StepPoint
from pagedkv.device.timeline import Timeline
from pagedkv.geometry import BLOCK_TOKENS

REPEATS = 10
WARM_UP = 2
MOST_STEPS = 256
"""Steps for which a standing request has blocks."""


@dataclass(eq=False)
class _Request:
    """A request that stands where the point wants it; see `device.base.Scheduled`."""

    number: int
    contents: np.ndarray


@dataclass(frozen=True)
class StepTimes:
    """`gpu_s` from the first kernel's start to the last one's end, `host_s` that the host took to enqueue the step,
    `total_s` from the call to the moment at which the host saw the end."""

    gpu_s: float
    host_s: float
    total_s: float


class Standing:
    """Requests that stand at a point, and are computed there again and again; decodes move on by a token a step."""

    def __init__(self, machine: Machine, point: StepPoint) -> None:
        self._runner, self._timeline = machine.runner, Timeline(machine.where)
        # Scattered slots, as after a while of serving; contents are called by their slots.
        self._slots = np.arange(machine.settings.pool_blocks)
        places = np.random.default_rng(0).permutation(self._slots[1:])
        positions, vocabulary = machine.settings.max_positions, machine.geometry.vocabulary
        self._runner.begin(lambda number: np.arange(positions, dtype=np.int32) * 7919 % vocabulary)
        requests, first = [], 0
        for number, (scheduled, computed) in enumerate(point.requests):
            blocks = -(-min(positions, computed + scheduled + MOST_STEPS) // BLOCK_TOKENS)
            contents = places[np.arange(first, first + blocks) % len(places)]
            requests.append(_Request(number, contents))
            first += blocks
        tokens, computed = np.array(point.requests).T
        self._step = PlainStep(requests, np.zeros_like(tokens), computed, tokens, np.ones_like(tokens, np.bool_))

    def again(self) -> None:
        """Enqueue the last step, a decode, once more, and do not wait."""
        self._runner.again()

    def step(self) -> StepTimes:
        """Compute the step once, and wait for it."""
        began = time.perf_counter()
        begin = self._timeline.mark()
        self._runner.run(self._step, self._slots)
        end = self._timeline.mark()
        enqueued = time.perf_counter()
        end.synchronize()
        done = time.perf_counter()
        self._step = replace(self._step, computed=self._step.computed + (self._step.tokens == 1))
        return StepTimes(self._timeline.between(begin, end), enqueued - began, done - began)


def measure_steps(
    machine: Machine,
    points: Sequence[StepPoint],
    repeats: int = REPEATS,
    progress: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """One row a point and repeat: the point, and the fields of `StepTimes`."""
    rows = []
    for number, point in enumerate(points):
        if number % 20 == 0:
            what = f"{point.kind}, {point.tokens} tokens, context {point.context_tokens}"
            progress(f"step {number} of {len(points)}: {what}")
        standing = Standing(machine, _before(point, repeats))
        times = [standing.step() for _ in range(WARM_UP + repeats)][WARM_UP:]
        rows += [_describe(point) | asdict(step) | {"repeat": repeat} for repeat, step in enumerate(times)]
    return rows


def _before(point: StepPoint, repeats: int) -> StepPoint:
    """The point with its decodes so far back that the middle repeat stands at it."""
    back = WARM_UP + repeats // 2
    requests = tuple((m, max(0, computed - back) if m == 1 else computed) for m, computed in point.requests)
    return replace(point, requests=requests)


def _describe(point: StepPoint) -> dict[str, Any]:
    names = ("kind", "split", "batch", "tokens", "context_tokens", "attention_pairs")
    return {name: getattr(point, name) for name in names}
