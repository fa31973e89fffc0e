"""Coding-agent sessions: long prompts that grow by tool results, as in kv-cache-tester's traces 1-300.

A session begins with one of 35 Zipf-shared tools + system prefixes. Each step adds tokens behind everything before
it; now and then the prompt is rewritten behind the prefix (softly, or by compaction near the window). Constants:
fitted to the traces (workload notes, sections 5 and 6). Closed loop: the pause is the think time, of the tool or of
the user; the service time is the engine's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pagedkv.workload import parameters
from pagedkv.workload.prefixes import IdSource, extended, known_turn
from pagedkv.workload.rng import Mixture, Stream
from pagedkv.workload.sessions import Session, Turn, assemble
from pagedkv.workload.table import RequestTable

BLOCK_TOKENS = 64
SESSIONS_PER_S = 292 / 3600  # the traces, started at random within an hour

PREFIXES, PREFIX_MEDIAN, PREFIX_SIGMA = 35, 14_800, 0.08  # tools + system; the i-th is used in proportion to 1 / i
LEAST_OWN_TOKENS = 200  # behind the prefix
FEWEST_TURNS, MOST_TURNS = 3, 1200
OUTPUT = ((0.5134, 5.234, 0.463), (0.4866, 6.0946, 0.9233))
THINK = {
    "tool": ((0.3343, 1.7988, 0.3198), (0.3819, 2.5037, 0.5108), (0.2838, 3.7436, 1.5136)),
    "user": ((0.13, 5.1987, 0.509), (0.87, 5.4949, 1.9504)),
}
P_USER_NEXT = {"tool": 0.058, "user": 0.151}  # by who spoke last
P_SOFT_REWRITE, SOFT_REWRITE = 0.0168, (0.10, 0.30)  # mu, sigma of ln(new length / old length)
MOST_COMPACTED = 120_000


@dataclass(frozen=True)
class Window:
    """Constants that depend on the context window of a session's model."""

    fresh_below: int  # sessions that start shorter than this are fresh ones and run longer than resumed ones
    fresh_turns: tuple[float, float]  # mu, sigma of ln(turns)
    resumed_turns: tuple[float, float]
    most_tokens: int
    start: Mixture
    growth: Mixture  # tokens a step
    compact_at: tuple[float, float] | None  # mean, sigma of the length at which the agent compacts; None: never
    compact_to: Mixture = ()


SHORT = Window(
    fresh_below=60_000,
    fresh_turns=(3.85, 1.20),
    resumed_turns=(2.961, 0.933),
    most_tokens=168_000,
    start=((0.3779, 9.767, 0.1225), (0.2452, 10.4266, 0.5844), (0.3769, 11.4718, 0.2851)),
    growth=((0.4401, 6.0817, 0.6203), (0.5599, 7.2911, 1.0223)),
    compact_at=(157_000, 7000),
    compact_to=((1.0, 11.0, 0.45),),
)
LONG = Window(  # beyond 200K tokens
    fresh_below=100_000,
    fresh_turns=(4.286, 0.848),
    resumed_turns=(2.892, 0.955),
    most_tokens=900_000,
    start=((0.2299, 10.5754, 0.8242), (0.7701, 12.723, 0.5021)),
    growth=((0.6568, 6.5264, 0.7965), (0.3432, 8.3707, 0.6842)),
    compact_at=None,
)
P_LONG = 0.257


def generate(
    *,
    duration_s: float = 3600.0,
    rate_scale: float = 1.0,
    seed: int = 1,
    sessions: int | None = None,
    limit: int | None = None,
    max_turns: int | None = None,
) -> RequestTable:
    """Sessions that start at random within `duration_s` seconds and then run to their end.

    How many: `sessions`, or by default the traces' 292 an hour times `rate_scale`. `limit` keeps the first to start,
    `max_turns` the first turns of each.
    """
    settings = {
        "duration_s": parameters.positive("duration_s", duration_s),
        "rate_scale": parameters.positive("rate_scale", rate_scale),
        "seed": parameters.count("seed", seed, least=0),
        "sessions": parameters.optional_count("sessions", sessions),
        "limit": parameters.optional_count("limit", limit),
        "max_turns": parameters.optional_count("max_turns", max_turns),
    }
    number = sessions or max(1, round(SESSIONS_PER_S * duration_s * rate_scale))
    starts = sorted((Stream(seed, "agent", index, "start").uniform() * duration_s, index) for index in range(number))
    ids = IdSource()
    prefixes = _prefixes(seed, ids)
    made = []
    for start_s, index in starts[:limit]:
        turns = _turns(Stream(seed, "agent", index), ids, prefixes, max_turns or MOST_TURNS)
        made.append(Session(start_s, list(turns)))
    return assemble(made, "agent", BLOCK_TOKENS, {"generator": "agent", "parameters": settings})


def _prefixes(seed: int, ids: IdSource) -> list[np.ndarray]:
    stream = Stream(seed, "agent", "prefixes")
    return [ids.take(int(PREFIX_MEDIAN * stream.lognormal(0.0, PREFIX_SIGMA)) // BLOCK_TOKENS) for _ in range(PREFIXES)]


def _turns(stream: Stream, ids: IdSource, prefixes: list[np.ndarray], most_turns: int) -> Iterator[Turn]:
    prefix = prefixes[stream.choice([1 / (rank + 1) for rank in range(PREFIXES)])]
    window = LONG if stream.uniform() < P_LONG else SHORT
    least = len(prefix) * BLOCK_TOKENS + LEAST_OWN_TOKENS
    prompt = max(least, stream.tokens(window.start, window.most_tokens))
    turns = window.fresh_turns if prompt < window.fresh_below else window.resumed_turns
    count = min(most_turns, MOST_TURNS, max(FEWEST_TURNS, int(stream.lognormal(*turns))))
    speaker, pause_s, kept = "user", 0.0, prefix
    for _ in range(count):
        turn = known_turn(pause_s, prompt, stream.tokens(OUTPUT), kept, ids, BLOCK_TOKENS)
        yield turn
        speaker = "user" if stream.uniform() < P_USER_NEXT[speaker] else "tool"
        pause_s = stream.mixture(THINK[speaker])
        prompt, rewritten = _next_prompt(stream, window, prompt, least)
        kept = prefix if rewritten else extended(turn, prompt, BLOCK_TOKENS)


def _next_prompt(stream: Stream, window: Window, prompt: int, least: int) -> tuple[int, bool]:
    """Length of the next prompt, and whether it was rewritten behind the prefix."""
    grown = prompt + stream.tokens(window.growth)
    if window.compact_at and grown > stream.normal(*window.compact_at):
        return max(least, stream.tokens(window.compact_to, MOST_COMPACTED)), True
    if stream.uniform() < P_SOFT_REWRITE:
        return min(window.most_tokens, max(least, int(prompt * stream.lognormal(*SOFT_REWRITE)))), True
    return min(window.most_tokens, grown), False
