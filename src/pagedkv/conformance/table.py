"""Runs cases on both engines, or against what is recorded of vLLM, and says how far they agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pagedkv.conformance.cases import Case
from pagedkv.conformance.compare import compare
from pagedkv.conformance.requests import requests_of
from pagedkv.conformance.run import run_ours, run_vllm
from pagedkv.conformance.steps import ASPECTS, Kept, kept
from pagedkv.conformance.stored import StoredSteps
from pagedkv.errors import PagedKVError
from pagedkv.trace.schema import Event, Trace

Progress = Callable[[dict[str, Any]], None]
"""Told each row when it is there."""


class Comparison:
    """Rows of cases, and the steps of vLLM behind them. `stored`: take vLLM's side from there instead of running it."""

    def __init__(self, data_dir: Path, sources: Mapping[str, Any], stored: StoredSteps | None = None) -> None:
        self.data_dir = data_dir
        self.sources = sources
        self.stored = stored
        self.steps: dict[str, Kept] = {}
        """Of the cases whose steps may be kept."""
        self.versions: dict[str, str] = {}

    def rows(
        self, cases: Iterable[Case], progress: Callable[[dict[str, Any]], None] = lambda row: None
    ) -> pd.DataFrame:
        """One row a case, in order. A slice of a public trace that is not here is given as it was recorded, or is
        left out where vLLM is run."""
        rows = []
        for case in cases:
            row = self._row(case)
            if row is not None:
                rows.append(row)
                progress(row)
        return pd.DataFrame(rows)

    def _row(self, case: Case) -> dict[str, Any] | None:
        if case.source is not None and self.stored is not None:
            return {**self.stored.row(case), "recorded": True}
        try:
            requests = requests_of(case, self.data_dir, self.sources)
        except PagedKVError:
            if case.source is None:
                raise
            return None
        ours = run_ours(case, requests)
        if self.stored is not None:
            theirs = self.stored.steps(case)
        else:
            trace = run_vllm(case, requests)
            theirs = kept(trace)
            self.versions = {"vllm": trace.header["versions"]["vllm"]}
            if case.source is None:
                self.steps[case.name] = theirs
        return _row_of(case, ours, theirs)


def _row_of(case: Case, ours: Trace, theirs: Kept) -> dict[str, Any]:
    agreement = compare(kept(ours), theirs)
    kinds = pd.Series(ours.events["kind"])
    return {
        "case": case.name,
        "class": case.group,
        "source": case.source or "",
        "exact": case.exact,
        "async_scheduling": case.async_scheduling,
        "offload": case.offload is not None,
        "requests": int((kinds == Event.ARRIVAL).sum()),
        "preemptions": int((kinds == Event.PREEMPT).sum()),
        "aborted": int((kinds == Event.ABORT).sum()),
        "hit_tokens": int(ours.requests["hit_tokens"].sum()),
        "steps": agreement.steps,
        "identical_steps": agreement.whole,
        **{f"identical_{name}": agreement.identical[name] for name in ASPECTS},
        "first_difference": agreement.difference,
        "digest": case.digest,
        "recorded": False,
    }
