"""One file a figure: `draw(metrics, serve, trace) -> Figure`; a new file is a new figure.

A figure of what was measured on a GPU has `draw_measured(measured) -> Figure` instead; None where nothing was. One that
shows the simulator beside it has `draw_fidelity(rows) -> Figure`, of the table of fidelity; one of how predictable
pages are has `draw_predict(rows, metrics) -> Figure`.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from pagedkv.errors import PagedKVError
from pagedkv.paper import fidelity_rows, frames, predict_rows, style

if TYPE_CHECKING:
    from pagedkv.paper.measured import Measured


def names() -> list[str]:
    """Every figure there is, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def draw(
    name: str,
    metrics: frames.Source,
    serve: frames.Source,
    trace: object | None = None,
    measured: Measured | None = None,
    fidelity: fidelity_rows.Source = None,
    predict: predict_rows.Source = None,
) -> plt.Figure:
    """The figure as a Matplotlib object, in the house style."""
    if name not in names():
        raise PagedKVError(f"figure '{name}' is unknown; known are {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    with plt.rc_context(style.RC):
        if hasattr(module, "draw_measured"):
            return module.draw_measured(measured)
        if hasattr(module, "draw_fidelity"):
            return module.draw_fidelity(fidelity_rows.load(fidelity))
        if hasattr(module, "draw_predict"):
            return module.draw_predict(predict_rows.load(predict), frames.load(metrics))
        return module.draw(frames.load(metrics), frames.load(serve), trace)


def render(
    name: str,
    metrics: Path,
    serve: Path,
    trace: Path | None,
    out_pdf: Path,
    out_png: Path,
    measured: Path | None = None,
    fidelity: Path | None = None,
    predict: Path | None = None,
) -> None:
    """Draw one figure from files to files; `measured` is a folder of measurements (`paper/measured.py`), `fidelity` the
    table of the simulator beside a GPU, `predict` that of predictability."""
    loaded = found = None
    if trace:
        from pagedkv import trace as traces

        loaded = traces.read(trace)
    if measured:
        from pagedkv.paper import measured as folder

        found = folder.read(measured)
    style.save(draw(name, metrics, serve, loaded, found, fidelity, predict), Path(out_pdf), Path(out_png))
