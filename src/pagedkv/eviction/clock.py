"""CLOCK: second chance."""

from pagedkv.engine.ladder import Level
from pagedkv.eviction._hand import HandEviction
from pagedkv.eviction.registry import register


@register
class Clock(HandEviction):
    """A hand goes round the blocks in the order in which they got their slots. A block that was referenced since the
    hand last came by loses its reference bit and stays; the first one without goes.

    A new block comes in right behind the hand, with its bit unset. The hand passes over blocks that are in use or not
    allowed, and leaves their bits as they are.

    Level: I0. Cost: O(blocks that the hand passes), each at most twice an eviction. Source: Corbato, A Paging
    Experiment with the Multics System, 1968.
    """

    name = "clock"
    level = Level.I0
    source = "Corbato, A Paging Experiment with the Multics System, 1968"
    turning = True
