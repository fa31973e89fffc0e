"""SplitMix64 on arrays."""

import numpy as np

from pagedkv.mix import splitmix64


def test_the_sequence_is_the_published_one():
    golden = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + step * golden) % 2**64 for step in range(3)], np.uint64)
    assert splitmix64(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert states[0] == 1234567, "the argument stays as it is"
