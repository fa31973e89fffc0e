"""Slots of managed memory: one each, kept for life, handed out as vLLM's free queue does."""

import numpy as np
from hypothesis import assume, given, settings

from pagedkv.engine.managed import managed_mappings
from pagedkv.engine.script import Enter, Leave, Script, StepEvents
from pagedkv.engine.scripting import build_script
from tests.engine.build import record
from tests.engine.strategies import engine_settings, request_tables

NONE = np.zeros(0, np.int64)


def a(*numbers):
    return np.array(numbers, np.int64)


def toy() -> Script:
    """Request 0 makes 0 and 1, leaves, comes back and ends; request 1 makes 2 and 3, later 4, and then reads 0."""
    events = {
        0: StepEvents(created=a(0, 1)),
        1: StepEvents(leaves=[Leave(0, a(0, 1), NONE, False)]),
        2: StepEvents(enters=[Enter(0, a(0, 1), NONE, 0)]),
        3: StepEvents(leaves=[Leave(0, a(0, 1), NONE, True)], created=a(2, 3)),
        4: StepEvents(enters=[Enter(1, a(0), NONE, 0)], created=a(4)),
    }
    return Script(
        compute_s=np.ones(5),
        idle_s=np.zeros(5),
        events=events,
        event_steps=a(0, 1, 2, 3, 4),
        contents=5,
        created_step=a(0, 0, 3, 3, 4),
        first_use=a(2, 2, 9, 9, 9),
        entries=[(2, 0, a(0, 1)), (4, 1, a(0))],
        largest_read_set=4,
    )


def test_a_block_keeps_its_slot_until_another_takes_it():
    mappings = managed_mappings(toy(), gpu_blocks=1, seed=1)
    assert list(mappings) == [0, 3, 4], "on its return request 0 finds its slots as they were"
    first, second = mappings[0][1].tolist()
    assert sorted([first, second]) == [0, 1]
    # The last block was freed first, so its slot is reused first.
    assert [part.tolist() for part in mappings[3]] == [[2, 3], [second, first]]
    # Block 0 has lost its slot; two slots are held, so the pool grows.
    assert [part.tolist() for part in mappings[4]] == [[0, 4], [2, 3]]


@settings(max_examples=40)
@given(request_tables(), engine_settings())
def test_blocks_that_are_held_have_slots_of_their_own(requests, options):
    trace, _ = record(requests, settings={**options, "host_blocks": None})
    assume(len(trace.steps["step"]))
    script = build_script(trace)
    mappings = managed_mappings(script, gpu_blocks=options["pool_blocks"], seed=3)
    slot = np.full(script.contents, -1)
    held = np.zeros(script.contents, int)
    for step in script.event_steps.tolist():
        events = script.events[step]
        for leave in events.leaves:
            held[leave.contents] -= 1
        for contents in [events.created, *events.joined, *(enter.contents for enter in events.enters)]:
            held[contents] += 1
        contents, slots = mappings.get(step, (NONE, NONE))
        slot[contents] = slots
        taken = slot[held > 0]
        assert (taken >= 0).all() and len(np.unique(taken)) == len(taken)


def test_another_seed_is_another_order():
    orders = {tuple(managed_mappings(toy(), gpu_blocks=8, seed=seed)[0][1]) for seed in range(5)}
    assert len(orders) > 1
