"""MIN's schedule: by hand, against the least number of loads, and that it fits."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedkv.bound import intervals_of, least_loads
from pagedkv.engine.min_schedule import MinStay, min_schedule
from pagedkv.engine.scripting import build_script
from tests.bound.toy import script_of
from tests.engine.build import record, table
from tests.engine.strategies import engine_settings, request_tables

A, B, C, D = range(4)


def by_hand(sets: list[set[int]], capacity: int) -> tuple[set[tuple[int, int, int]], set[tuple[int, int, int]]]:
    """(kept, loaded) as (from step, step of use, block); each block is a request of its own."""
    stays = min_schedule(script_of(sets, [1.0] * len(sets)), capacity)
    assert all((stay.first, stay.count) == (0, 1) for stay in stays)
    kept, loaded = ({(s.from_step, s.step, s.request) for s in stays if s.loads == loads} for loads in (False, True))
    return kept, loaded


def test_the_victim_of_a_load_is_dead_from_its_last_use_on():
    """Two slots. A and B are made at 0, C at 1 with A, and B comes back at 3, A at 4.

    Step 1 needs the room of B; step 2 reads A alone, beside which B has room from then on: its victim, C, is never
    used again. Step 3 reads B alone, and A stays."""
    assert by_hand([{A, B}, {A, C}, {A}, {B}, {A}], 2) == ({(3, 4, A)}, {(2, 3, B)})


def test_the_block_used_furthest_in_the_future_is_given_up():
    """Two slots: while D runs, one of A and B can stay. B is needed first. Of D's slot B's return has no use, so A has
    room when D has left."""
    assert by_hand([{A}, {B}, {D}, {B}, {A}], 2) == ({(2, 3, B)}, {(3, 4, A)})


def test_a_load_without_earlier_room_comes_at_its_use():
    """One slot: A and B take turns."""
    assert by_hand([{A}, {B}, {A}, {B}], 1) == (set(), {(2, 2, A), (3, 3, B)})


def test_loads_share_the_room_in_order_of_use():
    """Three slots, full at 0 and at 1. A single slot is free from 2 on, two from 3 on: A, needed first, has the earlier
    one and B the later."""
    sets = [{A, B}, {4, 5, 6}, {4, 5}, {4}, {4}, {4, A}, {4, B}]
    _, loaded = by_hand(sets, 3)
    assert loaded == {(2, 5, A), (3, 6, B)}


def test_the_head_of_a_request_stays():
    """Recorded: two requests of 4 and 5 blocks take turns on 7 usable slots, one at a time. What is given up is a tail,
    which is what the eviction policies evict first."""
    trace, _ = record(
        table([{"prompt": 50, "output": 12}, {"prompt": 66, "output": 12}]),
        settings={"pool_blocks": 8, "max_num_seqs": 1, "quantum_steps": 4, "max_num_batched_tokens": 128},
    )
    stays = min_schedule(build_script(trace), 7)
    kept = {(stay.step, stay.request): stay.count for stay in stays if not stay.loads}
    loaded = [stay for stay in stays if stay.loads]
    assert loaded and all(stay.first >= kept.get((stay.step, stay.request), 0) for stay in loaded)


@settings(max_examples=60)
@given(request_tables(), engine_settings(), st.integers(0, 6))
def test_it_loads_as_little_as_possible_and_always_fits(requests, options, more):
    trace, _ = record(requests, settings={**options, "host_blocks": None})
    script = build_script(trace)
    capacity = script.largest_read_set + more
    stays = min_schedule(script, capacity)
    _, loads = least_loads(intervals_of(script), capacity)
    assert sum(stay.count for stay in stays if stay.loads) == (loads[-1] if len(loads) else 0)
    room = capacity - intervals_of(script).working
    for stay in stays:
        assert isinstance(stay, MinStay) and stay.from_step <= stay.step
        room[stay.from_step : stay.step] -= stay.count
    assert (room >= 0).all()
    assert stays == sorted(stays)


def test_no_load_could_come_earlier():
    """Before each load there is a step without room for it."""
    generator = np.random.default_rng(5)
    for _ in range(50):
        sets = [set(generator.choice(6, size=generator.integers(1, 4), replace=False).tolist()) for _ in range(10)]
        script = script_of(sets, [1.0] * len(sets))
        stays = min_schedule(script, 3)
        room = 3 - intervals_of(script).working
        for stay in stays:
            room[stay.from_step : stay.step] -= stay.count
        left = {(leave.request, step) for step in script.event_steps for leave in script.events[step].leaves}
        for stay in (stay for stay in stays if stay.loads):
            assert (stay.request, stay.from_step) in left or room[stay.from_step - 1] == 0
