"""Sessions between two turns: who is paused, since when, with which blocks, until when."""

import numpy as np
import pytest
from hypothesis import assume, given, settings

from pagedkv.engine.blocks import BlockStates
from pagedkv.engine.ladder import Level
from pagedkv.engine.pauses import PausedSessions
from pagedkv.engine.replay import Rotation
from pagedkv.engine.view import Pause
from pagedkv.prefetch.base import Fetch, Hints, PrefetchPolicy
from pagedkv.trace import Event
from tests.engine.build import record, replay, serve, table
from tests.engine.strategies import engine_settings, request_tables

OPTIONS = {"pool_blocks": 18, "max_num_seqs": 2}


class Watcher(PrefetchPolicy):
    """Fetches what paused sessions may read, demotes it, and keeps what it was told."""

    name = "watcher"
    spatial = False
    at_queue_entry = True

    def __init__(self, level=Level.I4):
        super().__init__()
        self.level = level
        self.told = []

    def propose(self, view):
        blocks = {pause.request: view.blocks_of(pause.request) for pause in view.paused}
        returns = view.returns_s if self.level >= Level.I5 else None
        self.told.append((view.step, view.now_s, view.paused, blocks, returns, view.queue, view.batch))
        return [Fetch(request, 0, count) for request, count in blocks.items()]

    def hints(self, view):
        return Hints(demote=tuple(pause.request for pause in view.paused))


def session(second, third=None):
    """Two or three turns of session 0 and, between them, a request that needs the whole pool."""
    rows = [
        {"prompt": 49, "output": 16, "ids": [0, 1, 2, 3], "session": 0},
        {"prompt": 200, "output": 30, "at": 0.05, "session": 1},
        {"prompt": 80, "output": 9, "ids": second, "session": 0, "turn": 1, "pause": 0.2},
    ]
    if third is not None:
        rows.append({"prompt": 100, "output": 9, "ids": third, "session": 0, "turn": 2, "pause": 0.1})
    return table(rows)


def test_a_pause_lists_the_blocks_that_are_left_of_its_turn():
    states = BlockStates(6)
    states.on_host[:4] = True
    states.slot[4] = 3
    paused = PausedSessions(states)
    first, second = Pause(7, 20, 1.0), Pause(8, 21, 1.5)
    paused.begin(first, np.array([0, 1, 4]))
    paused.begin(second, np.array([2, 5, 3]))
    assert paused.listed() == (first, second)
    assert paused.contents(20).tolist() == [0, 1, 4]
    assert paused.contents(21).tolist() == [2], "a prefix is of no use behind a block that is lost"
    paused.end(20)
    paused.end(99)
    assert paused.listed() == (second,) and 20 not in paused


@pytest.mark.parametrize("loop", ["replay", "serve"])
def test_the_finished_turns_full_blocks_are_the_next_ones_handle(loop):
    """Turn 0 computes 49 + 16 - 1 = 64 tokens: 4 full blocks. Its session pauses until turn 1, request 2, arrives."""
    policy = Watcher()
    if loop == "replay":
        trace, _ = record(session([0, 1, 2, 3, 4]), settings=OPTIONS)
        run = replay(trace, policy, pool=18, rotation=Rotation(2, None))
    else:
        run = serve(session([0, 1, 2, 3, 4]), policy, settings=OPTIONS)
    run.run()
    during = [entry for entry in policy.told if entry[2]]
    assert {entry[2] for entry in during} == {(Pause(0, 2, during[0][2][0].since_s),)}
    assert {entry[3][2] for entry in during} == {4}
    since = during[0][2][0].since_s
    # It computes 49 tokens in one step and one in each of 15 others, 1 ms each.
    assert since == pytest.approx(0.016) and min(entry[1] for entry in during) >= since
    after = [entry for entry in policy.told if 2 in (*entry[5], *entry[6])]
    assert after and not any(entry[2] for entry in after)
    assert run.memory.counts.useful > 0, "what was fetched in the pause is hit by the next turn"


