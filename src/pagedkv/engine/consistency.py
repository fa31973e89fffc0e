"""What must hold at every boundary of a closed loop; looked at in tests."""

from __future__ import annotations

from pagedkv.engine.scheduler import Scheduler


def assert_queues(scheduler: Scheduler) -> None:
    """Every live request is in exactly one queue, and exactly the admitted ones hold blocks by reference."""
    everyone = [*scheduler.waiting, *scheduler.running, *scheduler.loading]
    numbers = [request.number for request in everyone]
    assert len(set(numbers)) == len(numbers), "a request is in two queues"
    admitted = len(scheduler.running) + len(scheduler.loading)
    assert admitted <= scheduler.settings.max_num_seqs, "too many requests are admitted"
    held: dict[int, int] = {}
    for request in [*scheduler.running, *scheduler.loading]:
        for content in request.contents.tolist():
            held[content] = held.get(content, 0) + 1
    references = scheduler.kv.memory.tiers.states.references
    assert int(references.sum()) == sum(held.values()), "references and block tables disagree"
    assert all(references[content] == count for content, count in held.items()), "a block is counted wrongly"
