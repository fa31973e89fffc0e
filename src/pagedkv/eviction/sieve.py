"""SIEVE: lazy promotion, quick demotion."""

from pagedkv.engine.ladder import Level
from pagedkv.eviction._hand import HandEviction
from pagedkv.eviction.registry import register


@register
class Sieve(HandEviction):
    """A hand goes from the oldest block to the newest and begins again. A block that was referenced since the hand last
    came by loses its bit and stays where it is; the first one without goes.

    Unlike CLOCK, survivors are not moved to the newest end, so that new blocks are judged soon. The hand passes over
    blocks that are in use or not allowed, and leaves their bits as they are.

    Level: I0. Cost: O(blocks that the hand passes), each at most twice an eviction. Source: Zhang et al., SIEVE is
    Simpler than LRU, NSDI 2024.
    """

    name = "sieve"
    level = Level.I0
    source = "Zhang et al., SIEVE is Simpler than LRU, NSDI 2024"
    turning = False
