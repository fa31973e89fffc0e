"""The UVM density prefetcher against trees worked by hand, and against a search of all subtrees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.uvm_tree import UvmTree
from tests.prefetch.views import access, blocks, told


def tree(present: str, **parameters) -> UvmTree:
    """A policy that knows stream 0: `x` is present, `.` absent; no big pages unless said."""
    policy = UvmTree(**{"region": 8, "big_page": 1, **parameters})
    policy.propose(
        told(
            arrived=[(0, index) for index, state in enumerate(present) if state == "x"],
            evicted=[(0, index, False) for index, state in enumerate(present) if state == "."],
        )
    )
    return policy


def test_a_lone_fault_brings_nothing():
    """1 of 2 is 50 %."""
    assert access(tree("........"), 3) == []


def test_the_largest_subtree_above_the_threshold():
    """Fault at 2. [2, 4): 1 of 2. [0, 4): 3 of 4. [0, 8): 4 of 8 is not above 51 %. So [0, 4), of which 3 is absent."""
    assert access(tree("xx....x."), 2) == [3]


def test_a_subtree_counts_though_one_below_it_does_not():
    """Fault at 4. [4, 6): 1 of 2, no. [4, 8): 2 of 4, no. [0, 8): 5 of 8 = 62 %: all of it: 2, 5 and 6 are absent."""
    assert access(tree("xx.x...x"), 4) == [2, 5, 6]


@pytest.mark.parametrize("threshold, fetched", [(49, [1]), (50, []), (1, [1, 2, 3]), (25, [1]), (24, [1, 2, 3])])
def test_the_share_has_to_exceed_the_threshold(threshold, fetched):
    """Four leaves, fault at 0: 1 of 2 is 50 %, 1 of 4 is 25 %."""
    assert access(tree("....", threshold=threshold, region=4), 0) == fetched


def test_the_default_threshold_is_51_percent():
    """100 leaves, the last 50 present, faults at 0 and 1. 51 of 100 are not enough, 52 are; [0, 64) has 15 or 16."""
    policy = tree("." * 50 + "x" * 50, region=100)
    assert access(policy, 0) == []
    assert access(policy, 1) == list(range(2, 50))


def test_all_faults_of_a_batch_count_together():
    """0, 1 and 2 fault at once: 3 of 4. One after the other, 0 alone brings nothing, 1 makes 2 of 2 and 2 of 4, 2 makes
    3 of 4."""
    faults = [(0, index, "fault") for index in range(3)]
    assert blocks(tree("....", region=4).propose(told(*faults))) == [(0, 3)]
    policy = tree("....", region=4)
    assert [access(policy, index) for index in range(3)] == [[], [], [3]]


def test_a_big_page_is_filled_whole():
    """Pages of 4 leaves: fault at 5 fills [4, 8). [0, 8) then has 4 of 8."""
    assert access(tree("........", big_page=4), 5) == [4, 6, 7]


def test_a_filled_big_page_counts_in_the_tree():
    """4 filled, and 1 of the other half is there: 5 of 8."""
    assert access(tree("x.......", big_page=4), 5) == [1, 2, 3, 4, 6, 7]


def test_as_the_driver_has_it():
    """512 leaves, big pages of 16. A fault at 100 brings [96, 112). The next at 112: [96, 128) is all occupied;
    [64, 128) is 32 of 64. The next at 80: 48 of 64, so all of [64, 128)."""
    policy = tree("." * 512, region=512, big_page=16)
    assert access(policy, 100) == [*range(96, 100), *range(101, 112)]
    arrive(policy, range(96, 112))
    assert access(policy, 112) == list(range(113, 128))
    arrive(policy, range(112, 128))
    assert access(policy, 80) == [*range(64, 80), *range(81, 96)]


def arrive(policy: UvmTree, indices) -> None:
    policy.propose(told(arrived=[(0, index) for index in indices]))


def test_a_tree_ends_where_the_stream_ends():
    """Blocks 0..9: the region [8, 16) has two leaves, so that 1 present and 1 faulting are all of it. With 0..10 known,
    8 and 9 are 2 of 3 = 67 % of the root."""
    assert access(tree("........x."), 9) == []
    assert access(tree("........x.."), 9) == [10]


def test_addresses_that_hold_nothing_are_no_leaves():
    """A request's extent of 8 slots, of which it uses 4; the next one's begins at 8. The fault at 0 is 1 of 4."""
    policy = tree("....")
    policy.propose(told(evicted=[(0, 8, False)]))
    assert access(policy, 0) == []


def test_regions_do_not_see_each_other():
    """7 of [0, 8) are present; the fault at 8 is 1 of 2 of its pair. A batch with two regions: by first fault."""
    assert access(tree("xxxxxxx........."), 8) == []
    policy = tree("xx.." + "xx..", region=4)
    assert policy.propose(told((0, 6, "fault"), (0, 2, "fault"))) == [Fetch(0, 7), Fetch(0, 3)]


def test_blocks_that_were_created_on_the_gpu_are_occupied():
    """Only 4..7 ever left. Fault at 4: 5 of 8."""
    policy = UvmTree(region=8, big_page=1)
    policy.propose(told(evicted=[(0, index, False) for index in range(4, 8)]))
    assert access(policy, 4) == [5, 6, 7]


def test_first_uses_bring_nothing():
    assert access(tree("xx....x."), 2, "use") == []


def test_a_region_waits_for_its_first_faults():
    """min_faults = 2: the fault at 2 would bring 3, but is the first of its region; 10 is the first of another. At 3, 5
    of 8 are occupied."""
    policy = tree("xx.....x" + "xx......", min_faults=2)
    assert access(policy, 2) == []
    assert access(policy, 10) == []
    assert access(policy, 3) == [4, 5, 6]


@given(st.lists(st.booleans(), min_size=1, max_size=21), st.data(), st.sampled_from([1, 2, 4]), st.integers(1, 100))
def test_as_a_search_of_all_subtrees_finds(present, data, big_page, threshold):
    leaves = len(present)
    faulting = data.draw(st.sets(st.integers(0, leaves - 1), min_size=1))
    present = [state and index not in faulting for index, state in enumerate(present)]
    policy = tree(
        "".join("x" if state else "." for state in present), region=32, big_page=big_page, threshold=threshold
    )
    fetched = blocks(policy.propose(told(*((0, index, "fault") for index in sorted(faulting)))))
    assert [index for _, index in fetched] == expected(present, faulting, big_page, threshold)


def expected(present: list[bool], faulting: set[int], big_page: int, threshold: int) -> list[int]:
    leaves = len(present)
    occupied = np.array(present)
    for leaf in faulting:
        occupied[leaf // big_page * big_page : (leaf // big_page + 1) * big_page] = True
    chosen = set()
    for leaf in faulting:
        trees = [range(leaf // size * size, min((leaf // size + 1) * size, leaves)) for size in (1, 2, 4, 8, 16, 32)]
        full = [branch for branch in trees if 100 * occupied[list(branch)].sum() > threshold * len(branch)]
        chosen |= set(max(full, key=len, default=()))
    return sorted(index for index in chosen if not present[index] and index not in faulting)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"threshold": 101}, "uvm_tree: threshold is a percentage, not 101"),
        ({"threshold": 0}, "uvm_tree: threshold is a whole number from 1 on, not 0"),
        ({"region": 0}, "uvm_tree: region is a whole number from 1 on, not 0"),
        ({"big_page": 0}, "uvm_tree: big_page is a whole number from 1 on, not 0"),
        ({"min_faults": 0}, "uvm_tree: min_faults is a whole number from 1 on, not 0"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        UvmTree(**parameters)
    assert str(error.value) == message
