"""Accounting of what lies where: small logs by hand, and any log against plain counters."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pagedkv.kv_events.events import AllBlocksCleared, Batch
from pagedkv.kv_events.residency import Arrival, Departure, Residency
from tests.kv_events.logs import log, removed, stored

GPU, CPU = (0, "GPU"), (0, "CPU")


def arrivals(residency):
    return [move for move in residency.moves if isinstance(move, Arrival)]


def test_a_block_that_comes_back_by_hand():
    """At 0 s: 1 2 3. At 1 s: 3 and 2 leave, 4 5 come. At 2 s: 2 comes back, after 1 s and 2 other blocks."""
    found = Residency.of(log([stored(1, 2, 3)], [removed(3), removed(2), stored(4, 5)], [stored(2, after=1)]))
    tier = found.tiers[GPU]
    assert {hash_ for _, hash_ in tier.blocks} == {1, 2, 4, 5}
    assert (tier.stored, tier.removed, tier.peak, tier.removed_unseen, tier.stored_again) == (6, 2, 4, 0, 0)
    assert tier.lifetimes_s == [1.0, 1.0]
    assert tier.series == [(0.0, 3, 0, 3), (1.0, 5, 2, 3), (2.0, 6, 2, 4)]
    first, _, back = arrivals(found)
    assert not first.came_back.any() and np.isnan(first.away_s).all() and (first.others_stored == -1).all()
    assert back.came_back.tolist() == [True]
    assert (back.away_s.tolist(), back.others_stored.tolist(), back.depth, back.rooted) == ([1.0], [2], 1, True)
    assert back.blocks == (first.blocks[1],), "the same block has the same number"


def test_equal_blocks_stay_until_each_was_removed():
    """Two requests compute block 1 at once: one removal leaves the other's, and only the second one is a loss."""
    found = Residency.of(log([stored(1), stored(1)], [removed(1)], [removed(1)], [stored(1)]))
    tier = found.tiers[GPU]
    assert (tier.stored, tier.stored_again, tier.removed, tier.lifetimes_s) == (3, 1, 2, [2.0])
    assert [type(move) for move in found.moves] == [Arrival, Departure, Arrival]
    assert arrivals(found)[1].away_s.tolist() == [1.0]


def test_a_block_from_before_the_log_comes_back():
    found = Residency.of(log([removed(7)], [stored(7, after=6)]))
    assert found.tiers[GPU].removed_unseen == 1 and found.tiers[GPU].lifetimes_s == []
    (back,) = arrivals(found)
    assert back.came_back.all() and not back.rooted and back.depth == 0


def test_nothing_comes_back_over_a_reset():
    """What a reset clears must not be used again: storing it later is no return. Other media keep theirs."""
    events = [stored(1, 2), stored(1, medium="CPU")], [removed(2)], [AllBlocksCleared()], [stored(1, 2)]
    found = Residency.of(log(*events))
    assert not any(arrival.came_back.any() for arrival in arrivals(found))
    assert found.tiers[GPU].cleared == 1 and len(found.tiers[CPU].blocks) == 1
    assert Departure(0, None) in found.moves


def test_another_medium_holds_what_comes_back():
    found = Residency.of(log([stored(1, 2), stored(1, medium="CPU")], [removed(2, 1)], [stored(1, 2)]))
    assert arrivals(found)[-1].held.tolist() == [True, False]


def test_chunks_of_a_prefill_go_on_with_each_other():
    """The next chunk comes in the next batch at the latest; later, another request goes on behind the same prefix."""
    found = Residency.of(
        log([stored(1, 2)], [stored(3, 4, after=2)], [stored(9)], [stored(5, after=4)], [stored(6, after=5)])
    )
    assert [arrival.follows for arrival in arrivals(found)] == [-1, 0, -1, -1, 3]
    assert [arrival.depth for arrival in arrivals(found)] == [0, 2, 0, 4, 5]


def test_ranks_have_pools_of_their_own():
    first, second = log([stored(1)], [removed(1)]), log([stored(1)], [stored(2, after=1)], rank=1)
    found = Residency.of([first[0], second[0], first[1], second[1]])
    assert len(found.tiers[GPU].blocks) == 0 and len(found.tiers[1, "GPU"].blocks) == 2
    assert [arrival.follows for arrival in arrivals(found)] == [-1, -1, 1], "batches of other ranks lie between"


blocks = st.lists(st.integers(0, 6), max_size=4)
media = st.sampled_from(["GPU", "CPU"])


class Accounting(RuleBasedStateMachine):
    """Stored minus removed, for each medium, by counters that know nothing else."""

    def __init__(self):
        super().__init__()
        self.residency = Residency()
        self.now_s = 0.0
        self.there = {"GPU": Counter(), "CPU": Counter()}
        self.away = set()
        self.back = 0

    def play(self, *events):
        self.now_s += 1.0
        self.residency.play(Batch(self.now_s, events), int(self.now_s))

    @rule(hashes=blocks, medium=media, after=st.none() | st.integers(0, 6))
    def store(self, hashes, medium, after):
        self.play(stored(*hashes, after=after, medium=medium))
        if medium == "GPU":
            self.back += len(self.away & set(hashes))
            self.away -= set(hashes)
        self.there[medium].update(hashes)

    @rule(hashes=blocks, medium=media)
    def remove(self, hashes, medium):
        self.play(removed(*hashes, medium=medium))
        for block in hashes:
            self.there[medium] -= Counter([block])
            if medium == "GPU" and not self.there[medium][block]:
                self.away.add(block)

    @rule()
    def clear(self):
        self.play(AllBlocksCleared())
        self.there["GPU"].clear()
        self.away.clear()

    @invariant()
    def resident_is_stored_minus_removed(self):
        for medium, counter in self.there.items():
            tier = self.residency.tiers[0, medium]
            assert {hash_: count for (_, hash_), (count, _) in tier.blocks.items()} == +counter

    @invariant()
    def every_return_is_counted_once(self):
        assert sum(int(arrival.came_back.sum()) for arrival in arrivals(self.residency)) == self.back

    @invariant()
    def moves_replay_to_what_is_resident(self):
        there = set()
        for move in self.residency.moves:
            if isinstance(move, Arrival):
                assert not there & set(move.blocks), "it arrives although it is there"
                there |= set(move.blocks)
            else:
                there = there - set(move.blocks) if move.blocks is not None else set()
        assert len(there) == len(self.residency.tiers[GPU].blocks)


TestAccounting = Accounting.TestCase


@given(st.lists(st.tuples(blocks, blocks), max_size=20))
def test_what_is_counted_adds_up(steps):
    tier = Residency.of(log(*([removed(*out), stored(*into)] for out, into in steps))).tiers[GPU]
    gone = tier.removed - tier.removed_unseen
    assert sum(count for count, _ in tier.blocks.values()) == tier.stored - gone
    assert len(tier.lifetimes_s) <= gone and tier.peak >= len(tier.blocks)
