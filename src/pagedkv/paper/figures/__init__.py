"""One file a figure: `draw(metrics, serve, trace) -> Figure`; a new file is a new figure."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import matplotlib.pyplot as plt

from pagedkv.errors import PagedKVError
from pagedkv.paper import frames, style


def names() -> list[str]:
    """Every figure there is, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def draw(name: str, metrics: frames.Source, serve: frames.Source, trace: object | None = None) -> plt.Figure:
    """The figure as a Matplotlib object, in the house style."""
    if name not in names():
        raise PagedKVError(f"figure '{name}' is unknown; known are {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    with plt.rc_context(style.RC):
        return module.draw(frames.load(metrics), frames.load(serve), trace)


def render(name: str, metrics: Path, serve: Path, trace: Path | None, out_pdf: Path, out_png: Path) -> None:
    """Draw one figure from files to files."""
    loaded = None
    if trace:
        from pagedkv import trace as traces

        loaded = traces.read(trace)
    style.save(draw(name, metrics, serve, loaded), Path(out_pdf), Path(out_png))
