"""The public traces themselves: skipped where they are not at hand. Figures: workload notes, sections 1-5."""

import time

import numpy as np
import pytest

from pagedkv.workload import azure, kv_cache_tester, mooncake
from pagedkv.workload.statistics import dispersion, infinite_hit, lru_hit, prompt_pieces, return_gaps_s

QUANTILES = (5, 25, 50, 75, 90, 95, 99)


@pytest.mark.parametrize(
    "file, requests, dispersions, prompts, outputs",
    [
        ("code", 8819, (13.2, 71.6, 164.0), (75, 578, 1469, 2744, 5188, 7303, 7436), (6, 9, 13, 24, 55, 90, 251)),
        # The notes say 20.6 at 60 s: they count the last, partial minute, too.
        ("conv", 19366, (1.4, 3.9, 16.1), (181, 396, 1020, 1189, 2734, 4083, 4142), (41, 85, 129, 395, 424, 451, 601)),
    ],
)
def test_azure(public, file, requests, dispersions, prompts, outputs):
    path = public(f"AzureLLMInferenceTrace_{file}.csv")
    before = time.perf_counter()
    table = azure.read(path)
    assert time.perf_counter() - before < 1
    assert len(table) == requests
    for bin_s, target in zip((1, 10, 60), dispersions, strict=True):
        assert dispersion(table.arrival_s, bin_s) == pytest.approx(target, abs=0.06)
    np.testing.assert_allclose(np.percentile(table.prompt_tokens, QUANTILES), prompts, atol=1)
    np.testing.assert_allclose(np.percentile(table.output_tokens, QUANTILES), outputs, atol=1)


@pytest.mark.parametrize(
    "file, tick_s, common, requests, hit, lru, gaps",
    [
        ("conversation", 3, 1, 12031, 0.366, (0.112, 0.212, 0.288, 0.355), (30, 66, 123, 264, 483, 615, 1477)),
        ("synthetic", 0, 0, 3993, 0.640, (0.279, 0.424, 0.572, 0.640), None),
    ],
)
def test_mooncake(public, file, tick_s, common, requests, hit, lru, gaps):
    table = mooncake.read(public(f"{file}_trace.jsonl.gz"), tick_s=tick_s)
    pieces = prompt_pieces(table)
    assert len(table) == requests
    assert infinite_hit(pieces) == pytest.approx(hit, abs=5e-4)
    for capacity, target in zip((5_000, 10_000, 20_000, 50_000), lru, strict=True):
        assert lru_hit(pieces, capacity) == pytest.approx(target, abs=1e-3)  # ticks are spread by another draw
    if gaps:
        found = np.percentile(return_gaps_s(table.arrival_s, pieces, common), QUANTILES)
        np.testing.assert_allclose(found, gaps, rtol=0.02)


def test_kv_cache_tester(public):
    table = kv_cache_tester.read(public("traces_0001-0300.tar.xz"), limit=100)
    assert table.session.max() + 1 == 100
    assert table.turn.max() > 100
    assert 0.94 < infinite_hit(prompt_pieces(table, coarser=8)) < 0.97
    pauses = table.pause_s[table.turn > 0]
    np.testing.assert_allclose(np.percentile(pauses, (25, 50, 75)), (6.6, 11, 26), rtol=0.20)


@pytest.mark.long
def test_kv_cache_tester_whole(public):
    table = kv_cache_tester.read(public("traces_0001-0300.tar.xz"))
    assert (len(table), int(table.session.max()) + 1) == (16901, 292)
    lengths = (37254, 75558, 109174, 138205, 237822, 359143, 641703)
    np.testing.assert_allclose(np.percentile(table.prompt_tokens, QUANTILES), lengths, atol=1)
    assert infinite_hit(prompt_pieces(table, coarser=8)) == pytest.approx(0.957, abs=1e-3)
