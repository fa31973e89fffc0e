"""Signature paths worked by hand."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.prefetch.spp import Spp, signed
from tests.prefetch.feedback import answer, burst, fed
from tests.prefetch.views import blocks


def test_signatures():
    """(0 << 3) ^ 1 = 1; (1 << 3) ^ 2 = 10; (10 << 3) ^ 3 = 83. -3 is 64 + 3. Twelve bits are kept."""
    assert [signed(0, 1), signed(1, 2), signed(10, 3)] == [1, 10, 83]
    assert signed(0, -3) == 67
    assert signed(585, 1) == 585, "the signature of a long run of +1"


def proposed(policy, stream, *indices):
    """Indices proposed after each access of a stream."""
    return [[found for _, found in answer(policy, (stream, index))] for index in indices]


def test_a_run_is_predicted_once_its_signature_repeats():
    """After deltas of +1 the signatures are 1 9 73 585 585: that +1 follows 585 is known at the sixth access. Nothing
    was issued, so the accuracy is 1 and the path as long as `depth`. After that, the filter leaves one new block."""
    policy = Spp(depth=4)
    assert proposed(policy, 1, *range(7)) == [[], [], [], [], [], [6, 7, 8, 9], [10]]


def test_a_path_learnt_in_one_region_is_known_in_another():
    """Region 1: 0 1 3 6. In region 2 signature 0 is followed by +1, 1 by +2, 10 by +3; what follows 83 is unknown."""
    policy = Spp()
    assert proposed(policy, 1, 0, 1, 3, 6) == [[], [], [], []]
    assert proposed(policy, 2, 10, 11) == [[11, 13, 16], []]


def test_without_a_candidate_there_is_no_next_block():
    policy = Spp()
    assert proposed(policy, 1, 0, 5, 2, 90) == [[], [], [], []]


def begin(policy, *deltas):
    """Regions that begin with each of `deltas`: what follows signature 0."""
    for region, delta in enumerate(deltas):
        answer(policy, (100 + region, 500), (100 + region, 500 + delta))


def test_every_delta_above_the_threshold_is_fetched_and_the_best_one_followed():
    """0 was followed by +2 twice and +7 once. 2/3 and 1/3 are above 0.25, and 0.25 above nothing; 0.4 leaves +2."""
    for confidence, expected in [(0.25, [12, 17]), (0.4, [12]), (0.7, [])]:
        policy = Spp(confidence=confidence)
        begin(policy, 2, 2, 7)
        assert sorted(proposed(policy, 1, 10)[0]) == expected


def test_four_deltas_are_kept_and_the_rarest_goes():
    """+1 twice, +2 +3 +4 once each; +5 takes the place of +2, the first of the rarest. Six in all."""
    policy = Spp(confidence=0.1)
    begin(policy, 1, 1, 2, 3, 4, 5)
    assert sorted(proposed(policy, 1, 10)[0]) == [11, 13, 14, 15]


def test_counts_are_halved_together():
    """+1 8 times, then +2 8 times: at the 16th, 8 and 8 of 16 become 4 and 4 of 8. One more +2 gives 5 of 9, and 4 of 9
    is not enough for 0.45. Without halving it would be 9 and 8 of 17, both enough."""
    policy = Spp(confidence=0.45)
    begin(policy, *[1] * 8, *[2] * 9)
    assert proposed(policy, 1, 10) == [[12]]


def test_accuracy_shortens_the_path():
    """+1 follows every signature. Two of four issued prefetches were used: 1, 1/2 and 1/4 are enough, 1/8 is not."""
    policy = Spp()
    answer(policy, *burst(1, 0, 8))
    policy.propose(fed(arrived=[(9, index, True) for index in range(4)]))
    policy.propose(fed((9, 0, "use"), (9, 1, "late")))
    assert proposed(policy, 2, 0) == [[1, 2, 3]]


def test_demand_loads_and_faults_say_nothing_about_accuracy():
    policy = Spp(depth=5)
    answer(policy, *burst(1, 0, 8))
    policy.propose(fed((9, 0, "fault"), arrived=[(9, 0, False), (9, 1, False)]))
    assert proposed(policy, 2, 0) == [[1, 2, 3, 4, 5]]


def test_the_filter_lets_a_block_through_again_once_it_was_evicted():
    policy = Spp(depth=3)
    answer(policy, *burst(1, 0, 8))
    assert proposed(policy, 2, 0, 1) == [[1, 2, 3], [4]]
    policy.propose(fed(evicted=[(2, 3, True)]))
    assert proposed(policy, 2, 2) == [[3, 5]]


def test_the_filter_is_limited():
    """Of 1 2 3, a filter of two keeps 2 and 3, so that 4 is new; one of one keeps 3, which 2 replaces, and so on."""
    for size, expected in [(2, [[1, 2, 3], [4]]), (1, [[1, 2, 3], [2, 3, 4]])]:
        policy = Spp(depth=3, filter=size)
        answer(policy, *burst(1, 0, 8))
        assert proposed(policy, 2, 0, 1) == expected


def test_a_region_that_was_dropped_begins_anew():
    """One region. Region 1 has seen 0 and 2; after region 2, its 4 is a first access: no delta from 2."""
    policy = Spp(regions=1)
    begin(policy, 2, 2)
    answer(policy, (1, 0), (1, 2), (2, 50))
    assert proposed(policy, 1, 4) == [[6]]


def test_the_same_block_again_is_no_delta():
    policy = Spp()
    begin(policy, 2)
    assert proposed(policy, 1, 10, 10) == [[12], []]
    assert proposed(policy, 2, 3, 3, 5, 5) == [[5], [], [], []]


def test_nothing_lies_before_block_zero():
    policy = Spp()
    begin(policy, -3)
    assert proposed(policy, 1, 2, 7) == [[], []]


def test_a_burst_walks_from_its_last_block():
    policy = Spp(depth=2)
    assert blocks(policy.propose(fed(*((1, index, "fault") for index in range(20))))) == [(1, 20), (1, 21)]


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"confidence": 25}, "spp: confidence is a number from 0 to 1, not 25"),
        ({"confidence": True}, "spp: confidence is a number from 0 to 1, not True"),
        ({"depth": 0}, "spp: depth is a whole number from 1 on, not 0"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(PagedKVError) as error:
        Spp(**parameters)
    assert str(error.value) == message
