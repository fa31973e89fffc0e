"""The information ladder: a policy reads its level and no further, in the view it is handed and in what it decides."""

import gc
import types

import numpy as np
import pytest

from pagedkv.engine.address import Logical, Slots
from pagedkv.engine.consult import Consultation
from pagedkv.engine.host_address import HOST_SPACES
from pagedkv.engine.ladder import Level
from pagedkv.engine.memory import StepMemory
from pagedkv.engine.outlook import Outlook
from pagedkv.engine.recorded import RecordedScheduler
from pagedkv.engine.replay import Replay, Rotation
from pagedkv.engine.script import Script
from pagedkv.engine.serve import ServeLoop
from pagedkv.engine.tiers import Tiers
from pagedkv.engine.view import FAULT, FIELD_LEVELS, FIRST_USE, LATE, Accesses, View
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch, PrefetchPolicy
from pagedkv.trace import Event
from tests.engine.build import record, replay, serve, table

ROTATION = {"max_num_seqs": 2, "quantum_steps": 4}
EVERYTHING = {name: object() for name in FIELD_LEVELS}


@pytest.mark.parametrize("level", list(Level))
def test_fields_above_the_level_raise(level):
    view = View(level, EVERYTHING)
    for name, needed in FIELD_LEVELS.items():
        if needed <= level:
            assert getattr(view, name) is EVERYTHING[name]
        else:
            with pytest.raises(PagedKVError, match=f"a policy of level {level} may not read '{name}' \\({needed}\\)"):
                getattr(view, name)


@pytest.mark.parametrize("level", list(Level))
def test_fields_above_the_level_are_not_held(level):
    """Neither by attributes nor by what the garbage collector can reach from the view."""
    view = View(level, EVERYTHING)
    assert not hasattr(view, "__dict__")
    reached = {id(held) for held in reachable(view)}
    for name, needed in FIELD_LEVELS.items():
        assert (id(EVERYTHING[name]) in reached) == (needed <= level)


def test_a_view_is_read_only():
    view = View(Level.I1, {"now_s": 1.0})
    for name in ("now_s", "level", "future", "_fields"):
        with pytest.raises(AttributeError):
            setattr(view, name, 2.0)
    assert view.now_s == 1.0
    with pytest.raises(AttributeError):
        _ = view.unheard_of


def test_faults_are_the_absent_ones():
    seen = Accesses(np.array([1, 2, 3]), np.array([4, 5, 6]), np.array([FAULT, LATE, FIRST_USE]))
    assert (seen.faults().stream.tolist(), seen.faults().index.tolist(), len(seen)) == ([1], [4], 3)


def reachable(start):
    """Everything that `start` refers to, directly or not, except through classes and modules."""
    seen, stack = {}, [start]
    while stack:
        held = stack.pop()
        if id(held) in seen or isinstance(held, (type, types.ModuleType)):
            continue
        seen[id(held)] = held
        stack.extend(gc.get_referents(held))
    return list(seen.values())


class Spy(PrefetchPolicy):
    """A policy of any level that fetches a little, so that its view has something to tell, and keeps its views."""

    name = "spy"

    def __init__(self, level):
        super().__init__()
        self.level = level
        self.views = []

    def propose(self, view):
        self.views.append(view)
        seen = view.accesses
        return [Fetch(int(s), int(i) + 1, 2) for s, i in zip(seen.stream, seen.index, strict=True)]


def rotating(outputs=(40, 40, 40, 40, 40, 40), late=(), hits=False):
    """Six requests and later ones; with `hits`, the later ones begin like the first."""
    rows = [{"prompt": 50 + 5 * n, "output": output} for n, output in enumerate(outputs)]
    rows[0]["ids"] = [0, 1, 2]
    rest = {"prompt": 49, "output": 9, "ids": [0, 1, 2] if hits else [0, 4, 5]}
    return table(rows + [{**rest, "at": at} for at in late])


@pytest.fixture(scope="module")
def trace():
    return record(rotating(), settings={**ROTATION, "pool_blocks": 24})[0]


