"""Block tables: all or nothing, the hit cap, duplicates, and what happens when a hit is gone at allocation."""

import numpy as np
import pytest

from pagedkv.engine.requests import Request
from pagedkv.errors import PagedKVError
from tests.engine.build import MS, serve, table

NONE = np.zeros(0, np.int64)


def request(number, prompt, output=4, keys=NONE):
    return Request(number, number, 0, 0.0, prompt, output, np.asarray(keys, np.int64))


def manager(pool=9, **settings):
    kv = serve(table([{"prompt": 1, "output": 1}]), settings={"pool_blocks": pool, **settings}).kv
    kv.memory.begin(0)
    return kv


def run(kv, one, budget=1000):
    """Admit `one` as the scheduler does, and compute what was admitted."""
    tokens = kv.admit(one, budget)
    kv.register_filled(one, one.computed, one.computed + tokens)
    kv.memory.settle(MS)
    one.computed += tokens
    return tokens


def snapshot(kv):
    states, pool = kv.memory.tiers.states, kv.memory.tiers.pool
    return (states.count, pool.free_count, pool.available, pool.content.tolist(), states.references.tolist())


@pytest.mark.parametrize("prompt, hit", [(15, 0), (16, 0), (17, 1), (31, 1), (32, 1), (33, 2), (48, 2)])
def test_hit_is_capped_below_the_whole_prompt(prompt, hit):
    """A prompt of exactly k blocks hits k-1 of them: one token at least is computed to produce the next."""
    kv = manager()
    first = request(0, 48, keys=[0, 1, 2])
    run(kv, first)
    kv.release(first, finished=True, keep_table=False)
    assert kv.reusable(request(1, prompt, keys=[0, 1, 2])).tolist() == [0, 1, 2][:hit]


def test_no_hits_without_a_prefix_cache():
    kv = manager(prefix_cache=False)
    run(kv, request(0, 48, keys=[0, 1, 2]))
    assert len(kv.reusable(request(1, 48, keys=[0, 1, 2]))) == 0


def test_without_a_prefix_cache_every_block_is_free_at_once_and_the_last_one_reused_first():
    """Bug: full blocks stayed until they were evicted, which vLLM's free queue does not do."""
    kv = manager(prefix_cache=False)
    first, second = request(0, 48), request(1, 48)
    run(kv, first)
    kv.release(first, finished=True, keep_table=False)
    assert kv.memory.tiers.pool.free_count == 8
    run(kv, second)
    assert kv.memory.tiers.states.slot[second.contents].tolist() == [3, 2, 1]


def test_refused_admission_changes_nothing():
    """8 slots: the first request takes 5, so that the second one, with 1 hit and 4 new blocks, lacks one."""
    kv = manager()
    run(kv, request(0, 80, keys=[0]))
    before = snapshot(kv)
    second = request(1, 80, keys=[0])
    assert kv.admit(second, 1000) == 0
    assert snapshot(kv) == before
    assert (second.blocks, second.computed) == (0, 0)


def test_refused_extension_changes_nothing():
    kv = manager()
    one = request(0, 128)
    run(kv, one)
    before = snapshot(kv)
    assert not kv.extend(one, 1)
    assert snapshot(kv) == before
    assert one.blocks == 8


def test_idle_hits_do_not_count_as_room():
    """8 slots, all of them held by the idle blocks of a finished request of 8 blocks. A second one that hits 4 of
    them needs 4 more: exactly the other 4. A third one of 9 blocks must be refused: its hits are no room for it."""
    kv = manager()
    keys = list(range(8))
    one = request(0, 128, keys=keys)
    run(kv, one)
    kv.release(one, finished=True, keep_table=False)
    assert kv.admit(request(2, 144, keys=keys[:4]), 1000) == 0
    assert kv.admit(request(1, 128, keys=keys[:4]), 1000) == 64


def test_whole_prompt_is_reserved_for_unless_told_otherwise():
    kv = manager()
    run(kv, request(0, 80))
    assert kv.admit(request(1, 64), budget=16) == 0
    loose = manager(reserve_full_prompt=False)
    run(loose, request(0, 80))
    assert loose.admit(request(1, 64), budget=16) == 16


def test_a_hit_evicted_between_lookup_and_admission_is_a_clean_miss():
    kv = manager(host_blocks=0)
    one = request(0, 48, keys=[0, 1, 2])
    run(kv, one)
    kv.release(one, finished=True, keep_table=False)
    late = request(1, 49, keys=[0, 1, 2])
    assert len(kv.reusable(late)) == 3
    run(kv, request(2, 96))  # takes 5 free slots and evicts block 2, the last of the idle request
    assert kv.reusable(late).tolist() == [0, 1]
    kv.memory.tiers.assert_consistency()


def test_two_equal_prompts_in_one_step_share():
    """Blocks are registered when they are scheduled, so the second of two equal prompts hits the first's blocks."""
    kv = manager()
    first, second = request(0, 33, keys=[0, 1]), request(1, 33, keys=[0, 1])
    run(kv, first)
    assert run(kv, second) == 1
    assert second.contents[:2].tolist() == first.contents[:2].tolist()
    assert kv.memory.tiers.states.references[first.contents].tolist() == [2, 2, 1]


def test_partial_block_in_a_store_job_is_a_copy():
    """The job of the partial block's store must not follow the block table when the table changes."""
    kv = manager()
    one = request(0, 20)
    run(kv, one)
    kv.release(one, finished=False, keep_table=True)
    job = kv.memory.tiers.stores[-1]
    before = job.contents.tolist()
    one.truncate(1)
    one.append(np.array([77]))
    assert job.contents.tolist() == before == [1]


def test_new_blocks_take_free_slots_before_victims():
    """8 slots; an idle request of 2 blocks holds slots 1 and 2, 3 to 8 are free. A request of 7 blocks takes those in
    order, and then the slot of the first victim, the last block of the idle request: vLLM's free queue."""
    kv = manager(host_blocks=0)
    one = request(0, 32, keys=[0, 1])
    run(kv, one)
    kv.release(one, finished=True, keep_table=False)
    two = request(1, 112)
    run(kv, two)
    assert kv.memory.tiers.states.slot[two.contents].tolist() == [3, 4, 5, 6, 7, 8, 2]


def test_a_kept_table_ends_at_the_first_lost_block():
    """Swapped out without a host tier: block 2 of 3 is evicted, and with it all behind it has to be computed again."""
    kv = manager(host_blocks=0)
    one = request(0, 48)
    run(kv, one)
    kv.release(one, finished=False, keep_table=True)
    run(kv, request(1, 96))
    assert kv.reusable(one).tolist() == [0, 1]
    assert kv.memory.tiers.states.slot[one.contents].tolist() == [1, 2, -1]


def test_a_step_that_cannot_fit_says_so():
    tiers = manager(pool=4).memory.tiers
    tiers.create(tiers.states.new(3))
    with pytest.raises(PagedKVError, match="a step needs 1 more blocks, but only 0 of 3 are free"):
        tiers.create(tiers.states.new(1))
