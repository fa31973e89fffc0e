"""Leap's kernel code against sequences worked by hand, and against a transcription of it.

n: window, the fault included; h: hits since the last fault. The history starts as zeros.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.leap_code import LeapCode
from tests.prefetch.views import access, blocks, seen, uses


def test_zeros_of_the_empty_history_are_a_trend():
    """History of 8, newest first. Fault 10: 0 0: trend 0. Fault 11: of 1 0 none, of 1 0 0 0 it is 0. Fault 12: 1 1: 1.

    n: 8 (h starts at 4), then 4 twice. Three ahead of 12.
    """
    policy = LeapCode(history=8)
    assert [access(policy, fault) for fault in (10, 11, 12)] == [[], [], [13, 14, 15]]


def test_a_trend_is_followed_from_the_fault_on():
    """Stride 5: the window of 4 is the fault and three ahead, where the paper's Leap would fetch four."""
    policy = trained(LeapCode(history=8), 0, 5, 10, 15)
    assert access(policy, 20) == [25, 30, 35]


def test_without_a_trend_the_aligned_cluster():
    """Deltas 1 2 3 4 5 6 7 8: no majority in 2, 4 or 8. n = 4: [36, 40) around 37, on both sides of it."""
    policy = trained(LeapCode(history=8), 1, 2, 4, 7, 11, 16, 22, 29)
    assert access(policy, 37) == [36, 38, 39]


def test_the_window_is_never_below_four():
    """No adjacency test: without hits n stays 4, where the kernel's own cluster would shrink to 1."""
    policy = trained(LeapCode(history=8), *range(0, 60, 3))
    assert access(policy, 60) == [63, 66, 69]


@pytest.mark.parametrize("hits, pages", [(1, 4), (2, 4), (3, 8), (6, 8), (7, 16), (14, 16), (15, 32), (40, 32)])
def test_hits_grow_the_window(hits, pages):
    """Stride 1 throughout. h + 2, rounded up to a power of two; page_cluster 5 caps it at 32."""
    policy = trained(LeapCode(page_cluster=5), *range(40))
    uses(policy, *range(40, 40 + hits))
    assert len(access(policy, 40 + hits)) == pages - 1


def test_a_window_is_at_least_half_the_last():
    """n = 8 at the fault behind three uses, then 4 = 8/2, then 4."""
    policy = trained(LeapCode(), *range(40))
    uses(policy, 40, 41, 42)
    assert [len(access(policy, fault)) for fault in (43, 44, 45)] == [7, 3, 3]


def test_the_search_widens_from_a_quarter_to_the_whole_history():
    """Newest first: 7 1 | 1 1 | 5 1 3 1. Of 2: none. Of 4: 1, three times. With 5 7 1 1 3 1 1 1 it takes all 8."""
    assert access(trained(LeapCode(history=8), 0, 1, 4, 5, 10, 11, 12, 13), 20) == [21, 22, 23]
    assert access(trained(LeapCode(history=8), 0, 1, 2, 3, 6, 7, 8, 15), 20) == [21, 22, 23]


def test_half_is_no_majority():
    """Newest first: 2 1 2 1 2 1 2 1. No trend: n = 4, the aligned block of 12 is [12, 16)."""
    assert access(trained(LeapCode(history=8), 0, 1, 3, 4, 6, 7, 9, 10), 12) == [13, 14, 15]


def test_uses_belong_to_the_history():
    """0 faults, 3 and 6 are used, 9 faults: 3 3. h is 2: n = 4."""
    policy = LeapCode(history=8)
    access(policy, 0)
    uses(policy, 3, 6)
    assert access(policy, 9) == [12, 15, 18]


def test_nothing_lies_before_block_zero():
    assert access(trained(LeapCode(history=8), 14, 11, 8, 5), 2) == []
    assert access(trained(LeapCode(history=8), 19, 15, 11), 7) == [3]


def test_the_same_block_again_leads_nowhere():
    policy = LeapCode()
    assert [access(policy, 5) for _ in range(6)] == [[]] * 6


