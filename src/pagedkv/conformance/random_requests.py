"""Requests drawn from a few ranges, as a file of cases would list them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.workload.rng import Stream


def random_requests(
    *,
    seed: int,
    requests: int,
    span_s: float,
    prompt_tokens: Sequence[int],
    output_tokens: Sequence[int],
    whole_blocks: bool = False,
    prefixes: int = 0,
    prefix_tokens: Sequence[int] = (1, 1),
    turns: Sequence[int] = (1, 1),
    pause_s: Sequence[float] = (0.0, 0.0),
    aborted: float = 0.0,
    abort_after_s: Sequence[float] = (0.0, 0.0),
) -> list[dict[str, Any]]:
    """`requests` sessions that begin within `span_s`; every turn but the first goes on from all that was said before.

    Ranges are [least, most], both included. `prefixes`: how many beginnings the sessions choose from, each of so many
    `prefix_tokens`; `whole_blocks`: prompts end where a block does; `aborted`: share of first turns given up
    `abort_after_s` after their arrival. Equal parameters, equal requests.
    """
    stream = Stream(seed, "conformance")
    beginnings = [(f"prefix-{number}", _between(stream, prefix_tokens)) for number in range(prefixes)]
    listed = []
    for number in range(requests):
        session, arrival_s = f"session-{number}", round(span_s * stream.uniform(), 6)
        known = [beginnings[stream.choice([1.0] * prefixes)]] if prefixes else []
        spoken = sum(tokens for _, tokens in known)
        for turn in range(_between(stream, turns)):
            prompt = spoken + _between(stream, prompt_tokens)
            if whole_blocks:
                prompt = -(-prompt // BLOCK_TOKENS) * BLOCK_TOKENS
            output = _between(stream, output_tokens)
            known = [*known, (f"{session}-turn-{turn}", prompt + output - spoken)]
            spoken = prompt + output
            said = {"session": session, "prompt_tokens": prompt, "output_tokens": output, "known": known}
            said |= {"pause_s": round(_within(stream, pause_s), 6)} if turn else {"arrival_s": arrival_s}
            if not turn and stream.uniform() < aborted:
                said["abort_s"] = round(arrival_s + _within(stream, abort_after_s), 6)
            listed.append(said)
    return listed


def _between(stream: Stream, bounds: Sequence[int]) -> int:
    least, most = bounds
    return least + int(stream.uniform() * (most - least + 1))


def _within(stream: Stream, bounds: Sequence[float]) -> float:
    least, most = bounds
    return least + stream.uniform() * (most - least)
