"""Linux file readahead against sequences worked by hand. M = 32 and q = 1 unless a test says otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.linux_file import LinuxFile, first_size, next_size
from tests.prefetch.views import access, blocks, told, uses


def cold(policy: LinuxFile, pages: int = 700) -> LinuxFile:
    """`policy` after all of file 0 has left memory."""
    policy.propose(told(evicted=[(0, index, False) for index in range(pages)]))
    return policy


@pytest.mark.parametrize(
    "request_, most, size",
    [(1, 32, 4), (2, 32, 4), (3, 32, 8), (4, 32, 8), (8, 32, 16), (9, 32, 32), (1, 128, 4), (4, 128, 16), (1, 3, 3)],
)
def test_first_size(request_, most, size):
    """q is rounded up to a power of two; up to M/32 it is taken four times, up to M/4 twice, else M. For M = 32 the
    kernel's comment says the same: 1-2 pages 4, 3-4 pages 8, 5-8 pages 16, more 32."""
    assert first_size(request_, most) == size


@pytest.mark.parametrize("size, following", [(1, 4), (2, 4), (4, 8), (8, 16), (16, 32), (17, 32), (32, 32)])
def test_next_size(size, following):
    """M = 32: four times below 2, twice up to 16, else 32."""
    assert next_size(size, 32) == following


def test_a_file_read_from_its_start():
    """0 misses: [0, 4), mark at 4 - 3 = 1. Mark 1: [4, 12), mark 4. Mark 4: [12, 28), mark 12. Mark 12: [28, 60), mark
    28. Mark 28: [60, 92). The pages between bring nothing."""
    policy = LinuxFile()
    windows = {0: range(1, 4), 1: range(4, 12), 4: range(12, 28), 12: range(28, 60), 28: range(60, 92)}
    for index in range(60):
        assert access(policy, index, "use" if index else "fault") == list(windows.get(index, []))


def test_the_page_behind_the_last_one_starts_a_window():
    """50 misses alone: only itself. 51 is the page behind it: [51, 55)."""
    policy = cold(LinuxFile())
    assert access(policy, 50) == []
    assert access(policy, 51) == [52, 53, 54]


def test_the_same_page_again_starts_a_window():
    """As when a page is read in two halves: i - prev = 0."""
    policy = cold(LinuxFile())
    assert access(policy, 50) == []
    assert access(policy, 50) == [51, 52, 53]


def test_a_random_miss_leaves_the_state_alone():
    """[0, 4), mark 1. Misses at 90 and 40 read nothing ahead. Mark 1 still brings [4, 12)."""
    policy = cold(LinuxFile())
    access(policy, 0)
    assert access(policy, 90) == access(policy, 40) == []
    assert access(policy, 1, "use") == list(range(4, 12))


def context(before: int, start: int) -> LinuxFile:
    """`before` present blocks end just before `start`, where nothing is. The last page read lies elsewhere."""
    policy = cold(LinuxFile())
    access(policy, start + 500)
    policy.propose(told(arrived=[(0, index) for index in range(start - before, start)]))
    return policy


@pytest.mark.parametrize("before, ahead", [(0, 0), (1, 0), (2, 2), (7, 7), (30, 30), (31, 31), (40, 31)])
def test_pages_before_a_miss_tell_of_a_stream(before, ahead):
    """More than q = 1 of them: a window of that many + 1, at most 32, the missing page among it."""
    assert access(context(before, 100), 100) == list(range(101, 101 + ahead))


def test_pages_back_to_the_start_count_twice():
    """Pages 0..4 are there, 5 misses: 2 * 5 + 1 = 11, that is [5, 16), one of it asynchronous, so the mark is at 15."""
    policy = context(5, 5)
    assert access(policy, 5) == list(range(6, 16))
    assert [access(policy, index, "use") for index in range(6, 15)] == [[]] * 9
    assert access(policy, 15, "use") == list(range(16, 16 + next_size(11, 32)))


