"""What a workload looks like: burstiness, lengths, reuse. The conventions are those of the published fits.

Those look at prompts only, in pieces of `block_tokens` tokens. A partly filled last piece counts as a piece of its
own: it is equal only to one that is filled equally far.
"""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from pagedkv.workload.table import RequestTable


def dispersion(arrival_s: np.ndarray, bin_s: float) -> float:
    """Index of dispersion: variance over mean of the arrivals a bin (Poisson: 1). Whole bins only."""
    elapsed = np.asarray(arrival_s) - np.min(arrival_s)
    bins = int(elapsed.max() // bin_s)
    counts = np.bincount((elapsed[elapsed < bins * bin_s] // bin_s).astype(np.int64), minlength=bins)
    return float(counts.var() / counts.mean())


def open_loop_s(table: RequestTable, service_s: np.ndarray | float = 0.0) -> np.ndarray:
    """Arrival of every row if each request took `service_s` (a number or one a row): starts plus pauses. In s."""
    arrival_s = table.arrival_s.copy()
    service = np.broadcast_to(service_s, len(table))
    for row in np.flatnonzero(np.isnan(arrival_s)):  # turns of a session follow each other in the table
        arrival_s[row] = arrival_s[row - 1] + service[row - 1] + table.pause_s[row]
    return arrival_s


def prompt_pieces(table: RequestTable, coarser: int = 1) -> list[np.ndarray]:
    """Ids of each row's prompt, a partly filled last piece renamed to -1 - (id · block_tokens + tokens in it).

    `coarser` > 1 groups that many pieces into one, named by its last, and leaves out what does not fill a group.
    """
    pieces = []
    for row in range(len(table)):
        full, rest = divmod(int(table.prompt_tokens[row]), table.block_tokens)
        ids = table.block_ids(row)[: full + (rest > 0)]
        if coarser > 1:
            ids = ids[:full][coarser - 1 :: coarser]
        elif rest and len(ids) > full:
            ids = ids.copy()
            ids[full] = -1 - (ids[full] * table.block_tokens + rest)
        pieces.append(ids)
    return pieces


def infinite_hit(pieces: Sequence[np.ndarray]) -> float:
    """Share of piece references that were seen before: the hit rate of a cache that never evicts."""
    flat = np.concatenate(pieces)
    return 1 - len(np.unique(flat)) / len(flat)


def lru_hit(pieces: Sequence[np.ndarray], capacity: int) -> float:
    """Share of piece references that hit an LRU cache of `capacity` pieces.

    Prefix semantics: nothing behind a request's first miss is a hit; of a request's pieces the deepest leaves first.
    """
    cache: OrderedDict[int, None] = OrderedDict()
    hits = references = 0
    for ids in pieces:
        names = ids.tolist()
        references += len(names)
        depth = 0
        while depth < len(names) and names[depth] in cache:
            depth += 1
        hits += depth
        for name in reversed(names):
            cache[name] = None
            cache.move_to_end(name)
        while len(cache) > capacity:
            cache.popitem(last=False)
    return hits / references


def return_gaps_s(arrival_s: np.ndarray, pieces: Sequence[np.ndarray], common: int) -> np.ndarray:
    """Time since the last request that holds the same deepest shared piece, for requests that have one.

    Links requests of a trace without sessions; a prompt's first `common` pieces are shared by all and link nothing.
    """
    last: dict[int, float] = {}
    gaps = []
    for time, ids in zip(arrival_s.tolist(), pieces, strict=True):
        own = ids[common:].tolist()
        seen = next((last[name] for name in reversed(own) if name in last), None)
        if seen is not None:
            gaps.append(time - seen)
        last.update(dict.fromkeys(own, time))
    return np.array(gaps)
