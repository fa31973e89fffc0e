"""Linux VMA readahead against sequences worked by hand, and against a transcription of the kernel's code.

n: window; p: previous address; h: hits since the last fault.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.linux_vma import LinuxVma
from tests.prefetch.swap_readahead import ACCESSES, shrunk, swapin_nr_pages
from tests.prefetch.views import access, uses


def test_first_fault_is_centred():
    """h starts at 4: n = 6, rounded up to 8. p = 0 is not next to 100, so (8-1)//2 = 3 to the left: [97, 105)."""
    assert access(LinuxVma(), 100) == [97, 98, 99, 101, 102, 103, 104]


def test_first_fault_at_the_beginning():
    """p starts at 0. Fault 0: [-3, 5), of which 1..4 exist. Fault 1 is p+1: [1, 9)."""
    assert access(LinuxVma(), 0) == [1, 2, 3, 4]
    assert access(LinuxVma(), 1) == [2, 3, 4, 5, 6, 7, 8]


def test_without_hits_the_window_halves():
    """n: 8; then h = 0 gives 1, but at least half the last: 4, 2, 1. One block to the left with n = 4, none with 2."""
    policy = LinuxVma()
    assert len(access(policy, 100)) == 7
    assert access(policy, 200) == [199, 201, 202]
    assert access(policy, 300) == [301]
    assert access(policy, 400) == []
    assert access(policy, 500) == []


def test_without_hits_a_neighbour_gives_two():
    """After the window has shrunk to 1: 401 is p+1, n = 2: [401, 403). 400 is p-1: (398, 400]. 402 is neither: 1."""
    policy = shrunk(LinuxVma())
    assert access(policy, 401) == [402]
    assert access(policy, 400) == [399]
    assert access(policy, 402) == []


@pytest.mark.parametrize(
    "hits, window", [(1, 4), (2, 4), (3, 8), (6, 8), (7, 16), (14, 16), (15, 32), (30, 32), (31, 32), (99, 32)]
)
def test_hits_grow_the_window(hits, window):
    """n = h + 2 rounded up to a power of two of at least 4; page_cluster 5 caps it at 32."""
    policy = shrunk(LinuxVma(page_cluster=5))
    uses(policy, *range(1000, 1000 + hits))
    left = (window - 1) // 2
    assert access(policy, 6000) == [b for b in range(6000 - left, 6000 - left + window) if b != 6000]


@pytest.mark.parametrize("cluster, read", [(1, 1), (2, 3), (3, 7), (4, 15)])
def test_page_cluster_caps_the_window(cluster, read):
    policy = shrunk(LinuxVma(page_cluster=cluster))
    uses(policy, *range(1000, 1099))
    assert len(access(policy, 6000)) == read


def test_page_cluster_above_five_is_capped_as_in_the_kernel():
    """SWAP_RA_ORDER_CEILING: 2**5 = 32 pages. 8 would have given 128."""
    policy = LinuxVma(page_cluster=8)
    uses(policy, *range(1000, 1200))
    assert len(access(policy, 6000)) == 31


def test_page_cluster_zero_reads_nothing_ahead():
    policy = LinuxVma(page_cluster=0)
    assert [access(policy, index) for index in (100, 101, 102, 7)] == [[]] * 4


def test_a_hit_moves_the_previous_address():
    """Fault 100 (n = 8), use of 101 (h = 1, p = 101). Fault 102 = p+1: n = 4 >= 8/2: [102, 106)."""
    policy = LinuxVma()
    access(policy, 100)
    uses(policy, 101)
    assert access(policy, 102) == [103, 104, 105]


def test_backwards():
    """Fault 100 (n = 8), use of 99 (h = 1, p = 99). Fault 98 = p-1: n = 4: (94, 98]."""
    policy = LinuxVma()
    access(policy, 100)
    uses(policy, 99)
    assert access(policy, 98) == [95, 96, 97]


def test_a_block_in_flight_counts_as_a_hit():
    """Two late uses, h = 2: n = 4 from p = 102 forwards. Without them h = 0 and the window would be centred."""
    policy = shrunk(LinuxVma())
    assert access(policy, 101, "late") == access(policy, 102, "late") == []
    assert access(policy, 103) == [104, 105, 106]


def test_a_window_stays_in_its_region():
    """Regions [0, 512) and [512, 1024). Fault 510 centred: [507, 515). Fault 513: [510, 518)."""
    assert access(LinuxVma(), 510) == [507, 508, 509, 511]
    assert access(LinuxVma(), 513) == [512, 514, 515, 516, 517]
    assert access(LinuxVma(region=8), 102) == [99, 100, 101, 103]


def test_areas_do_not_share_state():
    """Stream 1 has shrunk to n = 1; the first fault of stream 2 still starts with h = 4."""
    policy = LinuxVma()
    for index in (100, 200, 300, 400):
        access(policy, index, stream=1)
    assert access(policy, 500, stream=1) == []
    assert len(access(policy, 500, stream=2)) == 7


@given(ACCESSES, st.integers(0, 7), st.sampled_from([4, 16, 512]))
def test_as_the_kernel_computes_it(accesses, page_cluster, region):
    policy, kernel = LinuxVma(page_cluster=page_cluster, region=region), Kernel(page_cluster, region)
    for index, kind in accesses:
        assert access(policy, index, kind) == kernel.access(index, kind)


class Kernel:
    """`swap_vma_ra_win` and the look-up in the swap cache, line by line."""

    def __init__(self, page_cluster: int, region: int) -> None:
        self.max_win, self.region = 1 << min(page_cluster, 5), region
        self.pfn, self.prev_win, self.hits = 0, 0, 4

    def access(self, fpfn: int, kind: str) -> list[int]:
        if kind != "fault":
            self.pfn, self.hits = fpfn, self.hits + 1
            return []
        if self.max_win == 1:
            return []
        win = swapin_nr_pages(self.pfn, fpfn, self.hits, self.max_win, self.prev_win)
        pfn, self.pfn, self.prev_win, self.hits = self.pfn, fpfn, win, 0
        if win == 1:
            return []
        if fpfn == pfn + 1:
            lpfn, rpfn = fpfn, fpfn + win
        elif pfn == fpfn + 1:
            lpfn, rpfn = fpfn - win + 1, fpfn + 1
        else:
            left = (win - 1) // 2
            lpfn, rpfn = fpfn - left, fpfn + win - left
        start = fpfn // self.region * self.region
        return [page for page in range(max(lpfn, start), min(rpfn, start + self.region)) if page != fpfn]


@pytest.mark.parametrize("parameters", [{"page_cluster": -1}, {"region": 0}, {"page_cluster": 2.5}])
def test_bad_parameters(parameters):
    (name,) = parameters
    with pytest.raises(PagedKVError, match=f"linux_vma: {name} is a whole number from"):
        LinuxVma(**parameters)
