"""Progress of long verbs: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def requests_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Lends a function to be told how many more requests have finished."""
    # Without a terminal a line every 10 s; with one, ten updates a second.
    with tqdm(total=total, desc=title, unit=" requests", mininterval=_interval(), file=sys.stderr) as bar:
        yield lambda finished: bar.update(finished) and None


@contextmanager
def cases_bar(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """Lends a function to be told which run starts."""
    if sys.stderr.isatty():
        with tqdm(total=total, desc=title, unit=" runs") as bar:

            def show(label: str) -> None:
                bar.set_postfix_str(label)
                bar.update()

            yield show
        return
    started = 0

    def line(label: str) -> None:
        nonlocal started
        started += 1
        print(f"{title}: run {started} of {total}: {label}", file=sys.stderr, flush=True)

    yield line


def _interval() -> float:
    return 0.1 if sys.stderr.isatty() else 10.0


def lines(name: str) -> Callable[[str], None]:
    """Prints what is at hand, a line each, with the time since the start."""
    started = time.perf_counter()
    return lambda text: print(f"{name}: {time.perf_counter() - started:7.1f} s  {text}", flush=True)
