"""Controlled workloads, defined row by row in `controlled.csv`.

- `rotation`: `requests` live decodes of about `context` tokens, of which `batch` run at a time for `quantum` steps.
  A quantum lasts quantum · step_s, and `batch` requests must be loaded for the next one: rho = V·tau / (q·c) falls
  as 1 / quantum. On an H200 with an 8B model (2 MiB a block, tau about 40 us, a step of about 6 ms) 4,096 tokens are
  V = 8 · 256 blocks, 80 ms: rho is near 7 at q = 2, 1 at q = 14 and 0.2 at q = 64.
- `longdoc`: `documents` of `context` tokens each, asked round robin by `batch` clients, each of which asks again as
  soon as it is answered. The pool holds 20 documents in every row, so that 8 and 16 fit and 32 and 64 fall off the
  cliff of LRU.
- `fits`: the control in which the pool holds everything.

`capacity` is pool / live KV, `quantum` is in steps (0: no rotation): engine settings of the scenario, kept here so
that one row says all. `spread` 0.25 draws context and output uniformly within ±25 %.
"""

import csv
from dataclasses import asdict, dataclass
from importlib import resources

from pagedkv.errors import PagedKVError
from pagedkv.workload import parameters
from pagedkv.workload.prefixes import IdSource
from pagedkv.workload.rng import Stream
from pagedkv.workload.sessions import Session, Turn, assemble
from pagedkv.workload.table import RequestTable

BLOCK_TOKENS = 512
QUESTION_TOKENS = 64  # behind the document; private to each request


@dataclass(frozen=True)
class Case:
    """One row of `controlled.csv`. Lengths in tokens, quantum in steps, capacity as a share of the live KV."""

    name: str
    kind: str
    documents: int
    requests: int
    batch: int
    context: int
    output_tokens: int
    spread: float
    quantum: int
    capacity: float
    seed: int


def cases() -> dict[str, Case]:
    """All rows of the table, by name."""
    text = resources.files("pagedkv.workload").joinpath("controlled.csv").read_text(encoding="utf-8")
    fields = Case.__dataclass_fields__.values()
    rows = csv.DictReader(text.splitlines())
    return {row["name"]: Case(**{field.name: field.type(row[field.name]) for field in fields}) for row in rows}


def case(name: str, kind: str | None = None) -> Case:
    """The row called `name`; PagedKVError when there is none or it is of another kind."""
    table = {key: row for key, row in cases().items() if kind in (None, row.kind)}
    if name not in table:
        raise PagedKVError(f"workload: no {kind or 'controlled'} case {name!r}; there are {', '.join(table)}")
    return table[name]


def rotation(*, case: str = "rotation-q16", seed: int | None = None) -> RequestTable:
    """`requests` private decodes that all arrive at 0."""
    return _decodes("rotation", case, seed)


def fits(*, case: str = "fits", seed: int | None = None) -> RequestTable:
    """The same shape as `rotation`, to be run with a pool that holds everything."""
    return _decodes("fits", case, seed)


def longdoc(*, case: str = "longdoc-32", seed: int | None = None) -> RequestTable:
    """`batch` clients ask `requests` questions in all; question i is about document i mod `documents`.

    Client j asks questions j, j + batch, … one after the other. Only the document is shared.
    """
    chosen = _chosen("longdoc", case, seed)
    ids = IdSource()
    stream = Stream(chosen.seed, "longdoc")
    lengths = [_spread(stream, chosen.context, chosen.spread) for _ in range(chosen.documents)]
    documents = [(length, ids.take(-(-length // BLOCK_TOKENS))) for length in lengths]
    clients = []
    for client in range(chosen.batch):
        asked = [documents[number % chosen.documents] for number in range(client, chosen.requests, chosen.batch)]
        turns = [Turn(0.0, size + QUESTION_TOKENS, chosen.output_tokens, size, pieces) for size, pieces in asked]
        clients.append(Session(0.0, turns))
    return assemble(clients, chosen.name, BLOCK_TOKENS, _origin(chosen))


def _decodes(kind: str, name: str, seed: int | None) -> RequestTable:
    chosen = _chosen(kind, name, seed)
    stream = Stream(chosen.seed, kind)
    requests = []
    for _ in range(chosen.requests):
        context = _spread(stream, chosen.context, chosen.spread)
        output = _spread(stream, chosen.output_tokens, chosen.spread)
        requests.append(Session(0.0, [Turn(0.0, context, output)]))
    return assemble(requests, chosen.name, 0, _origin(chosen))


def _chosen(kind: str, name: str, seed: int | None) -> Case:
    row = case(name, kind)
    return row if seed is None else Case(**{**asdict(row), "seed": parameters.count("seed", seed, least=0)})


def _origin(chosen: Case) -> dict[str, object]:
    return {"generator": chosen.kind, "parameters": asdict(chosen)}


def _spread(stream: Stream, middle: int, share: float) -> int:
    """A length drawn uniformly within `share` of `middle`."""
    return max(1, int(middle * (1 + share * (2 * stream.uniform() - 1))))