def test_a_foreign_mark_goes_on_behind_the_pages_that_are_there():
    """Two streams on one file. A: [0, 4), mark 1, then [4, 12), mark 4. B: 100 and 101 miss: [101, 105). Mark 4 is not
    B's 101 + 4 - 3 = 102: the first absent page behind 4 is 12, the size next(12 - 4 + 1 = 9) = 18."""
    policy = cold(LinuxFile())
    access(policy, 0)
    access(policy, 1, "use")
    assert [access(policy, index) for index in (100, 101)] == [[], [102, 103, 104]]
    assert access(policy, 4, "use") == list(range(12, 30))
    assert access(policy, 12, "use") == list(range(30, 62)), "the state is A's again: next(18) = 32"


def test_a_foreign_mark_gives_up_where_everything_is_there():
    """M = 4: [0, 2), mark 1; a miss elsewhere moves the state on. 2..5 are there: no hole within 4 behind 1."""
    policy = cold(LinuxFile(window_max=4))
    assert access(policy, 0) == [1]
    policy.propose(told(arrived=[(0, index) for index in range(2, 6)]))
    assert [access(policy, index) for index in (70, 71)] == [[], [72]]
    assert access(policy, 1, "use") == []


def test_a_page_that_is_there_already_is_not_marked():
    """1 arrived before 0 missed. The window's mark would be at 1, and is not set: the use of 1 brings nothing."""
    policy = LinuxFile()
    policy.propose(told(arrived=[(0, 1)]))
    assert access(policy, 0) == [1, 2, 3]
    assert access(policy, 1, "use") == []


def test_a_mark_is_used_once_and_a_miss_is_no_use_of_it():
    policy = LinuxFile()
    access(policy, 0)
    assert access(policy, 1, "late") == list(range(4, 12)), "in flight or arrived, it is a use"
    assert access(policy, 1, "use") == []
    policy = LinuxFile()
    access(policy, 0)
    assert access(policy, 1) == [2, 3, 4], "the mark left with its page; 1 is the page behind 0: [1, 5)"


def test_a_window_that_would_be_marked_at_its_own_start_takes_the_next_one_in():
    """M = 2, q = 1: size 2 > 1, one ahead: [0, 2). M = 1: size 1, all of it ahead; next(1) = 1 does not fit into 1, so
    0 ahead, no mark, nothing to fetch. M = 2, q = 4: size 2, not larger than q, so 2 ahead; 2 + 2 > 2, so 1 ahead."""
    assert access(LinuxFile(window_max=2), 0) == [1]
    one = LinuxFile(window_max=1)
    assert access(one, 0) == access(one, 1) == []
    large = LinuxFile(window_max=2, request=4)
    assert access(large, 0) == [1]
    assert access(large, 1, "use") == [2, 3], "mark at 0 + 2 - 1"


def test_reads_of_several_pages():
    """q = 2, M = 32. A random miss reads its second page too; 0 takes [0, 4), mark at 4 - 2 = 2."""
    policy = cold(LinuxFile(request=2))
    assert access(policy, 50) == [51]
    assert access(policy, 0) == [1, 2, 3]
    assert access(policy, 1, "use") == []
    assert access(policy, 2, "use") == list(range(4, 12))


def test_files_do_not_share_state():
    policy = LinuxFile()
    policy.propose(told(evicted=[(2, index, False) for index in range(60)]))
    accesses = [(1, 0, "fault"), (2, 50, "fault"), (1, 1, "use"), (2, 51, "fault")]
    assert policy.propose(told(*accesses)) == [Fetch(1, 1, 3), Fetch(1, 4, 8), Fetch(2, 52, 3)]


def test_uses_of_other_pages_bring_nothing():
    policy = LinuxFile()
    access(policy, 0)
    uses(policy, 2, 3)
    assert blocks(policy.propose(told())) == []


READ, EVICT = "read", "evict"


