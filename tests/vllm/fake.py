"""A scheduler without vLLM that puts out what a test says, through the methods that the recorder watches."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class FakePool:
    """Hands out the lowest slots; those in `cached` are evicted when they are handed out."""

    def __init__(self, slots: int) -> None:
        self.num_gpu_blocks = slots
        self.free = list(range(1, slots))
        self.cached: set[int] = set()

    def get_num_free_blocks(self) -> int:
        return len(self.free)

    def get_new_blocks(self, count: int) -> list[Any]:
        blocks = [SimpleNamespace(block_id=self.free.pop(0)) for _ in range(count)]
        for block in blocks:
            self._maybe_evict_cached_block(block)
        return blocks

    def _maybe_evict_cached_block(self, block: Any) -> bool:
        found = block.block_id in self.cached
        self.cached.discard(block.block_id)
        return found


class FakeManager:
    def __init__(self, slots: int) -> None:
        self.block_pool = FakePool(slots)

    def allocate_slots(self, request: Any, count: int) -> list[int]:
        return [block.block_id for block in self.block_pool.get_new_blocks(count)]


class FakeScheduler:
    """`script` holds the outputs of `schedule` to come; each may be a function that makes one."""

    connector = None

    def __init__(self, slots: int = 20) -> None:
        self.kv_cache_manager = FakeManager(slots)
        self.waiting: list[Any] = []
        self.script: list[Any] = []
        self.finished: list[Any] = []

    def add_request(self, request: Any) -> None:
        self.waiting.append(request)

    def finish_requests(self, names: Any, status: Any) -> None:
        self.finished.append((names, status))

    def schedule(self) -> Any:
        said = self.script.pop(0)
        return said() if callable(said) else said

    def update_from_output(self, output: Any, result: Any) -> Any:
        outputs = [SimpleNamespace(request_id=name, finish_reason=0) for name in result.finish]
        return {0: SimpleNamespace(outputs=outputs)}

    # ------------------------------------------------------------ what tests say
    def blocks(self, name: str, count: int) -> list[int]:
        """New slots for a request."""
        return self.kv_cache_manager.allocate_slots(named(name), count)


def named(name: str) -> Any:
    return SimpleNamespace(request_id=name)


def output(
    tokens: dict[str, int],
    new: dict[str, tuple[int, list[int]]] | None = None,
    going: dict[str, tuple[int, list[int]]] | None = None,
    preempted: tuple[str, ...] = (),
    copies: Any = None,
) -> Any:
    """A `SchedulerOutput`. `new` and `going`: tokens computed before, and slots; `tokens` are in batch order."""
    going = going or {}
    return SimpleNamespace(
        num_scheduled_tokens=tokens,
        total_num_scheduled_tokens=sum(tokens.values()),
        scheduled_new_reqs=[
            SimpleNamespace(req_id=name, num_computed_tokens=done, block_ids=(slots,))
            for name, (done, slots) in (new or {}).items()
        ],
        scheduled_cached_reqs=SimpleNamespace(
            req_ids=list(going),
            new_block_ids=[(slots,) if slots else None for _, slots in going.values()],
            num_computed_tokens=[done for done, _ in going.values()],
            resumed_req_ids=set(),
        ),
        preempted_req_ids=set(preempted),
        kv_connector_metadata=copies,
    )


def result(*finish: str, copied: tuple[int, ...] = ()) -> Any:
    """What the model says; `finish`: requests that end by it; `copied`: jobs that are complete."""
    worker = SimpleNamespace(completed_jobs=dict.fromkeys(copied, 1))
    return SimpleNamespace(finish=finish, kv_connector_output=SimpleNamespace(kv_connector_worker_meta=worker))
