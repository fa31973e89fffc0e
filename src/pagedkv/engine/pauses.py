"""Sessions between two turns."""

from __future__ import annotations

import numpy as np

from pagedkv.engine.blocks import BlockStates
from pagedkv.engine.view import Pause


class PausedSessions:
    """Pauses that have begun and not ended, and the blocks that the next turn may find.

    When a turn ends, the client says whether another one follows, not what it will ask. What is known of the next turn
    are therefore the full blocks of the one that finished: it can read no more of this session, but may read less.
    """

    def __init__(self, states: BlockStates) -> None:
        self._states = states
        self._paused: dict[int, tuple[Pause, np.ndarray]] = {}
        self._listed: tuple[Pause, ...] | None = ()

    def begin(self, pause: Pause, contents: np.ndarray) -> None:
        """A turn finished whose full blocks are `contents`."""
        self._paused[pause.request] = (pause, contents)
        self._listed = None

    def end(self, request: int) -> None:
        """`request` arrived; nothing happens unless it is the next turn of a paused session."""
        if self._paused.pop(request, None) is not None:
            self._listed = None

    def __contains__(self, request: int) -> bool:
        return request in self._paused

    def listed(self) -> tuple[Pause, ...]:
        """All pauses, the longest first."""
        if self._listed is None:
            self._listed = tuple(pause for pause, _ in self._paused.values())
        return self._listed

    def contents(self, request: int) -> np.ndarray:
        """Blocks under the handle `request`, as far as every block before them still exists on some tier."""
        return self._states.existing(self._paused[request][1])