@given(
    st.lists(st.tuples(st.sampled_from([READ, READ, READ, EVICT]), st.integers(-2, 12)), max_size=60),
    st.sampled_from([1, 2, 4, 8, 16]),
    st.integers(1, 3),
)
def test_as_the_kernel_computes_it(events, most, request_):
    """A walk through a file that is not in memory at first: steps forwards or back, and pages that are evicted."""
    policy, kernel = cold(LinuxFile(window_max=most, request=request_)), Kernel(most, request_)
    at = 0
    for event, step in events:
        at = max(0, at + step)
        if event == EVICT:
            kernel.evict(at)
            policy.propose(told(evicted=[(0, at, False)]))
        elif at not in kernel.cached:
            assert access(policy, at) == kernel.read(at)
        elif at in kernel.unused:
            assert access(policy, at, "use") == kernel.read(at)


class Kernel:
    """`ondemand_readahead` and `page_cache_ra_unbounded` over a set of cached pages, line by line.

    A read of a cached page that was used before does not reach it, as for a mapped file.
    """

    def __init__(self, ra_pages: int, request: int) -> None:
        self.max_pages, self.req_size = ra_pages, request
        self.start = self.size = self.async_size = 0
        self.prev_index = -2
        self.cached, self.marked, self.unused = set(), set(), set()

    def evict(self, index: int) -> None:
        for pages in (self.cached, self.marked, self.unused):
            pages.discard(index)

    def read(self, index: int) -> list[int]:
        before, self.asked = set(self.cached), []
        if index not in self.cached:
            self.ondemand(index, False)
        elif index in self.marked:
            self.marked.discard(index)
            self.ondemand(index, True)
        self.cached.add(index)
        self.marked -= {index}
        self.unused |= self.cached - before
        self.unused.discard(index)
        self.prev_index = index
        return [page for page in self.asked if page != index]

    def ondemand(self, index: int, folio: bool) -> None:
        if index and folio and index == self.start + self.size - self.async_size:
            self.start += self.size
            self.size = self.async_size = self.next_size()
        elif index and folio:
            start = next((i for i in range(index + 1, index + 1 + self.max_pages) if i not in self.cached), None)
            if start is None:
                return
            self.start, self.size = start, start - index + self.req_size
            self.size = self.async_size = self.next_size()
        elif not index or self.req_size > self.max_pages or 0 <= index - self.prev_index <= 1:
            self.start, self.size = index, self.init_size()
            self.async_size = self.size - self.req_size if self.size > self.req_size else self.size
        else:
            size = next((n for n in range(min(index, self.max_pages)) if index - 1 - n not in self.cached), None)
            size = min(index, self.max_pages) if size is None else size
            if size <= self.req_size:
                self.unbounded(index, self.req_size, 0)
                return
            size = 2 * size if size >= index else size
            self.start, self.size, self.async_size = index, min(size + self.req_size, self.max_pages), 1
        if index == self.start and self.size == self.async_size:
            add_pages = self.next_size()
            if self.size + add_pages <= self.max_pages:
                self.async_size, self.size = add_pages, self.size + add_pages
            else:
                self.size, self.async_size = self.max_pages, self.max_pages >> 1
        self.unbounded(self.start, self.size, self.async_size)

    def unbounded(self, start: int, count: int, lookahead: int) -> None:
        self.asked = list(range(start, start + count))
        for i, page in enumerate(self.asked):
            if page not in self.cached:
                self.cached.add(page)
                if i == count - lookahead:
                    self.marked.add(page)

    def init_size(self) -> int:
        size = 1
        while size < self.req_size:
            size *= 2
        if size <= self.max_pages // 32:
            return 4 * size
        return 2 * size if size <= self.max_pages // 4 else self.max_pages

    def next_size(self) -> int:
        if self.size < self.max_pages // 16:
            return 4 * self.size
        return 2 * self.size if self.size <= self.max_pages // 2 else self.max_pages


@pytest.mark.parametrize("parameters", [{"window_max": 0}, {"request": 0}, {"window_max": "32"}])
def test_bad_parameters(parameters):
    (name,) = parameters
    with pytest.raises(PagedKVError, match=f"linux_file: {name} is a whole number from 1 on"):
        LinuxFile(**parameters)
