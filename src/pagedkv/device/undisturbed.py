"""No garbage collection while a run is measured."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """The engine makes no cycles to speak of, but a collector that looks for some among the objects of torch would cost
    more than scheduling does. What there is now is set aside, and collected as before afterwards."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
