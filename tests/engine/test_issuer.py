"""The issuer: what it drops, how much it starts, what it spares. A block takes 1 ms, a quantum is one block."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedkv.engine.address import Logical
from pagedkv.engine.issuer import IssuerSettings, merged
from pagedkv.engine.transfers import DEMAND
from pagedkv.prefetch.base import Fetch
from tests.engine.build import MS, calibration, put_on_host, toy_memory

NONE = np.zeros(0, np.int64)


class Bench:
    """An issuer with `slots` slots and two requests, 0 and 1, of 6 blocks each in host memory."""

    def __init__(self, slots=12, submit_s=0.0, **settings):
        self.tables = {}
        self.memory = toy_memory(
            slots + 1,
            space=Logical(lambda request: self.tables.get(request, NONE)),
            issuer=IssuerSettings(**{"quantum_blocks": 1, **settings}),
            calibration=calibration(submit_s=submit_s),
        )
        self.tiers, self.issuer = self.memory.tiers, self.memory.issuer
        self.tables.update({0: put_on_host(self.memory, 6), 1: put_on_host(self.memory, 6)})

    def resident(self, request):
        return np.flatnonzero(self.tiers.states.slot[self.tables[request]] >= 0).tolist()

    def make_resident(self, request, first, count):
        """Idle residents, at no cost of time or link."""
        contents = self.tables[request][first : first + count]
        self.tiers.pool.place(contents)
        self.tiers.states.layers[contents] = self.tiers.all_layers
        self.tiers.pool.offer(contents)

    def ask(self, *fetches, replace=True):
        self.issuer.accept(list(fetches), replace)

    def pump(self, milliseconds, step=0):
        """Let the link run for so long, then see what arrived."""
        device = self.tiers.device
        until = device.now_s + milliseconds * MS
        self.issuer.pump(until, step)
        device.advance_to(until)
        self.tiers.collect()


def test_only_absent_blocks_that_exist_are_loaded():
    bench = Bench()
    table = bench.tables[0]
    bench.make_resident(0, 0, 1)
    bench.tiers.load(table[1:2], DEMAND)
    bench.tiers.host.discard(table[2:3])
    bench.ask(Fetch(0, 0, 100), Fetch(7, 0, 3))
    bench.pump(100)
    counts = bench.issuer.counts
    assert bench.resident(0) == [0, 1, 3, 4, 5]
    assert (counts.proposed, counts.issued) == (103, 3)
    # Resident and lost blocks are dropped alike; blocks behind the table's end never existed.
    assert (counts.dropped_resident, counts.dropped_in_flight, counts.dropped_no_room) == (2, 1, 0)


def test_addresses_before_the_first_block_are_clipped():
    bench = Bench()
    bench.ask(Fetch(0, -3, 5), Fetch(1, -9, 4))
    bench.pump(100)
    assert (bench.resident(0), bench.resident(1)) == ([0, 1], [])


def test_loads_start_in_order_until_time_is_up():
    """In 2.5 ms three blocks can start; the third ends late. The rest stays queued and goes on where it stopped."""
    bench = Bench()
    bench.ask(Fetch(1, 4, 2), Fetch(0, 0, 6))
    bench.pump(2.5)
    assert (bench.resident(1), bench.resident(0)) == ([4, 5], [0])
    assert bench.tiers.loading_blocks == 1
    assert bench.issuer.queued_blocks == 5
    bench.pump(1.5)
    assert bench.resident(0) == [0, 1]


@pytest.mark.parametrize("share, started", [(0.0, 0), (0.25, 1), (0.5, 2), (1.0, 4)])
def test_link_share_limits_the_time_on_the_link(share, started):
    bench = Bench(link_share=share)
    bench.ask(Fetch(0, 0, 6))
    bench.pump(4)
    assert bench.issuer.counts.issued == started
    assert bench.issuer.counts.link_s == pytest.approx(started * MS)


def test_a_busy_link_has_no_time_for_prefetches():
    bench = Bench()
    bench.tiers.load(bench.tables[0], DEMAND)
    bench.ask(Fetch(1, 0, 6))
    bench.pump(6)
    assert bench.issuer.counts.issued == 0
    bench.pump(1)
    assert bench.resident(1) == [0]


def test_whole_quanta_start():
    """A quantum of 2 blocks takes 0.5 + 2 ms. In 3 ms two of them start: 5 ms, which a demand load has to wait for."""
    bench = Bench(quantum_blocks=2, submit_s=0.5 * MS)
    bench.ask(Fetch(0, 0, 6))
    bench.pump(3)
    assert bench.issuer.counts.issued == 4
    assert bench.tiers.device.h2d.free_at_s == pytest.approx(5 * MS)


def test_demand_overtakes_what_is_queued():
    bench = Bench()
    bench.ask(Fetch(0, 0, 6))
    bench.pump(2)
    done = bench.tiers.load(bench.tables[1][:1], DEMAND)
    assert done == pytest.approx(3 * MS), "two prefetches are done, four wait behind the demand load"


def test_cap_on_blocks_in_flight():
    bench = Bench(in_flight_cap_blocks=2)
    bench.ask(Fetch(0, 0, 6))
    bench.issuer.pump(1.0, 0)
    assert bench.tiers.loading_blocks == 2
    bench.pump(1)
    bench.issuer.pump(1.0, 0)
    assert bench.tiers.loading_blocks == 2
    assert bench.issuer.counts.issued == 3


def test_layers_are_loaded_as_pieces():
    bench = Bench()
    bench.ask(Fetch(0, 0, 4, layers=1))
    bench.pump(2)
    states = bench.tiers.states
    assert states.layers[bench.tables[0]].tolist() == [1, 1, 1, 1, 0, 0]
    assert not states.loading[bench.tables[0]].any()
    bench.ask(Fetch(0, 0, 4, layers=1))
    bench.pump(2)
    assert bench.issuer.counts.issued == 4, "what is there is not fetched again"


def test_blocks_of_the_running_step_are_never_victims():
    """4 slots, 3 of them pinned by request 1: one block of request 0 finds room, the next one none."""
    bench = Bench(slots=4)
    held = bench.tables[1][:3]
    bench.memory.begin(0)
    bench.memory.enter(1, held, NONE)
    bench.memory.reserve(held)
    bench.memory.settle(MS)
    bench.ask(Fetch(0, 0, 6))
    bench.pump(10)
    assert (bench.resident(1), bench.resident(0)) == ([0, 1, 2], [0])
    assert bench.issuer.counts.dropped_no_room == 5
    assert bench.issuer.idle, "without room there is nothing to do before something else happens"


def test_a_fetch_spares_what_is_due_earlier():
    """4 slots: 2 blocks of request 0, due at step 1, are there. Request 1, due at step 2, gets the 2 free ones only."""
    bench = Bench(slots=4)
    bench.make_resident(0, 0, 2)
    bench.ask(Fetch(0, 0, 2, due_step=1), Fetch(1, 0, 6, due_step=2))
    bench.pump(10)
    assert (bench.resident(0), bench.resident(1)) == ([0, 1], [0, 1])


def test_of_no_layers_nothing_is_loaded_and_what_is_there_is_spared():
    """As above, with 2 blocks of request 0 missing: they stay missing, and request 1 still gets the 2 free slots."""
    bench = Bench(slots=4)
    bench.make_resident(0, 0, 2)
    bench.ask(Fetch(0, 0, 4, due_step=1, layers=0), Fetch(1, 0, 6, due_step=2))
    bench.pump(10)
    assert (bench.resident(0), bench.resident(1)) == ([0, 1], [0, 1])


def test_without_a_due_step_idle_blocks_make_room():
    bench = Bench(slots=4)
    bench.make_resident(0, 0, 2)
    bench.ask(Fetch(0, 0, 2), Fetch(1, 0, 4))
    bench.pump(10)
    assert (bench.resident(0), bench.resident(1)) == ([], [0, 1, 2, 3])


def test_protection_lasts_until_the_next_answer():
    """As above, but the link moves one block between boundaries: what is due earlier is spared at each of them."""
    bench = Bench(slots=4)
    bench.make_resident(0, 0, 2)
    bench.ask(Fetch(0, 0, 2, due_step=1), Fetch(1, 0, 6, due_step=2))
    for _ in range(6):
        bench.pump(1)
    assert (bench.resident(0), bench.resident(1)) == ([0, 1], [0, 1])
    bench.ask(Fetch(1, 0, 6, due_step=2))
    bench.pump(10)
    assert (bench.resident(0), bench.resident(1)) == ([], [0, 1, 2, 3])


def test_a_fetch_does_not_evict_its_own_first_blocks():
    bench = Bench(slots=3)
    bench.ask(Fetch(0, 0, 6, due_step=1))
    for _ in range(8):
        bench.pump(1)
    assert bench.resident(0) == [0, 1, 2]
    assert bench.issuer.counts.issued == 3


def test_a_new_plan_cancels_what_left_it():
    bench = Bench()
    bench.ask(Fetch(0, 0, 6), Fetch(1, 0, 6))
    bench.ask(Fetch(1, 0, 3))
    assert bench.issuer.counts.cancelled == 6, "request 0 left the plan; request 1 is still in it"
    bench.pump(100)
    assert (bench.resident(0), bench.resident(1)) == ([], [0, 1, 2])
    bench.ask(Fetch(0, 0, 1), replace=False)
    bench.ask(Fetch(0, 3, 1), replace=False)
    bench.pump(100)
    assert bench.resident(0) == [0, 3], "without replacement both are kept"


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(1, 5), st.sampled_from([None, 3])), max_size=12
    )
)
def test_merging_keeps_blocks_and_their_order(requests):
    def mentioned(fetches):
        return list(dict.fromkeys((f.stream, b) for f in fetches for b in range(f.first, f.first + f.count)))

    fetches = [Fetch(stream, first, count, due) for stream, first, count, due in requests]
    once = merged(fetches)
    assert mentioned(once) == mentioned(fetches)
    assert [f for f in once if f.due_step] == [f for f in fetches if f.due_step], "fetches with a due step stay apart"
    for a, b in zip(once, once[1:], strict=False):
        if a.due_step is None and b.due_step is None and a.stream == b.stream:
            assert not a.first <= b.first <= a.first + a.count


def test_merging_by_hand():
    windows = [
        Fetch(0, 1, 4),
        Fetch(0, 2, 4),
        Fetch(0, 6, 1),
        Fetch(0, 9, 1),
        Fetch(1, 10, 1),
        Fetch(0, 10, 1, layers=1),
    ]
    assert merged(windows) == [Fetch(0, 1, 6), Fetch(0, 9, 1), Fetch(1, 10, 1), Fetch(0, 10, 1, layers=1)]


def test_a_block_in_flight_is_not_fetched_again_for_its_other_layers():
    bench = Bench()
    bench.ask(Fetch(0, 0, 4, layers=1))
    bench.issuer.pump(1.0, 0)
    bench.ask(Fetch(0, 0, 4))
    bench.issuer.pump(1.0, 0)
    assert bench.issuer.counts.issued == bench.tiers.loading_blocks == 4
    bench.tiers.assert_consistency()


def test_what_was_asked_for_first_is_given_up_first():
    """A policy that asks for more than the link can carry is served what it asked for last."""
    bench = Bench(queue_cap_blocks=3)
    bench.ask(Fetch(0, 0, 2), Fetch(0, 4, 2), replace=False)
    assert bench.issuer.queued_blocks == 2 and bench.issuer.counts.cancelled == 2
    bench.pump(100)
    assert bench.resident(0) == [4, 5] and bench.issuer.queued_blocks == 0


def test_small_fetches_share_a_submission_and_count_once():
    """Four single blocks, one of them asked for twice, in quanta of two: two submissions."""
    bench = Bench(submit_s=3 * MS, quantum_blocks=2)
    bench.ask(Fetch(0, 0), Fetch(1, 3), Fetch(0, 0), Fetch(0, 5), Fetch(1, 1), replace=False)
    bench.pump(100)
    assert (bench.resident(0), bench.resident(1)) == ([0, 5], [1, 3])
    assert bench.issuer.counts.dropped_in_flight == 1
    assert bench.tiers.device.h2d.busy_s == pytest.approx(2 * (3 + 2) * MS)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(1, 4)), max_size=12))
def test_the_queue_is_counted(asked):
    bench = Bench(slots=4)
    bench.ask(*(Fetch(*fetch) for fetch in asked), replace=False)
    while bench.issuer.queued_blocks and not bench.issuer.idle:
        assert bench.issuer.queued_blocks == blocks_in_queue(bench.issuer)
        bench.pump(2)
    assert bench.issuer.queued_blocks == blocks_in_queue(bench.issuer)


def blocks_in_queue(issuer):
    """Of the first fetch, what is left of it."""
    counts = [fetch.count for fetch in issuer._queue]
    if issuer._rest is not None:
        counts[0] = len(issuer._rest)
    return sum(counts)
