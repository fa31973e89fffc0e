"""Chat sessions with shared prefixes, as in Mooncake's conversation trace: 512-token pieces, one common first piece.

A session returns with beta-geometric probability. Its next prompt is the previous prompt + output + a user message
(a pure extension), a rewritten prompt that keeps part of the old one, or the same prompt again. Constants: fitted to
the trace (workload notes, sections 4 and 6).

The trace gives gaps from arrival to arrival. In the closed loop the gap is taken as it is for the pause after the
previous finish: nothing is subtracted for the service, which the trace does not show and which is short beside the
median gap of 130 s. Adding pauses to the start therefore gives the arrivals of the open loop, as fitted.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile

import numpy as np

from pagedkv.workload import parameters
from pagedkv.workload.arrivals import Arrivals
from pagedkv.workload.prefixes import IdSource, extended, known_turn
from pagedkv.workload.rng import Stream
from pagedkv.workload.sessions import Session, Turn, assemble
from pagedkv.workload.table import RequestTable

BLOCK_TOKENS = 512
BURN_IN_S = 3600.0  # generated and cut, so that the window opens on sessions under way, as the trace does
STARTS = Arrivals(rate_per_s=1.82, sigma_slow=0.12, tau_slow_s=120.0)
MOST_TOKENS = 126_000

FIRST_PROMPT = ((0.1538, 6.8085, 0.0178), (0.1535, 7.1146, 0.1983), (0.0832, 8.589, 0.1441), (0.6095, 9.302, 0.95))
OUTPUT = ((0.2468, 3.4909, 1.5057), (0.3089, 5.7634, 0.631), (0.4443, 6.0647, 0.2599))
MOST_OUTPUT_TOKENS = 2000
PAUSE = ((0.66, 4.54, 0.80), (0.34, 5.77, 0.85))

RETURN_A, RETURN_B = 1.69, 2.92  # P(turn k + 1 | turn k) = (a + k - 1) / (a + b + k - 1), k = 1, 2 …
LONG_TOKENS, LONG_RETURN = 32_768, 0.75  # behind a long prompt that probability is smaller

P_REPEAT, P_REWRITE = 0.03, 0.165
KEPT_A, KEPT_B = 0.63, 1.6  # share of the old pieces that a rewritten prompt keeps
REWRITE_SIGMA = 0.38
P_NO_MESSAGE = 0.117
P_BIG, P_BIG_EARLY = 0.08, 0.16  # the early part halves with each turn
BIG_MESSAGE = ((1.0, 8.4786, 0.7428),)
MESSAGE = ((0.307, 2.344, 0.4274), (0.532, 3.3477, 1.0515), (0.161, 5.9733, 0.598))


def generate(
    *,
    duration_s: float = 3600.0,
    rate_scale: float = 1.0,
    pause_scale: float = 1.0,
    seed: int = 1,
    limit: int | None = None,
) -> RequestTable:
    """Sessions that are seen within `duration_s` seconds; `rate_scale` multiplies the rate of their starts.

    `pause_scale` multiplies the pauses between turns: a recording of a minute sees sessions return only if they return
    sooner than in the source. `limit` keeps the first sessions. Turns that would arrive in the open loop after
    `duration_s` are left out; the first turn seen becomes turn 0.
    """
    settings = {
        "duration_s": parameters.positive("duration_s", duration_s),
        "rate_scale": parameters.positive("rate_scale", rate_scale),
        "pause_scale": parameters.positive("pause_scale", pause_scale),
        "seed": parameters.count("seed", seed, least=0),
        "limit": parameters.optional_count("limit", limit),
    }
    ids = IdSource(first=1)
    starts = takewhile(lambda time: time < duration_s + BURN_IN_S, STARTS.times(rate_scale, seed, "chat"))
    sessions = [
        _seen(start_s - BURN_IN_S, duration_s, _turns(Stream(seed, "chat", number), ids, pause_scale))
        for number, start_s in enumerate(starts)
    ]
    return assemble(sessions, "chat", BLOCK_TOKENS, {"generator": "chat", "parameters": settings}, limit)


def _seen(start_s: float, duration_s: float, turns: Iterator[Turn]) -> Session:
    """The part of a session that arrives, in the open loop, in [0, duration_s)."""
    time, seen, first_s = start_s, [], 0.0
    for number, turn in enumerate(turns):
        time += turn.pause_s if number else 0.0
        if time >= duration_s:
            break
        if time >= 0:
            first_s = first_s if seen else time
            seen.append(turn)
    return Session(first_s, seen)


def _turns(stream: Stream, ids: IdSource, pause_scale: float) -> Iterator[Turn]:
    """All turns of one session. The ids of a turn cover its prompt and its output, except where a prompt is repeated:
    its second answer is another one, so that only the prompt is shared and the answer stays private."""
    prompt = max(BLOCK_TOKENS + 1, stream.tokens(FIRST_PROMPT, MOST_TOKENS))
    turn = _turn(stream, ids, 0.0, prompt, kept=np.zeros(1, np.int64))
    for number in range(1, 1_000_000):
        yield turn
        back = (RETURN_A + number - 1) / (RETURN_A + RETURN_B + number - 1)
        if stream.uniform() >= back * (LONG_RETURN if turn.prompt_tokens > LONG_TOKENS else 1.0):
            return
        turn = _next_turn(stream, ids, number, turn, pause_scale)


def _next_turn(stream: Stream, ids: IdSource, number: int, turn: Turn, pause_scale: float) -> Turn:
    pause_s, kind, full = pause_scale * stream.mixture(PAUSE), stream.uniform(), turn.prompt_tokens // BLOCK_TOKENS
    if kind < P_REPEAT:
        pieces = -(-turn.prompt_tokens // BLOCK_TOKENS)
        again = replace(turn, pause_s=pause_s, known_tokens=turn.prompt_tokens, ids=turn.ids[:pieces])
        return replace(again, output_tokens=stream.tokens(OUTPUT, MOST_OUTPUT_TOKENS))
    if kind < P_REPEAT + P_REWRITE:
        keep = min(full, max(2, int(full * stream.beta(KEPT_A, KEPT_B))))
        length = int(turn.prompt_tokens * stream.lognormal(0.0, REWRITE_SIGMA))
        prompt = min(MOST_TOKENS, max(keep * BLOCK_TOKENS + 1, length))
        return _turn(stream, ids, pause_s, prompt, turn.ids[:keep])
    prompt = min(MOST_TOKENS, turn.prompt_tokens + turn.output_tokens + _message(stream, number))
    return _turn(stream, ids, pause_s, prompt, extended(turn, prompt, BLOCK_TOKENS))


def _turn(stream: Stream, ids: IdSource, pause_s: float, prompt: int, kept: np.ndarray) -> Turn:
    """A turn whose prompt begins with the `kept` pieces; everything behind them is new."""
    return known_turn(pause_s, prompt, stream.tokens(OUTPUT, MOST_OUTPUT_TOKENS), kept, ids, BLOCK_TOKENS)


def _message(stream: Stream, number: int) -> int:
    """Tokens that the user adds after turn `number` (1, 2 …)."""
    if stream.uniform() < P_NO_MESSAGE:
        return 0
    big = stream.uniform() < P_BIG + P_BIG_EARLY * 0.5 ** (number - 1)
    return stream.tokens(BIG_MESSAGE if big else MESSAGE)
