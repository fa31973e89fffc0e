"""vLLM whole on a GPU: what can be said of it without one."""

import pytest

from pagedkv.errors import PagedKVError
from pagedkv.vllm.live import SkippingClock, open_llm
from pagedkv.vllm.settings import VllmSettings
from tests.engine.build import TINY
from tests.vllm.runs import engine


def test_a_request_of_the_longest_length_has_to_fit_the_pool(tmp_path):
    settings = engine(pool_blocks=100, max_model_len=1601)
    with pytest.raises(PagedKVError, match="max_model_len, 1601 tokens; 100 blocks hold 1600"):
        open_llm(TINY, settings, VllmSettings(), tmp_path)


def test_time_without_work_is_skipped():
    clock = SkippingClock()
    before = clock.now_s()
    clock.skip(1000.0)
    assert 1000.0 <= clock.now_s() - before < 1060.0
