"""The one place where a policy's proposals become transfers.

Common to all policies, because only then are they comparable: it drops what is resident, in flight or does not
exist, applies the in-flight cap and the link budget, asks the eviction policy for victims, never evicts what the
running step reads (those blocks are referenced), gives demand strict priority (demand is submitted first at each
boundary, and a prefetch is cut into quanta), and cancels queued fetches that left the plan.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from pagedkv.engine.address import AddressSpace
from pagedkv.engine.tiers import Tiers
from pagedkv.engine.transfers import PREFETCH
from pagedkv.prefetch.base import Fetch


@dataclass(frozen=True)
class IssuerSettings:
    """`quantum_blocks`: blocks a submission, the granularity at which demand overtakes. `link_share`: share of the
    time between two boundaries that prefetches may use. `in_flight_cap_blocks`: blocks in flight at a time (None: no
    cap). `queue_cap_blocks`: blocks asked for and not yet started; what was asked for first is given up first, as it is
    the stalest."""

    quantum_blocks: int = 8
    link_share: float = 1.0
    in_flight_cap_blocks: int | None = None
    queue_cap_blocks: int = 4096


@dataclass
class IssuerCounts:
    """What became of the proposals, in blocks."""

    proposed: int = 0
    dropped_resident: int = 0
    dropped_in_flight: int = 0
    dropped_no_room: int = 0
    cancelled: int = 0
    issued: int = 0
    link_s: float = 0.0


class Issuer:
    """Queue of fetches between policy and link."""

    def __init__(self, tiers: Tiers, space: AddressSpace, settings: IssuerSettings) -> None:
        self.tiers = tiers
        self.space = space
        self.settings = settings
        self.counts = IssuerCounts()
        self._queue: deque[Fetch] = deque()
        self._rest: np.ndarray | None = None
        """What is left of the first fetch in the queue, if a part of it was started."""
        self._starved = False
        self.queued_blocks = 0
        """Blocks in the queue, repetitions included."""

    @property
    def idle(self) -> bool:
        """Nothing to do before something else happens: the queue is empty, or there was no room for its head."""
        return not self._queue or self._starved

    def asked_for(self, stream: int) -> bool:
        """Whether fetches of `stream` wait to be started."""
        return any(fetch.stream == stream for fetch in self._queue)

    def accept(self, fetches: list[Fetch], replace: bool) -> None:
        """Queue `fetches`; with `replace`, what is still queued and no longer asked for is cancelled first."""
        if replace:
            kept = {fetch.stream for fetch in fetches}
            self.counts.cancelled += sum(fetch.count for fetch in self._queue if fetch.stream not in kept)
            self._queue.clear()
            self._rest = None
            self.queued_blocks = 0
        # What earlier fetches of an answer protect stays protected until the next answer, at every boundary between.
        self.tiers.end_protection()
        self.counts.proposed += sum([fetch.count for fetch in fetches])
        fetches = merged(fetches)
        self._queue.extend(fetches)
        self.queued_blocks += sum([fetch.count for fetch in fetches])
        if not replace:
            self._give_up_stale()
        self._starved = False

    def _give_up_stale(self) -> None:
        """Cancel what was asked for first, until the queue is within its cap."""
        before, cap = self.queued_blocks, self.settings.queue_cap_blocks
        while self.queued_blocks > cap:
            self._take()
        self.counts.cancelled += before - self.queued_blocks

    def _take(self) -> tuple[Fetch, np.ndarray | None]:
        """The first fetch of the queue, and what is left of it if a part was started."""
        fetch, rest = self._queue.popleft(), self._rest
        self._rest = None
        self.queued_blocks -= fetch.count if rest is None else len(rest)
        return fetch, rest

    def pump(self, until_s: float, step: int) -> None:
        """Start queued fetches whose transfer can start before `until_s`. `step` is the step during which they run."""
        if not self._queue:
            return
        device = self.tiers.device
        allowance = self.settings.link_share * (until_s - max(device.now_s, device.h2d.free_at_s))
        self._starved = False
        while self._queue and allowance > 0:
            affordable = self._affordable(allowance, self._queue[0].layers)
            fetch, contents = self._gather(affordable)
            if fetch.due_step is not None:
                self.tiers.protect(contents)
            wanted = self._wanted(contents, fetch)
            count = min(len(wanted), affordable)
            before = device.h2d.busy_s
            started = self._start(wanted[:count], fetch, step)
            spent = device.h2d.busy_s - before
            self.counts.link_s += spent
            allowance -= spent
            if started < len(wanted):
                self._queue.appendleft(fetch)
                self._rest = wanted[started:]
                self.queued_blocks += len(wanted) - started
                self._starved = started < count
                self.counts.dropped_no_room += count - started
                return

    def _gather(self, enough: int) -> tuple[Fetch, np.ndarray]:
        """The next fetch and its contents; fetches without a due step are taken together until they have `enough`
        blocks, so that many small ones go in common submissions."""
        fetch, contents = self._take()
        if contents is None:
            contents = self._contents([fetch])
        if fetch.due_step is not None:
            return fetch, contents
        parts, blocks = [contents], len(contents)
        while blocks < enough and (more := self._take_with(fetch, enough - blocks)):
            parts.append(self._contents(more))
            blocks += len(parts[-1])
        if len(parts) == 1:
            return fetch, contents
        once = list(dict.fromkeys(np.concatenate(parts).tolist()))
        self.counts.dropped_in_flight += blocks - len(once)
        return fetch, np.array(once, np.int64)

    def _take_with(self, fetch: Fetch, blocks: int) -> list[Fetch]:
        """Fetches at the head of the queue that may go in one submission with `fetch`, until they ask for `blocks`."""
        taken: list[Fetch] = []
        asked, queue = 0, self._queue
        while queue and asked < blocks and queue[0].due_step is None and queue[0].layers == fetch.layers:
            taken.append(queue.popleft())
            asked += taken[-1].count
        self.queued_blocks -= asked
        return taken

    def _contents(self, fetches: list[Fetch]) -> np.ndarray:
        return self.space.decode_all(fetches, name=self.tiers.feedback is not None)

    def _wanted(self, contents: np.ndarray, fetch: Fetch) -> np.ndarray:
        states, counts = self.tiers.states, self.counts
        target = self.tiers.all_layers if fetch.layers is None else fetch.layers
        loading = states.loading[contents]
        flying = int(np.count_nonzero(loading))
        absent = states.layers[contents] < target
        # A plan names the same blocks step after step: most are there by now.
        wanted = contents[absent & states.on_host[contents] & ~loading] if absent.any() else contents[:0]
        counts.dropped_in_flight += flying
        counts.dropped_resident += len(contents) - len(wanted) - flying
        return wanted

    def _affordable(self, allowance_s: float, layers: int | None) -> int:
        """Blocks in the quanta that can start within the allowance, under the in-flight cap."""
        quantum, device = self.settings.quantum_blocks, self.tiers.device
        if layers is None:
            each = device.block_load_s
        else:
            each = layers * device.h2d.cost.each_s(self.tiers.block_bytes // self.tiers.all_layers)
        quantum_s = device.h2d.cost.submit_s + quantum * each
        count = 1 << 40 if quantum_s <= 0 else quantum * math.ceil(allowance_s / quantum_s)
        if self.settings.in_flight_cap_blocks is not None:
            count = min(count, self.settings.in_flight_cap_blocks - self.tiers.loading_blocks)
        return max(0, count)

    def _start(self, wanted: np.ndarray, fetch: Fetch, step: int) -> int:
        """Load as many of `wanted` as get a slot, in order; returns how many."""
        if len(wanted) == 0:
            return 0
        tiers = self.tiers
        needs_slot = tiers.states.slot[wanted] < 0
        room = tiers.room_for_prefetch(int(needs_slot.sum()))
        wanted = wanted[np.cumsum(needs_slot) <= room]
        if len(wanted) == 0:
            return 0
        tiers.states.prefetched_step[wanted] = step
        tiers.states.wasted[wanted] = False
        tiers.load(wanted, PREFETCH, fetch.layers, self.settings.quantum_blocks)
        self.counts.issued += len(wanted)
        return len(wanted)


def merged(fetches: list[Fetch]) -> list[Fetch]:
    """The same blocks in the same order of first mention, with consecutive fetches of adjoining ranges as one.

    A sequential policy answers a run of faults with overlapping windows; one by one they would cost more than the
    transfers. Fetches with a due step stay apart: each protects its own range.
    """
    result: list[Fetch] = []
    latest: Fetch | None = None  # a fetch whose range may still grow, and how far it has
    begin = end = 0
    for fetch in fetches:
        stream, first, count, due_step, layers = fetch
        if latest is not None:
            if due_step is None and stream == latest.stream and begin <= first <= end and layers == latest.layers:
                end = max(end, first + count)
                continue
            result.append(_until(latest, end))
        if due_step is None:
            latest, begin, end = fetch, first, first + count
        else:
            latest = None
            result.append(fetch)
    if latest is not None:
        result.append(_until(latest, end))
    return result


def _until(fetch: Fetch, end: int) -> Fetch:
    """The fetch with its range up to `end`."""
    count = end - fetch.first
    return fetch if count == fetch.count else fetch._replace(count=count)
