"""The request table: what every workload is turned into, in memory and on disk (contract: docs/architecture.md).

`block_ids` name the `block_tokens`-token pieces of a request's prompt followed by its output. Equal ids mean equal
tokens behind equal tokens, so ids form a tree: an id has one predecessor wherever it stands. The last piece may be
known only in part; it then carries the id of the piece that it grows into, and `known_tokens` says how far it is known.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pagedkv.errors import PagedKVError
from pagedkv.files import sha256_of
from pagedkv.storage import first_line
from pagedkv.workload import stored
from pagedkv.workload.check import check_table
from pagedkv.workload.stored import COLUMNS, IDS

SCHEMA = 1
ENGINE_BLOCK_TOKENS = 16
PRIVATE = -1  # the chain key of a block that no other request can share


@dataclass(frozen=True, eq=False)
class RequestTable:
    """n requests. Columns are arrays of length n; request r owns `ids[id_offsets[r]:id_offsets[r + 1]]`."""

    name: str
    block_tokens: int  # tokens that an id names; 0 when there are no ids
    origin: Mapping[str, Any]  # JSON: generator, parameters and seed, or source file, URL, sha256, licence
    arrival_s: np.ndarray  # float64, NaN where pause_s is given
    pause_s: np.ndarray  # float64, NaN where arrival_s is given
    prompt_tokens: np.ndarray  # int64
    output_tokens: np.ndarray  # int64
    session: np.ndarray  # int64
    turn: np.ndarray  # int64
    known_tokens: np.ndarray  # int64
    ids: np.ndarray = field(repr=False)  # int64, flat
    id_offsets: np.ndarray = field(repr=False)  # int64, length n + 1

    def __len__(self) -> int:
        return len(self.arrival_s)

    def validate(self, where: str | Path | None = None) -> "RequestTable":
        """Return the table itself, or raise PagedKVError naming `where` (default: its name) and the first bad row."""
        check_table(self, str(where or self.name))
        return self

    def rows(self, start: int, stop: int) -> "RequestTable":
        """Rows start … stop - 1 as a table. Sessions must not be cut: meant for tables of single turns."""
        offsets = self.id_offsets[start : stop + 1]
        return replace(
            self,
            **{name: getattr(self, name)[start:stop] for name in COLUMNS},
            ids=self.ids[offsets[0] : offsets[-1]],
            id_offsets=offsets - offsets[0],
        )

    def block_ids(self, row: int) -> np.ndarray:
        """Ids of one request: int64, one a piece of `block_tokens` tokens of its known tokens."""
        return self.ids[self.id_offsets[row] : self.id_offsets[row + 1]]

    def block_keys(self, row: int) -> np.ndarray:
        """Chain keys of one request: int64, one a full 16-token block of prompt + output.

        Equal keys are equal blocks behind equal blocks. A block that reaches beyond `known_tokens` is PRIVATE:
        equal to no other, not even to another PRIVATE.
        """
        keys = np.full((self.prompt_tokens[row] + self.output_tokens[row]) // ENGINE_BLOCK_TOKENS, PRIVATE, np.int64)
        if self.block_tokens:
            share = self.block_tokens // ENGINE_BLOCK_TOKENS
            block = np.arange(self.known_tokens[row] // ENGINE_BLOCK_TOKENS)
            keys[: len(block)] = self.block_ids(row)[block // share] * share + block % share
        return keys

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the columns' values: independent of the file's form, its writer's version, name and origin."""
        total = hashlib.sha256(f"{self.block_tokens}".encode())
        for name in (*COLUMNS, "id_offsets", "ids"):
            values = getattr(self, name)
            total.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).data)
        return total.hexdigest()

    def write(self, path: str | Path) -> str:
        """Validate, write the file whole or not at all, and return its SHA-256. Equal tables: equal bytes."""
        self.validate(path)
        metadata = {
            "schema": str(SCHEMA),
            "name": self.name,
            "block_tokens": str(self.block_tokens),
            "origin": json.dumps(self.origin, sort_keys=True),
        }
        stored.write(path, {name: getattr(self, name) for name in (*COLUMNS, *IDS)}, metadata)
        return sha256_of(path)


def read(path: str | Path) -> RequestTable:
    """Read and validate a request table; PagedKVError when the file is absent, broken, newer or wrong."""
    columns, metadata = stored.read(path)
    header = _header(path, metadata)
    if not len(columns["arrival_s"]):
        raise PagedKVError(f"{path}: the table has no requests")
    return RequestTable(**header, **columns).validate(path)


def _header(path: str | Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The file's own metadata, checked."""
    try:
        schema = int(metadata["schema"])
        if schema > SCHEMA:
            raise PagedKVError(f"{path}: schema {schema} is newer than this version reads ({SCHEMA})")
        block_tokens, origin = int(metadata["block_tokens"]), json.loads(metadata["origin"])
        return {"name": metadata["name"], "block_tokens": block_tokens, "origin": origin}
    except KeyError as error:
        raise PagedKVError(f"{path}: metadata {error.args[0]} is missing") from error
    except ValueError as error:
        raise PagedKVError(f"{path}: metadata is not valid: {first_line(error)}") from error
