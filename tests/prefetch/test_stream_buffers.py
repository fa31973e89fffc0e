"""Stream buffers against sequences worked by hand."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.stream_buffers import StreamBuffers
from tests.prefetch.views import access, blocks, seen


def test_a_fault_takes_a_buffer_and_a_head_hit_tops_it_up():
    """Without filter: fault 10 fetches 11..14, head 11. Uses of 11, 12, 13 fetch 15, 16, 17: always four ahead."""
    policy = StreamBuffers(filter=0)
    assert access(policy, 10) == [11, 12, 13, 14]
    assert [access(policy, index, "use") for index in (11, 12, 13)] == [[15], [16], [17]]


def test_with_a_filter_it_takes_two_faults_in_sequence():
    """11 is behind 10. Of 20 22 24 none is behind another; 23 is behind 22, though 24 came between."""
    policy = StreamBuffers()
    assert [access(policy, index) for index in (10, 11)] == [[], [12, 13, 14, 15]]
    assert [access(policy, index) for index in (20, 22, 24, 23)] == [[], [], [], [24, 25, 26, 27]]


def test_only_the_head_counts():
    """Head 11. The use of 12 is no head hit and fetches nothing; a fault at 12 takes another buffer."""
    policy = StreamBuffers(filter=0)
    access(policy, 10)
    assert access(policy, 12, "use") == []
    assert access(policy, 12) == [13, 14, 15, 16]
    assert access(policy, 11, "use") == [15]


def test_a_fault_at_the_head_moves_it_on():
    """The prefetch of 11 had no room; the stream goes on all the same."""
    policy = StreamBuffers(filter=0)
    access(policy, 10)
    assert access(policy, 11) == [15]
    assert access(policy, 12, "late") == [16]


def test_the_least_recently_used_buffer_is_taken():
    """Two buffers: heads 101 and 201. The use of 101 makes 201 the older one; the fault at 300 takes it."""
    policy = StreamBuffers(buffers=2, depth=2, filter=0)
    assert [access(policy, index) for index in (100, 200)] == [[101, 102], [201, 202]]
    assert access(policy, 101, "use") == [103]
    assert access(policy, 300) == [301, 302]
    assert access(policy, 201, "use") == []
    assert access(policy, 102, "use") == [104]
    assert access(policy, 301, "use") == [303]


def turns(streams: int, length: int) -> list[tuple[int, int, str]]:
    """Streams that fault block by block in turn."""
    return [(stream, index, "fault") for index in range(length) for stream in range(streams)]


def fetched(policy: StreamBuffers, streams: int) -> list[int]:
    """Blocks fetched at each of three rounds of faults."""
    return [len(blocks(policy.propose(seen(fault)))) for fault in turns(streams, 3)]


def test_more_streams_than_buffers_thrash():
    """Two buffers: two streams hit their heads from the second round on; of three each finds its buffer taken."""
    assert fetched(StreamBuffers(buffers=2, filter=0), 2) == [4, 4, 1, 1, 1, 1]
    assert fetched(StreamBuffers(buffers=2, filter=0), 3) == [4] * 9


def test_buffers_for_each_stream_do_not_thrash():
    assert fetched(StreamBuffers(buffers=1, filter=0, per_stream=True), 3) == [4] * 3 + [1] * 6


def test_the_filter_forgets():
    """It remembers what is behind the last 2 faults: 50 pushes 11 out, so that 11 is no second fault in sequence."""
    policy = StreamBuffers(filter=2)
    assert [access(policy, index) for index in (10, 40, 50, 11)] == [[], [], [], []]
    assert access(policy, 12) == [13, 14, 15, 16]


def test_the_filter_does_not_mix_streams():
    assert blocks(StreamBuffers().propose(seen((1, 10, "fault"), (2, 11, "fault")))) == []


def test_a_use_outside_every_buffer_is_ignored():
    policy = StreamBuffers(filter=0)
    assert access(policy, 7, "use") == access(policy, 8, "late") == []


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"buffers": 0}, "stream_buffers: buffers is a whole number from 1 on, not 0"),
        ({"depth": 0}, "stream_buffers: depth is a whole number from 1 on, not 0"),
        ({"filter": -1}, "stream_buffers: filter is a whole number from 0 on, not -1"),
        ({"per_stream": 2}, "stream_buffers: per_stream is one of True, False, not 2"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        StreamBuffers(**parameters)
    assert str(error.value) == message
