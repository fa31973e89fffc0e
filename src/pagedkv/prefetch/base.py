"""Contract of a prefetch policy.

A policy sees a `View` (what its level admits, see `engine/view.py`) at step boundaries at which something changed and,
in D-page, at every fault; it answers with an ordered list of `Fetch`. It knows neither clock nor device, starts no
transfer and picks no victim: the issuer, common to all policies, does that.

Addresses are (stream, index) pairs. Under logical addressing a stream is a request and an index a block of it; under
physical addressing there is one stream, 0, and an index is a slot of the recorded pool; under host addressing it is a
slot of the host tier. A speculative policy is the same code under each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pagedkv.engine.ladder import Level
from pagedkv.engine.view import View
from pagedkv.parameters import Parametrised, check_whole

__all__ = ["Fetch", "Hints", "PrefetchPolicy", "check_whole"]


class Fetch(NamedTuple):
    """Ask for blocks [first, first + count) of a stream; what does not exist or is already there is dropped.

    `due_step`: step at which they will be read, if the policy knows it. Later fetches of the same answer then may not
    evict them, so that a fetch never harms one that is due earlier. `layers`: fetch only that many leading layers; 0
    fetches nothing, and only protects the blocks. A tuple, because a burst of faults makes thousands of them.
    """

    stream: int
    first: int
    count: int = 1
    due_step: int | None = None
    layers: int | None = None


@dataclass(frozen=True)
class Hints:
    """Whose blocks to evict before all others (`demote`) and after all others (`keep`): requests, or handles of paused
    sessions. The first of `demote` leaves first, the first of `keep` last of all. Among the blocks of one request, and
    among those that are not named, the eviction policy decides; no hint pins a block."""

    demote: tuple[int, ...] = ()
    keep: tuple[int, ...] = ()


class PrefetchPolicy(Parametrised, ABC):
    """One file, one class. Parameters are the class attributes listed in `parameters`, with their defaults."""

    noun = "prefetch policy"
    level: Level
    source: str = ""
    """Paper or system that the rule comes from."""
    family: str = "speculative"
    """speculative, schedule (reads the scheduler's plan), oracle (reads the future), none or control."""
    reach: str = "degree"
    """Parameter that says how many blocks ahead of an access to fetch, if the policy has one: what `fdp` turns."""
    spatial: bool = True
    """True: the policy works on addresses and runs under each addressing; False: it names requests."""
    replans: bool = False
    """True: each answer replaces what is still queued; False: answers are appended."""
    feedback: bool = False
    """True: the view tells what arrived and what was evicted since the last call."""
    at_queue_entry: bool = False
    """True: the policy is asked also when a request joined the queue and nothing else changed."""
    demand: str | None = None
    """Name of the demand mode under which alone the policy makes sense; None: any."""
    stop: Callable[[float, int], bool] | None = None
    """For a closed loop under D-async, when the scheduler reaches a request whose prefetch is under way: whether
    `stop(waited_s, tokens)` the prefetch, so that the request takes what has arrived and computes the rest again; else
    it is passed over. `waited_s`: since it joined the queue; `tokens`: in its cached prefix. None: a request loads what
    it lacks and waits for that."""

    @abstractmethod
    def propose(self, view: View) -> list[Fetch]:
        """Blocks to fetch now, most urgent first. Level: the class's `level`. Called at boundaries and faults."""

    def wake_step(self, view: View) -> int | None:
        """Step at which to be called again although nothing happened, or None. Asked right after `propose`."""
        return None

    def hints(self, view: View) -> Hints | None:
        """Advice to the eviction policy, asked right after `propose`; None leaves the hints as they are.

        Only for policies that name requests (`spatial = False`). An answer replaces all hints before it.
        """
        return None
