"""The information ladder: how much of the engine a policy may see."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """Each level adds to the one below; `view.py` enforces it."""

    I0 = 0
    """Faults and first uses of own prefetches, on physical ids, without request ids."""
    I1 = 1
    """The same, on logical ids (request, block)."""
    I2 = 2
    """All accesses, not only faults."""
    I3 = 3
    """Step boundaries and the running batch."""
    I4 = 4
    """The scheduler's queue, quantum, priorities and pause notices: its plan."""
    I5 = 5
    """True output lengths and arrivals k steps ahead."""
    I6 = 6
    """The whole trace."""

    def __str__(self) -> str:
        return f"I{int(self)}"
