"""KV cache events as vLLM 0.26 publishes them, and their JSON form.

vLLM sends a batch a step, as an array (ts, events, data_parallel_rank), and in 0.26 each event as a map with its kind
under `type`; older versions send an event as an array that begins with its kind. Both are read, from msgpack and from
JSON. Fields: `vllm/distributed/kv_events.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

GPU = "GPU"
"""The medium of the pool itself, and what an event without `medium` (vLLM before 0.10) means."""

BlockHash = int | str
"""Identity of a block: of its tokens behind their whole prefix. Bytes become hex, because JSON has none."""


@dataclass(frozen=True)
class BlockStored:
    """Blocks, one behind the other in a prefix, can be hit on `medium` from now on.

    `parent_block_hash`: the block before the first one, None at the root of a prefix. `block_size`: tokens a block, 0
    if vLLM does not say (its offloading connector by default). `rest`: fields that the report has no use for.
    """

    block_hashes: tuple[BlockHash, ...]
    parent_block_hash: BlockHash | None
    block_size: int
    medium: str = GPU
    group_idx: int = 0
    rest: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BlockRemoved:
    """Blocks are no longer on `medium`."""

    block_hashes: tuple[BlockHash, ...]
    medium: str = GPU
    group_idx: int = 0
    rest: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AllBlocksCleared:
    """The prefix cache of the GPU was reset: what it held must not be used again."""


Event = BlockStored | BlockRemoved | AllBlocksCleared

KINDS = {kind.__name__: kind for kind in (BlockStored, BlockRemoved, AllBlocksCleared)}

_POSITIONS = {
    "BlockStored": ("block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium", "lora_name"),
    "BlockRemoved": ("block_hashes", "medium"),
    "AllBlocksCleared": (),
}
"""Order of the fields where an event is an array."""

_CONTENT = ("token_ids", "extra_keys")
"""What users typed, and salts: an event log that leaves the deployment need not hold it."""


@dataclass(frozen=True)
class Batch:
    """The events of one step. `seq`: its number among those of its rank, None where the log does not hold it."""

    ts: float
    events: tuple[Event, ...]
    rank: int = 0
    seq: int | None = None


def batch_from(raw: Any, seq: int | None = None) -> Batch:
    """A batch from what a decoder made of msgpack or JSON: a map, or vLLM's array. ValueError says what is wrong."""
    if isinstance(raw, list):
        if not 2 <= len(raw) <= 3:
            raise ValueError(f"a batch is [ts, events, rank], not an array of {len(raw)}")
        raw = dict(zip(("ts", "events", "rank"), raw, strict=False))
    if not isinstance(raw, dict):
        raise ValueError("not a batch of events")
    ts, events = _need(raw, "ts", "batch"), _need(raw, "events", "batch")
    if isinstance(ts, bool) or not isinstance(ts, int | float) or not abs(ts) < float("inf"):
        raise ValueError(f"ts is {ts!r}, not a time in seconds")
    if not isinstance(events, list):
        raise ValueError("events is not a list")
    rank = raw.get("rank", raw.get("data_parallel_rank"))
    number = raw.get("seq", seq)
    return Batch(
        float(ts),
        tuple(_event_from(event) for event in events),
        0 if rank is None else _number("rank", rank),
        None if number is None else _number("seq", number),
    )


def batch_to(batch: Batch, content: bool = False) -> dict[str, Any]:
    """The JSON form of a batch. `content`: with the token ids and salts that it came with."""
    raw: dict[str, Any] = {} if batch.seq is None else {"seq": batch.seq}
    return {**raw, "ts": batch.ts, "rank": batch.rank, "events": [_event_to(event, content) for event in batch.events]}


def _event_to(event: Event, content: bool) -> dict[str, Any]:
    raw = {"type": type(event).__name__, **vars(event)}
    rest = raw.pop("rest", {})
    return raw | {name: value for name, value in rest.items() if content or name not in _CONTENT}


def _event_from(raw: Any) -> Event:
    if isinstance(raw, list) and raw and isinstance(raw[0], str):
        names = _POSITIONS.get(raw[0], ())
        raw = {"type": raw[0], **dict(zip(names, raw[1:], strict=False))}
    if not isinstance(raw, dict):
        raise ValueError(f"an event is a map or an array, not {type(raw).__name__}")
    fields = dict(raw)
    kind = fields.pop("type", None)
    if kind not in KINDS:
        raise ValueError(f"unknown event {kind!r}; known are {', '.join(KINDS)}")
    if kind == "AllBlocksCleared":
        return AllBlocksCleared()
    hashes = _need(fields, "block_hashes", kind)
    if not isinstance(hashes, list | tuple):
        raise ValueError(f"{kind}: block_hashes is not a list")
    common = {
        "block_hashes": tuple(_hash(value) for value in hashes),
        "medium": _medium(fields.get("medium")),
        "group_idx": _number("group_idx", fields.get("group_idx") or 0),
    }
    if kind == "BlockStored":
        parent = _need(fields, "parent_block_hash", kind)
        common["parent_block_hash"] = None if parent is None else _hash(parent)
        common["block_size"] = _number("block_size", _need(fields, "block_size", kind))
    rest = {name: _plain(value) for name, value in fields.items() if name not in common and value is not None}
    return KINDS[kind](**common, rest=rest)


def _need(raw: dict[str, Any], name: str, what: str) -> Any:
    if name not in raw:
        raise ValueError(f"{what}: field '{name}' is missing")
    return raw[name]


def _number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is {value!r}, not a number from 0 on")
    return value


def _medium(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"medium is {value!r}, not a name")
    return value or GPU


def _hash(value: Any) -> BlockHash:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is no block hash")
    return value


def _plain(value: Any) -> Any:
    """A value that JSON can hold: bytes, which salts and keys may be, as hex."""
    if isinstance(value, bytes):
        return value.hex()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
