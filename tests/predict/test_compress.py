"""Compressibility tells order from disorder."""

import math

import numpy as np

from pagedkv.predict.compress import compressed_bits


def test_a_run_is_cheap_and_noise_is_not():
    assert compressed_bits(np.arange(20_000)) < 0.2
    noise = np.random.default_rng(1).integers(0, 1 << 12, 20_000)
    assert compressed_bits(noise) > 11
    assert math.isnan(compressed_bits(np.zeros(0, np.int64)))
