"""Places in pinned memory: never two contents in one, none lost, none reused while a load may read it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.device.hostslots import NOWHERE, HostSlots
from pagedkv.errors import PagedKVError

CONTENTS = 12

actions = st.lists(
    st.tuples(
        st.sampled_from(["take", "retire", "free"]), st.sets(st.integers(0, CONTENTS - 1), min_size=1, max_size=4)
    ),
    max_size=40,
)


@given(actions)
def test_places_stay_consistent_whatever_comes(script):
    slots = HostSlots(4 * CONTENTS)
    held: dict[int, int] = {}
    leaving: set[int] = set()
    """Places that are reused only after `free_retired`."""
    for action, contents in script:
        contents = np.array(sorted(contents))
        if action == "take":
            if len(contents) > slots.free_count:
                continue
            places = slots.take(contents).tolist()
            assert not (set(held.values()) | leaving) & set(places), "a place was given out that may still be read"
            leaving |= {held[content] for content in contents.tolist() if content in held}
            held.update(zip(contents.tolist(), places, strict=True))
        elif action == "retire":
            slots.retire(contents)
            for content in contents.tolist():
                if content in held:
                    # A load that is submitted at this boundary still finds the copy.
                    assert slots.of(np.array([content]))[0] == held[content]
                    leaving.add(held[content])
        else:
            slots.free_retired()
            held = {content: place for content, place in held.items() if place not in leaving}
            leaving.clear()
        slots.assert_consistency()
    assert slots.free_count == slots.slots - len(set(held.values()) | leaving)


def test_a_retired_place_is_reused_only_after_the_step():
    slots = HostSlots(2)
    first = slots.take(np.array([0]))
    slots.retire(np.array([0]))
    second = slots.take(np.array([1]))
    assert second[0] != first[0]
    with pytest.raises(PagedKVError, match="pinned pool of 2 blocks is full"):
        slots.take(np.array([2]))
    slots.free_retired()
    assert slots.take(np.array([2]))[0] == first[0]


def test_a_content_retired_twice_gives_its_place_back_once():
    """Bug: a discarded copy that was stored again freed its place twice."""
    slots = HostSlots(4)
    old = slots.take(np.array([0]))
    slots.retire(np.array([0]))
    new = slots.take(np.array([0]))
    slots.free_retired()
    assert slots.of(np.array([0]))[0] == new[0] != old[0]
    assert slots.free_count == 3
    slots.retire(np.array([0]))
    slots.free_retired()
    assert slots.of(np.array([0]))[0] == NOWHERE
    assert slots.free_count == 4
    slots.assert_consistency()
