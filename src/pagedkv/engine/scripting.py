"""Turns a trace into a script: run-length reads and block tables become events."""

from __future__ import annotations

import numpy as np

from pagedkv.engine.script import NEVER, Enter, Leave, Script, StepEvents, Turn
from pagedkv.errors import PagedKVError
from pagedkv.geometry import BLOCK_TOKENS
from pagedkv.trace.extents import expand
from pagedkv.trace.schema import Event, PlanDelta, Trace

_NONE = np.zeros(0, np.int64)


def build_script(trace: Trace) -> Script:
    """Turn run-length reads and block tables into events. Raises PagedKVError on a trace that contradicts itself."""
    steps = len(trace.steps["step"])
    if steps == 0:
        raise PagedKVError(f"trace of scenario '{trace.header.get('scenario')}' has no steps")
    events: dict[int, StepEvents] = {}
    tables = block_tables(trace)
    created_step = _created_steps(trace)
    _add_requests(trace, tables, created_step, events, steps)
    _add_creations(created_step, events)
    _add_queue(trace, events)
    _add_finished(trace, events, steps)
    _order_leaves(trace, events)
    entries = _order_entries(events)
    first_use = _link_uses(entries, events, len(created_step))
    return Script(
        compute_s=trace.steps["compute_us"] * 1e-6,
        idle_s=trace.steps["idle_us"] * 1e-6,
        events=events,
        event_steps=np.array(sorted(events), np.int64),
        contents=len(created_step),
        created_step=created_step,
        first_use=first_use,
        entries=entries,
        largest_read_set=int(trace.header["largest_read_set_blocks"]),
        pool_blocks=int(trace.header.get("pool_blocks", 0)),
        runs=_runs(trace),
        table_rows={request: table.rows for request, table in tables.items()},
        turns=_turns(trace),
    )


def _runs(trace: Trace) -> dict[int, list[tuple[int, int, int, int]]]:
    reads = trace.reads
    order = np.lexsort((reads["step"], reads["request"]))
    names = ("request", "step", "steps", "computed_tokens", "scheduled_tokens")
    runs: dict[int, list[tuple[int, int, int, int]]] = {}
    for request, *run in zip(*(reads[name][order].tolist() for name in names), strict=True):
        runs.setdefault(request, []).append(tuple(run))
    return runs


def _at(events: dict[int, StepEvents], step: int) -> StepEvents:
    return events.setdefault(step, StepEvents())


def _created_steps(trace: Trace) -> np.ndarray:
    """Contents are numbered in order of creation: each is created by the first table row that names it."""
    rows = trace.tables
    contents = expand(rows["first_content"], rows["blocks"].astype(np.int64))
    if len(contents) == 0:
        return _NONE
    created = np.full(int(contents.max()) + 1, NEVER, np.int64)
    np.minimum.at(created, contents, np.repeat(rows["step"], rows["blocks"]))
    if (created == NEVER).any():
        raise PagedKVError(f"trace: content {int(np.argmax(created == NEVER))} is in no block table")
    return created


class BlockTable:
    """A request's block table over time: rows in order of step."""

    def __init__(self, rows: list[tuple[int, int, int, int]] | None = None) -> None:
        self.rows = [] if rows is None else rows  # step, first block, blocks, first content
        self.contents = np.full(16, -1, np.int64)
        self.blocks = 0
        self._next = 0

    def advance(self, step: int) -> None:
        """Apply the rows up to and including `step`."""
        while self._next < len(self.rows) and self.rows[self._next][0] <= step:
            _, first, count, content = self.rows[self._next]
            self._next += 1
            if first + count > len(self.contents):
                grown = np.full(2 * (first + count), -1, np.int64)
                grown[: len(self.contents)] = self.contents
                self.contents = grown
            self.contents[first : first + count] = np.arange(content, content + count)
            self.blocks = first + count