def test_one_history_for_all_or_one_for_each_stream():
    """Streams 1 and 2 alternate, each sequential. Together the deltas are 100 -99 100 -99 ...: no majority of 2 or 4 or
    8, so the aligned four. Apart: +1 in each."""
    accesses = [(stream, base + i, "fault") for i in range(8) for stream, base in ((1, 0), (2, 100))]
    together, apart = LeapCode(history=8), LeapCode(history=8, per_stream=True)
    together.propose(seen(*accesses))
    apart.propose(seen(*accesses))
    assert blocks(together.propose(seen((1, 9, "fault")))) == [(1, 8), (1, 10), (1, 11)]
    assert blocks(apart.propose(seen((1, 9, "fault")))) != [(1, 8), (1, 10), (1, 11)]
    assert blocks(apart.propose(seen((2, 108, "fault")))) == [(2, 109), (2, 110), (2, 111)]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["fault", "fault", "use", "late"])), max_size=60),
    st.integers(4, 17),
    st.integers(0, 5),
)
def test_as_the_code_computes_it(accesses, history, page_cluster):
    policy, kernel = LeapCode(history=history, page_cluster=page_cluster), Kernel(history, page_cluster)
    for index, kind in accesses:
        assert access(policy, index, kind) == kernel.access(index, kind)


class Kernel:
    """`log_swap_trend`, `find_trend_in_region`, `find_trend`, `swapin_nr_pages` and `swapin_readahead`."""

    def __init__(self, max_size: int, page_cluster: int) -> None:
        self.delta, self.entry = [0] * max_size, [0] * max_size
        self.head = self.size = self.last_pages = 0
        self.hits, self.max_pages = 4, 1 << page_cluster

    def previous(self, index: int) -> int:
        return index - 1 if index > 0 else len(self.delta) - 1

    def access(self, offset: int, kind: str) -> list[int]:
        self.delta[self.head] = offset - self.entry[self.previous(self.head)] if self.size else 0
        self.entry[self.head] = offset
        self.head = (self.head + 1) % len(self.delta)
        self.size = min(self.size + 1, len(self.delta))
        if kind != "fault":
            self.hits += 1
            return []
        mask = self.nr_pages() - 1
        found, delta = self.find_trend()
        if found:
            ahead = [offset + count * delta for count in range(mask + 1)]
            return [page for page in ahead if page != offset and page >= 0]
        return [page for page in range(offset & ~mask, (offset | mask) + 1) if page != offset]

    def find_trend(self) -> tuple[bool, int]:
        size = len(self.delta) // 4
        most, found, delta = 4 * size, False, 0
        while not found and size <= most:
            found, delta = self.in_region(size)
            size *= 2
        return found, delta

    def in_region(self, size: int) -> tuple[bool, int]:
        newest = self.previous(self.head)
        majority, count, i = newest, 1, self.previous(newest)
        for _ in range(1, size):
            count += 1 if self.delta[majority] == self.delta[i] else -1
            if count == 0:
                majority, count = i, 1
            i = self.previous(i)
        candidate, count, i = self.delta[majority], 0, newest
        for _ in range(size):
            count += self.delta[i] == candidate
            i = self.previous(i)
        return count > size // 2, candidate

    def nr_pages(self) -> int:
        if self.max_pages <= 1:
            return 1
        pages, self.hits = self.hits + 2, 0
        roundup = 4
        while roundup < pages:
            roundup <<= 1
        self.last_pages = max(min(roundup, self.max_pages), self.last_pages // 2)
        return self.last_pages


def trained(policy: LeapCode, *faults: int) -> LeapCode:
    for fault in faults:
        access(policy, fault)
    return policy


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"history": 3}, "leap_code: history is a whole number from 4 on, not 3"),
        ({"page_cluster": -1}, "leap_code: page_cluster is a whole number from 0 on, not -1"),
        ({"per_stream": "yes"}, "leap_code: per_stream is one of True, False, not 'yes'"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        LeapCode(**parameters)
    assert str(error.value) == message
