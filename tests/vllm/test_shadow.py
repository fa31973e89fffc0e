"""The shadow notices whatever makes a read find other tokens than it should."""

import numpy as np
import pytest

from pagedkv.engine.transfers import LOAD, STORE
from pagedkv.errors import PagedKVError
from pagedkv.vllm.shadow import Shadow, fingerprints
from pagedkv.vllm.transfer import Copy

TOKENS = {0: np.arange(100), 1: np.arange(100) + 7, 2: np.arange(100)}


def shadow(**options):
    return Shadow(20, TOKENS.__getitem__, **options)


def prefilled():
    """Request 0 has computed 40 tokens in slots 5, 3 and 9."""
    made = shadow()
    made.step(0, [5, 3, 9], 0, 40)
    return made


def test_a_fingerprint_is_of_the_whole_prefix():
    one, other = fingerprints(np.array([1, 2, 3, 4])), fingerprints(np.array([9, 2, 3, 4]))
    assert (one != other).all()
    assert len(np.unique(np.concatenate([one, other]))) == 8
    assert np.array_equal(fingerprints(np.array([1, 2])), one[:2])


def test_order_counts():
    one, other = fingerprints(np.array([1, 2, 3])), fingerprints(np.array([2, 1, 3]))
    assert one[1] != other[1] and one[2] != other[2]


def test_what_was_written_is_found_again_by_every_request_of_the_same_tokens():
    made = prefilled()
    made.step(0, [5, 3, 9], 40, 1)
    made.step(2, [5, 3, 11], 32, 9)
    assert made.reads == 9 and made.wrong == 0


def test_table_entries_that_are_swapped_are_noticed():
    with pytest.raises(PagedKVError, match="request 0: slot 3, its block 0, does not hold its token 0"):
        prefilled().step(0, [3, 5, 9], 40, 1)


def test_a_slot_that_another_request_has_written_over_is_noticed():
    made = prefilled()
    made.step(1, [3], 0, 16)
    with pytest.raises(PagedKVError, match="slot 3, its block 1, does not hold its token 16"):
        made.step(0, [5, 3, 9], 40, 1)


def test_one_token_too_few_is_noticed():
    with pytest.raises(PagedKVError, match="slot 9, its block 2, does not hold its token 40"):
        prefilled().step(0, [5, 3, 9], 41, 1)


def test_wrong_blocks_are_counted_where_they_are_tolerated():
    made = shadow(tolerated=True)
    made.step(0, [5, 3, 9], 0, 40)
    made.step(0, [3, 5, 9], 40, 1)
    made.step(0, [3, 5, 9], 41, 1)
    assert made.wrong == 4 and made.reads == 9
    assert made.first_wrong == "request 0: slot 3, its block 0, does not hold its token 0"


def test_what_was_stored_comes_back_in_another_slot():
    made = prefilled()
    made.submit(Copy(1, STORE, [5, 3], [70, 71]))
    made.complete(1)
    made.step(1, [5], 0, 16)
    made.submit(Copy(2, LOAD, [8, 2], [70, 71]))
    made.complete(2)
    made.step(2, [8, 2, 4], 32, 3)
    assert made.wrong == 0


def stored():
    made = prefilled()
    made.submit(Copy(1, STORE, [5, 3], [70, 71]))
    made.complete(1)
    return made


def test_a_load_that_has_not_come_yet_is_noticed():
    made = stored()
    made.submit(Copy(2, LOAD, [8, 2], [70, 71]))
    with pytest.raises(PagedKVError, match="slot 8, its block 0"):
        made.step(2, [8, 2, 4], 32, 3)


def test_loads_into_swapped_slots_are_noticed():
    made = stored()
    made.submit(Copy(2, LOAD, [2, 8], [70, 71]))
    made.complete(2)
    with pytest.raises(PagedKVError, match="slot 8, its block 0"):
        made.step(2, [8, 2, 4], 32, 3)


def test_a_load_of_what_was_never_stored_is_noticed():
    with pytest.raises(PagedKVError, match="copy 2: nothing was stored in slot 72"):
        stored().submit(Copy(2, LOAD, [8], [72]))


def test_a_slot_that_is_written_over_while_it_is_stored_is_noticed():
    made = prefilled()
    made.submit(Copy(1, STORE, [5, 3], [70, 71]))
    made.step(1, [3], 0, 16)
    with pytest.raises(PagedKVError, match="copy 1: a slot that it read was written over"):
        made.complete(1)


def test_a_host_slot_that_is_written_over_while_it_is_loaded_is_noticed():
    made = stored()
    made.submit(Copy(2, LOAD, [8, 2], [70, 71]))
    made.submit(Copy(3, STORE, [9], [71]))
    made.complete(3)
    with pytest.raises(PagedKVError, match="copy 2: a slot that it read was written over"):
        made.complete(2)


def test_a_request_that_left_is_forgotten():
    made = prefilled()
    made.leave(0)
    made.leave(0)
    made.step(0, [5, 3, 9], 40, 1)
