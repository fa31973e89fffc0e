"""Event logs for tests: strategies of any, and short ways to write down small ones."""

from __future__ import annotations

from hypothesis import strategies as st

from pagedkv.kv_events.events import GPU, AllBlocksCleared, Batch, BlockRemoved, BlockStored, Event

hashes = st.one_of(st.integers(0, 2**64 - 1), st.binary(min_size=1, max_size=4).map(bytes.hex))
media = st.sampled_from(["GPU", "CPU", "FS"])
rest = st.dictionaries(
    st.sampled_from(["lora_id", "lora_name", "locality", "token_ids"]), st.integers(0, 9), max_size=2
)
groups = st.integers(0, 3)


def _stored() -> st.SearchStrategy[Event]:
    several = st.lists(hashes, max_size=4).map(tuple)
    return st.builds(BlockStored, several, st.none() | hashes, st.integers(0, 64), media, groups, rest)


def _removed() -> st.SearchStrategy[Event]:
    return st.builds(BlockRemoved, st.lists(hashes, max_size=4).map(tuple), media, groups, rest)


def batches() -> st.SearchStrategy[Batch]:
    """Any batch."""
    events = st.lists(st.one_of(_stored(), _removed(), st.just(AllBlocksCleared())), max_size=4).map(tuple)
    times = st.floats(-1e9, 1e9, allow_nan=False)
    return st.builds(Batch, times, events, st.integers(0, 3), st.none() | st.integers(0, 2**63))


def stored(*blocks: int, after: int | None = None, medium: str = GPU, size: int = 16) -> BlockStored:
    return BlockStored(blocks, after, size, medium)


def removed(*blocks: int, medium: str = GPU) -> BlockRemoved:
    return BlockRemoved(blocks, medium)


def log(*steps: list[Event], every_s: float = 1.0, rank: int = 0) -> list[Batch]:
    """One batch a step, the first at time 0."""
    return [Batch(every_s * n, tuple(events), rank, n) for n, events in enumerate(steps)]
