"""What the tests of the swap readahead policies of Linux share."""

from hypothesis import strategies as st

from pagedkv.prefetch.base import PrefetchPolicy
from tests.prefetch.views import access

ACCESSES = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["fault", "fault", "use", "late"])), max_size=60)
"""(index, kind) one after the other."""


def shrunk(policy: PrefetchPolicy) -> PrefetchPolicy:
    """`policy` after faults without hits, far apart, the last at 400: n = 1, h = 0."""
    for index in (50, 100, 150, 200, 250, 300, 400):
        access(policy, index)
    return policy


def swapin_nr_pages(prev_offset: int, offset: int, hits: int, max_pages: int, prev_win: int) -> int:
    """The kernel's `__swapin_nr_pages`, line by line."""
    pages = hits + 2
    if pages == 2:
        if offset not in (prev_offset + 1, prev_offset - 1):
            pages = 1
    else:
        roundup = 4
        while roundup < pages:
            roundup <<= 1
        pages = roundup
    pages = min(pages, max_pages)
    return max(pages, prev_win // 2)
