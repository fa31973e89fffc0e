"""Cost of steps from measured ones: a table over graph buckets, a table over tokens, and what context adds to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pagedkv.device.raw import Step
from pagedkv.device.regression import Fit, fit_costs, hats, interval, median_fit
from pagedkv.errors import PagedKVError

LAUNCH_BOUND = 0.9
"""A step is bound by its launches if they take this share of it."""
APART = 1.5
"""Contexts whose ratio is at least this tell what a token of context costs."""


def fit_steps(steps: list[Step], model: str, replicates: int) -> dict[str, Any]:
    """The compute section of a calibration. Raises PagedKVError where one of the two paths was not measured."""
    decode = [step for step in steps if step.attention_pairs == 0]
    mixed = [step for step in steps if step.attention_pairs > 0]
    if not decode or not mixed:
        raise PagedKVError(f"no step {'that only decodes' if not decode else 'with a prefill chunk'} was measured")
    return {
        "kind": "measured",
        "model": model,
        "decode": _decode(decode, replicates),
        "mixed": _mixed(mixed, replicates),
        "origin": f"fitted to {len(decode)} decode steps and {len(mixed)} with prefill (medians of repeats)",
    }


def _decode(steps: list[Step], replicates: int) -> dict[str, Any]:
    """total = host + step(bucket) + context(bucket) * context; each measured batch is a bucket of its own."""
    tokens, context = _of(steps, "tokens"), _of(steps, "context_tokens")
    host, rest = _host(steps, replicates)
    buckets = np.unique(tokens)
    known = np.array([bucket for bucket in buckets if _spread(context[tokens == bucket]) >= APART])
    slopes = known if len(known) else buckets[:1]
    columns = np.column_stack([hats(buckets, tokens), hats(slopes, tokens) * context[:, None]])
    fit = fit_costs(columns, rest, _of(steps, "noise"), replicates)
    split = len(buckets)
    return _path(host, _table(buckets, _part(fit, 0, split)), _table(slopes, _part(fit, split, len(fit.costs))))


def _mixed(steps: list[Step], replicates: int) -> dict[str, Any]:
    """total = host + step(tokens) + context_s * context + pair_s * pairs, at least launch_s; the table never falls."""
    launch_bound = [step for step in steps if step.launch_s > LAUNCH_BOUND * step.total_s]
    launch = median_fit(_of(launch_bound, "total_s"), replicates) if launch_bound else None
    # A step that waits for its launches says nothing about its kernels.
    steps = [step for step in steps if step not in launch_bound] or steps
    tokens, context = _of(steps, "tokens"), _of(steps, "context_tokens")
    host, rest = _host(steps, replicates)
    knots = np.unique([step.tokens for step in steps if step.kind == "prefill"] or tokens).astype(float)
    # Costs of the columns are rises from knot to knot, which are not negative.
    rises = hats(knots, tokens)[:, ::-1].cumsum(axis=1)[:, ::-1]
    if len(knots) > 1:
        rises[:, -1] += np.maximum(0.0, tokens - knots[-1]) / (knots[-1] - knots[-2])
    columns = np.column_stack([rises, context, _of(steps, "attention_pairs")])
    fit = fit_costs(columns, rest, _of(steps, "noise"), replicates)
    risen = _part(fit, 0, len(knots))
    table = Fit(risen.costs.cumsum(), risen.samples.cumsum(axis=1))
    pair = interval(fit.costs[-1], fit.samples[:, -1])
    path = _path(host, _table(knots, table), _table(knots[:1], _part(fit, len(knots), len(knots) + 1)))
    found = {"pair_s": pair}
    if launch is not None:
        found["launch_s"] = interval(launch.costs[0], launch.samples[:, 0])
    return {**path, **{name: each["value"] for name, each in found.items()}, "fit": {**path["fit"], **found}}


def _host(steps: list[Step], replicates: int) -> tuple[dict[str, float], np.ndarray]:
    """(exposed host time with its interval, what is left of each step)."""
    fit = median_fit(_of(steps, "host_s"), replicates)
    found = interval(fit.costs[0], fit.samples[:, 0])
    rest = _of(steps, "total_s") - found["value"]
    if (rest <= 0).any():
        raise PagedKVError(f"a step took less than the host alone takes ({found['value']} s)")
    return found, rest


def _of(steps: list[Step], key: str) -> np.ndarray:
    return np.array([float(getattr(step, key)) for step in steps])


def _spread(context: np.ndarray) -> float:
    return float(context.max() / max(context.min(), 1.0))


def _part(fit: Fit, low: int, high: int) -> Fit:
    return Fit(fit.costs[low:high], fit.samples[:, low:high])


def _table(at: np.ndarray, fit: Fit) -> list[dict[str, Any]]:
    found = [interval(cost, fit.samples[:, i]) for i, cost in enumerate(fit.costs)]
    return [{"at": int(x), **each} for x, each in zip(at, found, strict=True)]


def _path(host: dict[str, float], step: list[dict], context: list[dict]) -> dict[str, Any]:
    return {
        "host_s": host["value"],
        "step_s": [[point["at"], point["value"]] for point in step],
        "context_s": [[point["at"], point["value"]] for point in context],
        "fit": {"host_s": host, "step_s": step, "context_s": context},
    }