ENGINE = (StepMemory, Consultation, Tiers, Replay, RecordedScheduler, ServeLoop, Outlook, Script, Logical, Slots)


@pytest.mark.parametrize("level", [Level.I0, Level.I1, Level.I2, Level.I3])
@pytest.mark.parametrize("loop", ["replay", "serve"])
def test_the_engine_is_out_of_reach_below_the_plan(trace, level, loop):
    spy = Spy(level)
    if loop == "replay":
        replay(trace, spy, pool=18, rotation=Rotation(2, 4)).run()
    else:
        serve(rotating(), spy, settings={**ROTATION, "pool_blocks": 18}).run()
    assert any(len(view.accesses) for view in spy.views)
    for view in spy.views[::7]:
        assert not [held for held in reachable(view) if isinstance(held, ENGINE)]


@pytest.mark.parametrize("address", ["physical", *HOST_SPACES])
def test_accesses_and_feedback_by_slots_carry_no_requests(trace, address):
    spy = Spy(Level.I0)
    spy.feedback = True
    replay(trace, spy, pool=18, rotation=Rotation(2, 4), address=address).run()
    for told in ("accesses", "arrived", "evicted"):
        streams = np.concatenate([getattr(view, told).stream for view in spy.views])
        assert len(streams) > 20 and not streams.any()


@pytest.mark.parametrize("name, level", [(name, level) for name, level in FIELD_LEVELS.items() if level > Level.I0])
def test_a_run_shows_each_field_from_its_level_on(trace, name, level):
    """Both as the replay fills the view and as the view hands it out."""
    for at in (level - 1, level):
        spy = Spy(Level(at))
        replay(trace, spy, pool=18, rotation=Rotation(2, 4)).run()
        if at == level:
            assert all(hasattr(view, name) for view in spy.views)
        else:
            with pytest.raises(PagedKVError, match=f"a policy of level I{at} may not read '{name}'"):
                getattr(spy.views[-1], name)


def test_logical_accesses_name_the_request(trace):
    spy = Spy(Level.I1)
    replay(trace, spy, pool=18, rotation=Rotation(2, 4)).run()
    assert set(np.concatenate([view.accesses.stream for view in spy.views]).tolist()) == set(range(6))


# ------------------------------------------------------------ the future does not reach a decision
def decisions(trace, policy, *, eviction="lru", address="logical", **params):
    """What is loaded and what leaves during each step, and the stall of each step. The idle time before step s is
    s - 0.5."""
    run = replay(trace, policy, pool=18, rotation=Rotation(2, 4), address=address, eviction=eviction, params=params)
    tiers, log, early = run.memory.tiers, [], [0.0]
    load, vacate, idle = tiers.load, tiers.pool.vacate, run.memory.idle

    def logged_load(contents, cause, *rest, **options):
        log.append((run.step - early[0], cause, contents.tolist()))
        return load(contents, cause, *rest, **options)

    def logged_vacate(contents):
        log.append((run.step - early[0], "leaves", contents.tolist()))
        vacate(contents)

    def logged_idle(until_s):
        early[0] = 0.5
        idle(until_s)
        early[0] = 0.0

    tiers.load, tiers.pool.vacate, run.memory.idle = logged_load, logged_vacate, logged_idle
    run.run()
    return log, run.stalls


def reads_by_step(trace):
    made = [set() for _ in trace.steps["step"]]
    names = ("step", "steps", "request", "computed_tokens", "scheduled_tokens")
    for step, steps, request, computed, tokens in zip(*(trace.reads[n].tolist() for n in names), strict=True):
        for i in range(steps):
            made[step + i].add((request, computed + i * tokens, tokens))
    return made