def block_tables(trace: Trace) -> dict[int, BlockTable]:
    tables: dict[int, BlockTable] = {}
    rows = trace.tables
    columns = (rows[name].tolist() for name in ("request", "step", "first_block", "blocks", "first_content"))
    for request, step, first, count, content in zip(*columns, strict=True):
        tables.setdefault(request, BlockTable()).rows.append((step, first, count, content))
    return tables


def _add_requests(
    trace: Trace, tables: dict[int, BlockTable], created: np.ndarray, events: dict[int, StepEvents], steps: int
) -> None:
    """Enters, leaves and fills of every request. Consecutive runs of one request are one stay in the batch."""
    reads = trace.reads
    order = np.lexsort((reads["step"], reads["request"]))
    names = ("request", "step", "steps", "rank", "computed_tokens", "scheduled_tokens")
    columns = zip(*(reads[name][order].tolist() for name in names), strict=True)
    goals = dict(zip(trace.requests["request"].tolist(), _final_tokens(trace), strict=True))
    given_up = trace.events["request"][trace.events["kind"] == Event.ABORT]
    goals |= dict.fromkeys(given_up.tolist(), 0)
    request, end, rank, done = -1, -1, -1, 0
    filled: dict[int, list[tuple[int, np.ndarray]]] = {}
    for owner, step, length, run_rank, computed, tokens in columns:
        if owner not in tables:
            raise PagedKVError(f"trace: request {owner} reads at step {step}, but has no block table")
        if owner != request or step != end or run_rank != rank:
            leave = _leave(tables[request], request, end, done, goals, events, steps) if request >= 0 else None
            enter = _enter(tables[owner], owner, step, run_rank, computed, created, events)
            if leave is not None and owner == request:
                # A request that gave its table up computes its partial block again, as another content.
                leave.finished = not np.isin(leave.partial, enter.contents).all()
        tables[owner].advance(step + length - 1)
        _fills(tables[owner], step, length, run_rank, computed, tokens, filled)
        request, end, rank, done = owner, step + length, run_rank, computed + length * tokens
    if request >= 0:
        _leave(tables[request], request, end, done, goals, events, steps)
    for step, parts in filled.items():
        parts.sort(key=lambda part: part[0])
        _at(events, step).filled = np.concatenate([contents for _, contents in parts])


def _final_tokens(trace: Trace) -> list[int]:
    """Tokens that a finished request has computed: the last token produced never is."""
    return (trace.requests["prompt_tokens"].astype(np.int64) + trace.requests["output_tokens"] - 1).tolist()


