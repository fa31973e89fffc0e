"""The engine on a device on which everything happens as late as it may, or at moments that a seed picks.

A machine of the `tiny` model on a CPU whose compute, loads and stores are three queues of work that has not been done
yet. Work is done when a fence, a synchronisation or a mood asks for it, and then everything that it waits for first, so
that whatever the engine does not order explicitly happens in an order that the mood chooses. Time is counted, not
measured: runs are the same every time.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from pagedkv.device.copies import CopyStream
from pagedkv.device.cuda import CudaDevice
from pagedkv.device.hostslots import HostSlots
from pagedkv.device.machine import Machine, MachineSettings
from pagedkv.device.timeline import Timeline
from pagedkv.device.trust import Trust
from pagedkv.geometry import Geometry
from pagedkv.model.runner import Runner
from pagedkv.workload.tokens import known_tokens

Mood = Callable[[], bool]
"""Asked at every opportunity: does a copy queue get on with its next piece of work?"""


def lazy() -> bool:
    """Nothing happens before somebody waits for it."""
    return False


def eager() -> bool:
    """A copy happens as soon as nothing holds it back."""
    return True


def moody(seed: int) -> Mood:
    """Now and then."""
    chance = random.Random(seed)
    return lambda: chance.random() < 0.4


class LateMark:
    """A mark in a queue, with what is used of a CUDA event; an error where CUDA would give one."""

    def __init__(self, lane: LateLane) -> None:
        self._lane = lane
        self.at_s = -1.0

    def query(self) -> bool:
        self._lane.get_on()
        return self.at_s >= 0

    def synchronize(self) -> None:
        while self.at_s < 0:
            self._lane.do_one()

    def elapsed_time(self, later: LateMark) -> float:
        assert self.at_s >= 0 and later.at_s >= 0, "the time between marks was asked for before they had passed"
        return (later.at_s - self.at_s) * 1e3


class LateLane:
    """A queue of work that has not been done yet; see `device.lane.Lane`."""

    def __init__(self, world: World, mood: Mood) -> None:
        self._world, self.mood = world, mood
        self._queue: deque[Callable[[], Any]] = deque()

    def do_one(self) -> None:
        self._queue.popleft()()

    def get_on(self) -> None:
        while self._queue and self.mood():
            self.do_one()

    def finish(self) -> None:
        while self._queue:
            self.do_one()

    def forget(self) -> None:
        self._queue.clear()

    @contextmanager
    def active(self) -> Iterator[None]:
        before, self._world.active = self._world.active, self
        yield
        self._world.active = before

    def after(self, mark: LateMark) -> None:
        self._queue.append(mark.synchronize)

    def mark(self) -> LateMark:
        mark = LateMark(self)
        self._queue.append(lambda: setattr(mark, "at_s", self._world.clock()))
        self.get_on()
        return mark

    def recycle(self, mark: LateMark) -> None:
        """Marks are not used again."""

    def give(self, work: Callable[[int], Any]) -> int:
        self._queue.append(lambda: work(0))
        self.get_on()
        return 1


class World:
    """Three queues and a clock; also the `Timeline` of what happens there."""

    origin = "cpu"
    between = staticmethod(Timeline.between)

    def __init__(self) -> None:
        self._ticks = 0
        self.compute, self.loads, self.stores = (LateLane(self, lazy) for _ in range(3))
        self.active = self.compute

    def clock(self) -> float:
        self._ticks += 1
        return self._ticks * 1e-5

    def set_moods(self, loads: Mood = lazy, stores: Mood = lazy) -> None:
        self.loads.mood, self.stores.mood = loads, stores

    def forget(self) -> None:
        """Drop all work: a run was given up."""
        for lane in (self.compute, self.loads, self.stores):
            lane.forget()
        self.active = self.compute

    def mark(self) -> LateMark:
        return self.active.mark()

    def fence(self, mark: LateMark) -> None:
        self.active.after(mark)


class LateTrust(Trust):
    """What it does to blocks is work of the queue that moves them."""

    def _note(self, gpu: np.ndarray, host: np.ndarray) -> None:
        self._timeline.active.give(lambda _: super(LateTrust, self)._note(gpu, host))

    def _compare(self, gpu: np.ndarray, host: np.ndarray) -> None:
        self._timeline.active.give(lambda _: super(LateTrust, self)._compare(gpu, host))

    def _fill(self, slots: np.ndarray) -> None:
        self._timeline.active.give(lambda _: super(LateTrust, self)._fill(slots))


class LateMachine(Machine):
    """A machine on a CPU in which things happen late."""

    def __init__(self, geometry: Geometry, settings: MachineSettings) -> None:
        super().__init__(geometry, replace(settings, where="cpu"))
        self.trusting = settings.trust
        """Test mode, which has fences of its own: what they hide is seen without it."""
        self.world = World()
        lanes = {"h2d": self.world.loads, "d2h": self.world.stores}
        self.copies = tuple(CopyStream(d, self.pool, self.host.tensor, lane=lane) for d, lane in lanes.items())
        _delay(self.runner, self.world)

    def settle(self) -> None:
        for lane in (self.world.compute, self.world.loads, self.world.stores):
            lane.finish()

    def device(self, table: Any, calibration: Any) -> CudaDevice:
        self.settle()
        self.runner.begin(lambda number: known_tokens(table, number, self.geometry.vocabulary))
        slots, trust = HostSlots(self.host.blocks), None
        if self.trusting:
            trust = LateTrust(self.pool, slots.slots, *(copies.active for copies in self.copies), self.world)
            trust.poison(np.arange(1, self.settings.pool_blocks))
        fixed = (calibration, self.geometry, self.runner, *self.copies, slots, self.world.compute)
        return CudaDevice(*fixed, self.world, trust=trust, clock=self.world.clock)


def _delay(runner: Runner, world: World) -> None:
    """What `runner` enqueues on a GPU is work of the compute queue. What it tells the GPU it writes down at once."""
    operations, forward = runner._do, runner._forward

    class Delayed:
        expand, keep = staticmethod(operations.expand), staticmethod(operations.keep)

        @staticmethod
        def admit(*arguments: Any) -> None:
            world.compute.give(lambda _: operations.admit(*arguments))

        @staticmethod
        def update_tables(*arguments: Any) -> None:
            world.compute.give(lambda _: operations.update_tables(*arguments))

    runner._do = Delayed
    runner._forward = lambda *arguments: world.compute.give(lambda _: forward(*arguments))
