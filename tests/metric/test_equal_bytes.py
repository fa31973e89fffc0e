"""The search for a control's size."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.metric.equal_bytes import blocks_for


def test_a_linear_control_is_found_at_once():
    tried = []

    def issued(blocks):
        tried.append(blocks)
        return int(10 * blocks)

    assert blocks_for(issued, 375) == 37.5
    assert tried == [1.0, 37.5]


def test_a_control_whose_proposals_are_dropped_more_the_more_there_are():
    blocks = blocks_for(lambda blocks: int(1000 * blocks / (blocks + 20)), 500)
    assert 490 <= 1000 * blocks / (blocks + 20) <= 510


@pytest.mark.parametrize("most", [0, 300])
def test_a_control_that_cannot_is_told(most):
    with pytest.raises(PagedKVError, match=f"asked for 1000 blocks, and comes to {most}"):
        blocks_for(lambda blocks: min(most, int(10 * blocks)), 1000)