@pytest.mark.parametrize("loop", ["replay", "serve"])
def test_nobody_knows_in_a_pause_what_the_next_turn_will_ask(loop):
    """The next turn repeats everything, or nothing. Until it arrives, all decisions are the same."""
    logs = []
    for second in ([0, 1, 2, 3, 4], [9, 8, 7, 6, 5]):
        policy = Watcher()
        if loop == "replay":
            run = replay(record(session(second), settings=OPTIONS)[0], policy, pool=18, rotation=Rotation(2, None))
        else:
            run = serve(session(second), policy, settings=OPTIONS)
        loads, load = [], run.memory.tiers.load

        def logged(contents, *rest, run=run, loads=loads, load=load, **options):
            loads.append((run.memory.tiers.device.now_s, contents.tolist()))
            return load(contents, *rest, **options)

        run.memory.tiers.load = logged
        run.run()
        # Turn 0 ends after 0.016 s, turn 1 comes 0.2 s later.
        logs.append([entry for entry in loads if entry[0] < 0.2159])
    assert logs[0] == logs[1] and len(logs[0]) > 0


def test_a_session_without_another_turn_does_not_pause():
    policy = Watcher()
    run = serve(session([0, 1, 2, 3, 4], third=[0, 1, 2, 3, 4, 5]), policy, settings=OPTIONS)
    run.run()
    handles = {pause.request for entry in policy.told for pause in entry[2]}
    assert handles == {2, 3}


def test_a_turn_with_a_time_of_its_own_that_came_before_the_last_one_ended_is_no_pause():
    rows = [
        {"prompt": 49, "output": 30, "session": 0},
        {"prompt": 49, "output": 4, "at": 0.01, "session": 0, "turn": 1},
        {"prompt": 49, "output": 4, "at": 0.2, "session": 0, "turn": 2},
    ]
    for policy, loop in ((Watcher(), "serve"), (Watcher(), "replay")):
        if loop == "serve":
            run = serve(table(rows), policy, settings=OPTIONS)
        else:
            trace, _ = record(table(rows), settings=OPTIONS)
            run = replay(trace, policy, pool=18, rotation=Rotation(2, None))
        run.run()
        assert {pause.request for entry in policy.told for pause in entry[2]} == {2}


@settings(max_examples=40, deadline=None)
@given(request_tables(), engine_settings())
def test_pauses_of_a_replay_are_those_of_the_trace(requests, options):
    """Each lasts from the end of a turn to the arrival of the next. Who knows the future knows the time at which it
    will end, but for what the engine stalls until then."""
    trace, _ = record(requests, settings={**options, "host_blocks": None})
    assume(len(trace.steps["step"]))
    turns = dict(zip(trace.requests["request"].tolist(), trace.requests["session"].tolist(), strict=True))
    events = list(zip(*(trace.events[n].tolist() for n in ("step", "kind", "request")), strict=True))
    arrival = {request: step for step, kind, request in events if kind == Event.ARRIVAL}
    finish = {request: step for step, kind, request in events if kind == Event.FINISH}
    policy = Watcher(Level.I5)
    rotation = Rotation(options["max_num_seqs"], options["quantum_steps"])
    run = replay(trace, policy, pool=options["pool_blocks"] + 400, rotation=rotation)
    came, change = {}, run.scheduler.change_queue

    def watched(deltas, before_entries):
        for _, request in deltas if before_entries else ():
            came.setdefault(request, run.memory.tiers.device.now_s)
        change(deltas, before_entries)

    run.scheduler.change_queue = watched
    run.run()
    for step, now_s, paused, _, returns, _, _ in policy.told:
        assert [pause.since_s for pause in paused] == sorted(pause.since_s for pause in paused)
        assert set(returns) == {pause.session for pause in paused}
        for pause in paused:
            assert turns[pause.request] == pause.session and step <= arrival[pause.request]
            before = [r for r, s in turns.items() if s == pause.session and r in finish and finish[r] <= step]
            assert before and pause.since_s <= now_s
            later_s = came[pause.request] - returns[pause.session]
            assert -1e-9 <= later_s <= run.stalls[step : arrival[pause.request]].sum() + 1e-9


@settings(max_examples=40, deadline=None)
@given(request_tables(), engine_settings())
def test_a_closed_loop_that_acts_on_pauses_stays_consistent_and_ends(requests, options):
    loop = serve(requests, Watcher(), settings=options)
    loop.run()
    assert len(loop.served.completion_s) + loop.served.dropped == len(requests.turn)
    assert not loop.outlook.view_fields()["paused"], "a pause outlived its session"
