"""How well a trained network predicts the next access, on faults that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pagedkv.learn.network import CONTEXT, Network
from pagedkv.learn.tokens import Call, Tokens, as_array
from pagedkv.prefetch._symbols import Symbol

MOST_PLACES = 512
"""Places of each kind that are judged, evenly spread: a network takes a millisecond for each."""
NEXT_BLOCK = Symbol(0, 1)


@dataclass(frozen=True)
class Shares:
    """Over `places` outcomes: share of those that the network held for the likeliest, or for one of the `top`
    likeliest, and their mean code length. NaN over nothing."""

    places: int
    first: float
    among_top: float
    bits: float


@dataclass(frozen=True)
class Judgement:
    """`jumps`: outcomes other than the next block of the same stream. All else a next-block rule gets right as well."""

    all: Shares
    jumps: Shares


def judge(network: Network, before: list[Call], calls: list[Call], top: int = 8) -> Judgement:
    """Judge on `calls`. `before`: the calls that precede them in the same trace, which make the context."""
    tokens = Tokens(network.vocabulary)
    past = as_array(pair for call in before for pair in tokens.push(call))
    stream = np.concatenate([past, as_array(pair for call in calls for pair in tokens.push(call))])
    next_block = network.vocabulary.index(NEXT_BLOCK) if NEXT_BLOCK in network.vocabulary else network.other
    places = np.arange(max(len(past), CONTEXT), len(stream))
    jumps = stream[places, 0] != next_block
    kinds = [_shares(network, stream, places[of], top) for of in (jumps, ~jumps)]
    return Judgement(_together(kinds), kinds[0])


def _shares(network: Network, stream: np.ndarray, places: np.ndarray, top: int) -> Shares:
    spread = np.linspace(0, len(places) - 1, min(len(places), MOST_PLACES)).astype(np.int64)
    found = np.array([_predicted(network, stream, place, top) for place in places[spread]]).reshape(-1, 3)
    means = found.mean(0) if len(found) else (np.nan,) * 3
    return Shares(len(places), *map(float, means))


def _predicted(network: Network, stream: np.ndarray, place: int, top: int) -> tuple[bool, bool, float]:
    """Whether the outcome at a place is the likeliest symbol, or one of the `top` likeliest, and its code length.

    The class of all other symbols names no block: it has a code length, but is never a hit.
    """
    outcome = stream[place, 0]
    scores = network.scores(network.run(stream[place - CONTEXT : place])).astype(np.float64)
    rank = int((scores[: network.other] > scores[outcome]).sum()) if outcome != network.other else top
    bits = (np.logaddexp.reduce(scores) - scores[outcome]) / np.log(2)
    return rank == 0, rank < top, bits


def _together(kinds: list[Shares]) -> Shares:
    """Shares over all places, of which each kind was judged on as many as it took."""
    there = [kind for kind in kinds if kind.places]
    total = sum(kind.places for kind in there)
    means = [sum(getattr(kind, name) * kind.places for kind in there) for name in ("first", "among_top", "bits")]
    return Shares(total, *(mean / total if total else float("nan") for mean in means))
