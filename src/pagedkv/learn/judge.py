"""How well a trained network predicts the next access, on faults that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.learn.network import CONTEXT, Network
from pagedkv.learn.tokens import Call, Tokens, as_array
from pagedkv.prefetch._symbols import Symbol

MOST_PLACES = 2048
"""Places that are judged, evenly spread; more would change the third digit and cost seconds."""
BATCH = 256
NEXT_BLOCK = Symbol(0, 1)


@dataclass(frozen=True)
class Judgement:
    """Over `places` predictions: share in which the outcome was the likeliest symbol or among the `top` ones, and mean
    code length in bits. `jumps`: those among them whose outcome is not the next block of the same stream, and the
    shares over them alone; all else a next-block rule gets right as well. Shares over nothing are NaN."""

    places: int
    first: float
    among_top: float
    bits: float
    jumps: int
    first_of_jumps: float
    among_top_of_jumps: float


def judge(network: Network, before: list[Call], calls: list[Call], top: int = 8) -> Judgement:
    """Judge on `calls`. `before`: the calls that precede them in the same trace, which make the context."""
    tokens = Tokens(network.vocabulary)
    past = as_array(pair for call in before for pair in tokens.push(call))
    stream = np.concatenate([past, as_array(pair for call in calls for pair in tokens.push(call))])
    places = _spread(max(len(past), CONTEXT), len(stream))
    outcome = stream[places, 0]
    windows = stream[places[:, None] + np.arange(-CONTEXT, 0)]
    parts = np.array_split(windows, max(1, len(windows) // BATCH))
    scores = np.concatenate([network.scores(network.run(part)) for part in parts]).astype(np.float64)
    known = outcome < network.other
    # The class of all other symbols names no block: it counts for the code length, but cannot be a hit.
    better = (scores[:, : network.other] > scores[np.arange(len(places)), outcome][:, None]).sum(1)
    hit, among = known & (better == 0), known & (better < top)
    peak = scores.max(1, initial=-np.inf)
    log_whole = peak + np.log(np.exp(scores - peak[:, None]).sum(1))
    bits = (log_whole - scores[np.arange(len(places)), outcome]) / np.log(2)
    plain = network.vocabulary.index(NEXT_BLOCK) if NEXT_BLOCK in network.vocabulary else -1
    jump = outcome != plain
    return Judgement(
        len(places), _share(hit), _share(among), _share(bits), int(jump.sum()), _share(hit[jump]), _share(among[jump])
    )


def _spread(first: int, end: int) -> np.ndarray:
    """At most MOST_PLACES whole numbers in [first, end), evenly spread."""
    return (
        np.unique(np.linspace(first, end - 1, MOST_PLACES).astype(np.int64)) if end > first else np.zeros(0, np.int64)
    )


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
