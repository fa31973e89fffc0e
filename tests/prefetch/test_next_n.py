"""Next-N against sequences worked by hand."""

import numpy as np
import pytest

from pagedkv.engine.address import Logical
from pagedkv.engine.ladder import Level
from pagedkv.engine.view import Accesses
from pagedkv.errors import PagedKVError
from pagedkv.prefetch.base import Fetch
from pagedkv.prefetch.next_n import NextN
from tests.prefetch.views import access, blocks, read, seen

KINDS = [(7, 3, "fault"), (7, 4, "use"), (9, 0, "late"), (7, 20, "fault")]


def test_miss_is_triggered_by_faults_alone():
    """Faults at 3 and 20 of stream 7; the two uses of prefetched blocks trigger nothing."""
    assert blocks(NextN(n=2, trigger="miss").propose(seen(*KINDS))) == [(7, 4), (7, 5), (7, 21), (7, 22)]


def test_tagged_is_triggered_by_faults_and_first_uses_in_order_of_access():
    proposed = blocks(NextN(n=2, trigger="tagged").propose(seen(*KINDS)))
    assert proposed == [(7, 4), (7, 5), (7, 5), (7, 6), (9, 1), (9, 2), (7, 21), (7, 22)]


@pytest.mark.parametrize("n", [1, 4, 8, 32])
def test_n_blocks_behind_the_fault(n):
    assert access(NextN(n=n), 10) == list(range(11, 11 + n))


def test_a_sequential_run_faults_once_if_tagged():
    """n=1, blocks 0..5: the fault at 0 brings 1; the first use of 1 brings 2, and so on. By miss every other faults."""

    def faults(policy: NextN) -> list[int]:
        here, missed = set(), []
        for block in range(6):
            kind = "use" if block in here else "fault"
            missed += [block] if kind == "fault" else []
            here |= {block, *access(policy, block, kind)}
        return missed

    assert faults(NextN(n=1, trigger="tagged")) == [0]
    assert faults(NextN(n=1, trigger="miss")) == [0, 2, 4]


def test_always_is_triggered_by_hits_too_and_answers_a_run_at_its_end():
    """Blocks 0..4 of stream 7 and 9..9 of stream 8 are read, whether they fault or not. What is behind a block inside
    a run is in the run, or among the 2 behind its end."""
    policy = NextN(n=2, trigger="always")
    assert policy.propose(read((7, 0, 5), (8, 9, 1))) == [Fetch(7, 5, 2), Fetch(8, 10, 2)]


def test_always_does_not_know_what_the_step_will_read():
    """D-page: block 1 of 0..4 faults, blocks 2..4 are still to come. At the end of the step the rest triggers."""
    policy, reads = NextN(n=2, trigger="always"), [(7, 0, 5), (8, 0, 3)]
    assert policy.propose(read(*reads, upto=(7, 1))) == [Fetch(7, 2, 2)]
    assert policy.propose(read(*reads, upto=(8, 0))) == [Fetch(7, 5, 2), Fetch(8, 1, 2)]
    assert policy.propose(read(*reads)) == [Fetch(8, 3, 2)]


def test_always_needs_all_accesses():
    assert (NextN(trigger="always").level, NextN().level, NextN.level) == (Level.I2, Level.I0, Level.I0)
    with pytest.raises(PagedKVError, match="level I1 may not read 'reads'"):
        NextN(trigger="always").propose(read((7, 0, 5), level=Level.I1))


def test_the_last_block_of_a_request_ends_the_window():
    """A request of 6 blocks, whose contents are 100..105, faults at 3: of 4..11 only 4 and 5 exist."""
    (fetch,) = NextN(n=8).propose(seen((0, 3, "fault")))
    space = Logical(lambda request: np.arange(100, 106))
    assert space.decode(fetch.stream, fetch.first, fetch.count).tolist() == [104, 105]


def test_nothing_seen_nothing_proposed():
    view = seen((0, 0, "fault"))
    empty = type(view)(view.level, {"accesses": Accesses.none()})
    assert NextN().propose(empty) == []


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"trigger": "hit"}, "next_n: trigger is one of miss, tagged, always, not 'hit'"),
        ({"n": 0}, "next_n: n is a whole number from 1 on, not 0"),
        ({"n": "8"}, "next_n: n is a whole number from 1 on, not '8'"),
        ({"degree": 2}, "prefetch policy 'next_n' has no parameter 'degree'; it has: n, trigger"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        NextN(**parameters)
    assert str(error.value) == message


def test_labels():
    assert [NextN(n=1).label, NextN(n=8, trigger="miss").label] == ["next-1 tagged", "next-8 miss"]
