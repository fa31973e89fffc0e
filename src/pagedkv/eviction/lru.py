"""Least recently used."""

from pagedkv.engine.ladder import Level
from pagedkv.eviction.base import QueueEviction
from pagedkv.eviction.registry import register


@register
class Lru(QueueEviction):
    """Evict the block that has been out of use for longest; of one request, its last block first.

    This is also vLLM's free queue among cached blocks (`vllm_free_queue`: blocks join at the tail when their last
    running reader leaves, in reverse order, and are taken from the head).

    Level: I0. Cost: O(victims). Source: the classic policy; vLLM `FreeKVCacheBlockQueue` for the tie rule.
    """

    name = "lru"
    level = Level.I0
    source = "classic; vLLM FreeKVCacheBlockQueue for the tie rule"