def _enter(
    table: BlockTable,
    request: int,
    step: int,
    rank: int,
    computed: int,
    created: np.ndarray,
    events: dict[int, StepEvents],
) -> Enter:
    table.advance(step)
    contents = table.contents[: -(-computed // BLOCK_TOKENS)].copy()
    existing, fresh = contents[created[contents] < step], contents[created[contents] == step]
    if len(fresh):
        _at(events, step).joined.append(fresh)
    last = computed // BLOCK_TOKENS
    partial = table.contents[last : last + 1].copy() if computed % BLOCK_TOKENS else _NONE
    enter = Enter(request, existing, partial, rank)
    _at(events, step).enters.append(enter)
    return enter


def _leave(
    table: BlockTable,
    request: int,
    step: int,
    computed: int,
    goals: dict[int, int],
    events: dict[int, StepEvents],
    steps: int,
) -> Leave | None:
    if step >= steps:
        return None
    contents = table.contents[: -(-computed // BLOCK_TOKENS)].copy()
    partial = contents[-1:] if computed % BLOCK_TOKENS else _NONE
    finished = computed >= goals.get(request, int(NEVER))
    leave = Leave(request, contents, partial, finished)
    _at(events, step).leaves.append(leave)
    return leave


def _fills(
    table: BlockTable,
    step: int,
    length: int,
    rank: int,
    computed: int,
    tokens: int,
    filled: dict[int, list[tuple[int, np.ndarray]]],
) -> None:
    first, last = computed // BLOCK_TOKENS, (computed + length * tokens) // BLOCK_TOKENS
    if last <= first:
        return
    blocks = np.arange(first, last)
    at = step + -(-(BLOCK_TOKENS * (blocks + 1) - computed) // tokens) - 1
    edges = np.flatnonzero(np.diff(at, prepend=-1)).tolist() + [len(at)]
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        contents = table.contents[first + low : first + high].copy()
        filled.setdefault(int(at[low]), []).append((rank, contents))


def _add_creations(created: np.ndarray, events: dict[int, StepEvents]) -> None:
    """Contents are numbered in order of creation, so those of one step are consecutive."""
    edges = np.flatnonzero(np.diff(created, prepend=-1)).tolist() + [len(created)]
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        _at(events, int(created[low])).created = np.arange(low, high)


def _add_queue(trace: Trace, events: dict[int, StepEvents]) -> None:
    rows = trace.plans
    wanted = {int(PlanDelta.QUEUE_BACK), int(PlanDelta.QUEUE_FRONT), int(PlanDelta.LEAVE_QUEUE)}
    for step, request, kind in zip(rows["step"].tolist(), rows["request"].tolist(), rows["kind"].tolist(), strict=True):
        if kind in wanted:
            _at(events, step).queue.append((kind, request))


def _add_finished(trace: Trace, events: dict[int, StepEvents], steps: int) -> None:
    rows = trace.events
    which = np.flatnonzero((rows["kind"] == Event.FINISH) & (rows["step"] < steps))
    for step, request in zip(rows["step"][which].tolist(), rows["request"][which].tolist(), strict=True):
        _at(events, step).finished.append(request)


def _turns(trace: Trace) -> dict[int, Turn]:
    rows, events = trace.requests, trace.events
    arrived = events["kind"] == Event.ARRIVAL
    arrival_step = dict(zip(events["request"][arrived].tolist(), events["step"][arrived].tolist(), strict=True))
    order = np.lexsort((rows["turn"], rows["session"]))
    names = ("request", "session", "turn", "prompt_tokens", "output_tokens")
    request, session, turn, prompt, output = (rows[name][order].tolist() for name in names)
    turns = {}
    for n, number in enumerate(request):
        last = n + 1 == len(request) or session[n + 1] != session[n]
        following = None if last else request[n + 1]
        turns[number] = Turn(session[n], turn[n], prompt[n], output[n], following, arrival_step.get(number))
    return turns


def _order_leaves(trace: Trace, events: dict[int, StepEvents]) -> None:
    """As the recorded scheduler let them go (finished, given up, rotated out, preempted): the order of eviction."""
    rows, kinds = trace.events, (Event.FINISH, Event.ABORT, Event.ROTATE, Event.PREEMPT)
    which = np.flatnonzero(np.isin(rows["kind"], kinds))
    pairs = zip(rows["step"][which].tolist(), rows["request"][which].tolist(), strict=True)
    order = {pair: position for position, pair in enumerate(pairs)}
    for step, at in events.items():
        at.leaves.sort(key=lambda leave: order.get((step, leave.request), len(order)))


def _order_entries(events: dict[int, StepEvents]) -> list[tuple[int, int, np.ndarray]]:
    entries = []
    for step in sorted(events):
        events[step].enters.sort(key=lambda enter: enter.rank)
        entries.extend((step, enter.request, enter.contents) for enter in events[step].enters)
    return entries


def _link_uses(entries: list[tuple[int, int, np.ndarray]], events: dict[int, StepEvents], contents: int) -> np.ndarray:
    """Set `next_use` of every entry, going backwards; what remains at the front is each content's first use."""
    upcoming = np.full(contents, NEVER, np.int64)
    for step in sorted(events, reverse=True):
        enters = events[step].enters
        for enter in enters:
            enter.next_use = upcoming[enter.contents]
        for enter in enters:
            upcoming[enter.contents] = step
    return upcoming
