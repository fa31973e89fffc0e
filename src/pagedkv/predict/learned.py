"""How well trained networks tell the next fault: on the rest of the trace they learnt from, and on other traces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pagedkv.device.calibration import Calibration
from pagedkv.learn.faults import Split, fault_calls
from pagedkv.learn.judge import Judgement, judge
from pagedkv.learn.network import load
from pagedkv.trace.schema import Trace


def judge_rows(trace: Trace, calibration: Calibration, weights: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Rows as those of `predict_rows`: shares of outcomes that each network held for the likeliest, or for one of the
    eight likeliest; over all faults and over jumps, which are those that a next-block rule gets wrong."""
    paths = list(weights)
    if not paths:
        return
    calls = fault_calls(trace, calibration)
    header = trace.header
    for path in paths:
        network = load(path)
        learnt_from = network.about["scenario"]
        own = learnt_from == header["scenario"]
        split = Split.at(calls, network.about["training"]["share"] if own else 0.0)
        for measure, stream, value in _shares(judge(network, split.before, split.after)):
            context = f"trained on {learnt_from}"
            row = {"measure": measure, "stream": stream, "context": context, "k": float("nan"), "value": value}
            yield {"scenario": header["scenario"], "origin": header["origin"], **row}


def _shares(found: Judgement) -> Iterator[tuple[str, str, float]]:
    for stream, shares in (("all", found.all), ("jumps", found.jumps)):
        yield "lstm_first", stream, shares.first
        yield "lstm_among_top", stream, shares.among_top
        yield "lstm_places", stream, float(shares.places)
