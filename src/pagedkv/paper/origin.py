"""The sentences of page 1 on what of a build was measured, and what was computed."""

from __future__ import annotations

import pandas as pd

from pagedkv.paper import tex

TRACES = {
    "cuda": "The traces of this build were recorded from the engine on a GPU: batches, block accesses and step times "
    "are measured.",
    "simulated": "The traces of this build are simulated: no engine ran on a GPU to make them.",
}
VLLM = {
    "vllm-cpu": "Those of vLLM are of its own scheduler, driven on a CPU: batches and block accesses are vLLM's, "
    "and step times are calibrated.",
    "vllm-cuda": "Those of vLLM were recorded from vLLM on a GPU.",
}
"""Added where a build has such traces as well."""


def device(calibration: dict) -> str:
    """What the costs were measured on."""
    return tex.escape(calibration.get("device", "an unknown device"))


def origin(metrics: pd.DataFrame, calibration: dict) -> str:
    """Where the traces of the built rows come from, and what computed all else."""
    # Other seeds are simulated in every build; the report says so where it shows them.
    built = metrics[~metrics["recorded"] & (metrics["sweep"] != "seeds")]
    every = sorted(set(built["origin"].astype(str)))
    found = [each for each in every if each not in VLLM] or every
    mixed = f"The traces of this build have several origins ({tex.escape(', '.join(found) or tex.MISSING)})."
    traces = TRACES.get(found[0], mixed) if len(found) == 1 else mixed
    traces = " ".join([traces, *(VLLM[each] for each in every if each in VLLM)])
    return (
        f"{traces} What policies do on them, and every closed loop, is computed by a simulator whose costs were "
        rf"measured on {device(calibration)}. What else was measured is in \cref{{sec:fidelity,sec:speed}}."
    )
