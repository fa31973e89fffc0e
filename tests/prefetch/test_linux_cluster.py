"""Linux swap cluster readahead against sequences worked by hand, and against a transcription of the kernel's code.

n: pages of the aligned block; h: hits since the last fault.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.engine.demand import DPage
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.linux_cluster import LinuxCluster
from tests.engine.build import replay
from tests.engine.recorded import ONCE_POOL, once
from tests.prefetch.swap_readahead import ACCESSES, shrunk, swapin_nr_pages
from tests.prefetch.views import access, blocks, seen, uses


def test_the_first_fault_reads_eight_on_both_sides():
    """h starts at 4: n = 6, rounded up to 8. The aligned block of 8 around 101 is [96, 104)."""
    assert access(LinuxCluster(), 101) == [96, 97, 98, 99, 100, 102, 103]


def test_slot_zero_is_a_slot():
    assert access(LinuxCluster(), 3) == [0, 1, 2, 4, 5, 6, 7]


def test_without_hits_the_block_halves():
    """n: 8; then h = 0 gives 1, but at least half the last: 4, 2, 1. Blocks [200, 204) and [300, 302)."""
    policy = LinuxCluster()
    access(policy, 101)
    assert access(policy, 203) == [200, 201, 202]
    assert access(policy, 300) == [301]
    assert access(policy, 400) == []
    assert access(policy, 500) == []


def test_without_hits_a_neighbour_gives_two():
    """401 is behind 400: n = 2, and the pair of 401 is [400, 402). 402 is behind 401: [402, 404). 410 is not: 1."""
    policy = shrunk(LinuxCluster())
    assert access(policy, 401) == [400]
    assert access(policy, 402) == [403]
    assert access(policy, 410) == []
    assert access(policy, 409) == [408]


@pytest.mark.parametrize("hits, pages", [(1, 4), (2, 4), (3, 8), (6, 8), (7, 16), (14, 16), (15, 32), (99, 32)])
def test_hits_grow_the_block(hits, pages):
    """n = h + 2 rounded up to a power of two of at least 4; page_cluster 5 caps it at 32. 6400 is a multiple of 32."""
    policy = shrunk(LinuxCluster(page_cluster=5))
    uses(policy, *range(1000, 1000 + hits))
    assert access(policy, 6400) == list(range(6401, 6400 + pages))


def test_hits_count_once():
    """h = 3 gives 8 at the first fault; the next one has h = 0: 1, but at least 8/2."""
    policy = shrunk(LinuxCluster())
    uses(policy, 1, 2, 3)
    assert len(access(policy, 640)) == 7
    assert len(access(policy, 800)) == 3


def test_a_block_in_flight_counts_as_a_hit():
    policy = shrunk(LinuxCluster())
    assert access(policy, 401, "late") == []
    assert access(policy, 640) == [641, 642, 643]


@pytest.mark.parametrize("cluster, read", [(0, 0), (1, 1), (2, 3), (3, 7), (7, 127)])
def test_page_cluster_caps_the_block(cluster, read):
    policy = LinuxCluster(page_cluster=cluster)
    uses(policy, *range(200))
    assert len(access(policy, 6400)) == read


def test_a_slot_is_remembered_only_by_a_fault_without_hits():
    """At most 2 pages. 400 is remembered; 500 follows a hit (n = 2) and is not, so that 501 has no neighbour: n = 1."""
    policy = shrunk(LinuxCluster(page_cluster=1))
    uses(policy, 900)
    assert access(policy, 500) == [501]
    assert access(policy, 501) == []


def test_one_state_for_all_streams():
    """The hit of stream 1 is spent by the fault of stream 2: 4 pages there, 2 in stream 1. 31 is a neighbour of 30,
    though 30 faulted in the other stream."""
    policy = shrunk(LinuxCluster())
    accesses = [(1, 8, "use"), (2, 16, "fault"), (1, 24, "fault"), (1, 30, "fault"), (2, 31, "fault")]
    assert blocks(policy.propose(seen(*accesses))) == [(2, 17), (2, 18), (2, 19), (1, 25), (2, 30)]


@given(ACCESSES, st.integers(0, 6))
def test_as_the_kernel_computes_it(accesses, page_cluster):
    policy, kernel = LinuxCluster(page_cluster=page_cluster), Kernel(page_cluster)
    for index, kind in accesses:
        assert access(policy, index, kind) == kernel.access(index, kind)


@pytest.fixture(scope="module")
def script():
    return once()


@pytest.mark.parametrize(
    "address, least, most", [("host", 0.5, 1.0), ("host-contiguous", 0.5, 1.0), ("host-scattered", -0.05, 0.05)]
)
def test_at_home_it_finds_what_the_allocator_put_together(script, address, least, most):
    """Share of the faults under D-page that it spares."""
    policies = "none", LinuxCluster()
    runs = [replay(script, policy, pool=ONCE_POOL, address=address, demand=DPage()) for policy in policies]
    for made in runs:
        made.run()
    none, left = (made.memory.counts.demand_loads for made in runs)
    assert least <= 1 - left / none <= most


class Kernel:
    """`swapin_nr_pages` and `swap_cluster_readahead`, line by line; slot 0 is a slot."""

    def __init__(self, page_cluster: int) -> None:
        self.max_pages = 1 << page_cluster
        self.prev_offset = self.last_readahead_pages = 0
        self.readahead_hits = 4

    def access(self, offset: int, kind: str) -> list[int]:
        if kind != "fault":
            self.readahead_hits += 1
            return []
        mask = self.nr_pages(offset) - 1
        if not mask:
            return []
        return [page for page in range(offset & ~mask, (offset | mask) + 1) if page != offset]

    def nr_pages(self, offset: int) -> int:
        if self.max_pages <= 1:
            return 1
        hits, self.readahead_hits = self.readahead_hits, 0
        pages = swapin_nr_pages(self.prev_offset, offset, hits, self.max_pages, self.last_readahead_pages)
        if not hits:
            self.prev_offset = offset
        self.last_readahead_pages = pages
        return pages


@pytest.mark.parametrize("value", [-1, 2.5, "3"])
def test_bad_parameters(value):
    with pytest.raises(PagedKVError, match="linux_cluster: page_cluster is a whole number from 0 on"):
        LinuxCluster(page_cluster=value)