@pytest.fixture(scope="module")
def pairs():
    """Pairs of traces that agree up to a step: other lengths; somebody who arrives later; and what he hits then."""
    options = {"settings": {**ROTATION, "pool_blocks": 24}}
    some, short = (40, 40, 40, 40, 40, 40), (9, 40, 40, 40, 40, 40)
    made = []
    for one, other in (
        (rotating(some), rotating((40, 40, 40, 40, 40, 12))),
        (rotating(some), rotating((40, 40, 40, 21, 40, 40))),
        (rotating(some), rotating(some, (0.1,))),
        (rotating(short, (0.15,)), rotating(short, (0.15,), hits=True)),
        (rotating(short, (0.5,)), rotating(short, (0.5,), hits=True)),
    ):
        base, tail = record(one, **options)[0], record(other, **options)[0]
        a, b = reads_by_step(base), reads_by_step(tail)
        first = next(step for step in range(len(b)) if a[step] != b[step])
        arrival = tail.events["step"][(tail.events["kind"] == Event.ARRIVAL) & (tail.events["step"] > 0)]
        made.append((base, tail, min([first, *arrival.tolist()])))
    return made


BLIND = [
    ("none", "lru", {}),
    ("none", "plan_aware", {}),
    ("next_n", "lru", {"n": 4}),
    ("next_n", "lru", {"n": 4, "address": "physical"}),
    ("linux_vma", "lru", {}),
    ("linux_vma", "lru", {"address": "physical"}),
    ("leap_paper", "lru", {}),
    ("leap_paper", "lru", {"address": "physical", "per_stream": False}),
    ("next_n", "lru", {"n": 4, "address": "host"}),
    ("next_n", "lru", {"n": 4, "trigger": "always", "address": "host-contiguous"}),
    ("next_n", "lru", {"n": 4, "trigger": "always", "address": "physical"}),
    ("amp", "lru", {"address": "host"}),
    ("la_k", "lru", {"k": 4}),
    ("la_k", "lru", {"k": 4, "plan": "len_pred"}),
    ("la_k", "plan_aware", {"k": None}),
    ("queue_la", "lru", {}),
]


@pytest.mark.parametrize("policy, eviction, params", BLIND)
def test_decisions_do_not_depend_on_what_comes_later(pairs, policy, eviction, params):
    for base, tail, agree in pairs:
        assert agree > 20
        (log, stalls), (other_log, other_stalls) = (
            decisions(t, policy, eviction=eviction, **params) for t in (base, tail)
        )
        before = [entry for entry in log if entry[0] < agree]
        assert before == [entry for entry in other_log if entry[0] < agree]
        assert any(step > 4 for step, _, _ in before)
        assert np.array_equal(stalls[:agree], other_stalls[:agree])


@pytest.mark.parametrize("policy, eviction", [("none", "min"), ("clairvoyant", "min"), ("la_k true", "lru")])
def test_an_oracle_does_look_ahead(pairs, policy, eviction):
    """The control: the same comparison tells those apart that may see what comes later."""
    name, *plan = policy.split()
    params = {"plan": "true", "k": None} if plan else {}
    differs = False
    for base, tail, agree in pairs:
        log, other = (decisions(t, name, eviction=eviction, **params)[0] for t in (base, tail))
        differs |= [e for e in log if e[0] < agree] != [e for e in other if e[0] < agree]
    assert differs


def reads_of(trace, step):
    """(request, first block, blocks) of a step in batch order, from the run-length rows of the trace."""
    rows = []
    for index in np.flatnonzero((trace.reads["step"] <= step) & (step < trace.reads["step"] + trace.reads["steps"])):
        run = {name: int(column[index]) for name, column in trace.reads.items()}
        computed = run["computed_tokens"] + (step - run["step"] + 1) * run["scheduled_tokens"]
        rows.append((run["rank"], run["request"], 0, -(-computed // 16)))
    return tuple(row[1:] for row in sorted(rows))


def test_reads_are_those_that_the_trace_records(trace):
    spy = Spy(Level.I3)
    replay(trace, spy, pool=18, rotation=Rotation(2, 4)).run()
    assert len(spy.views) > 10
    for view in spy.views:
        assert view.reads == reads_of(trace, view.step)
