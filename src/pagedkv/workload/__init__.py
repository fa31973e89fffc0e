"""Requests in: generators, readers of the public traces, and the table that both become.

`build` makes a table from settings; `read` and `RequestTable.write` move it from and to disk.
"""

from pagedkv.workload.registry import GENERATORS, READERS, build, read_source
from pagedkv.workload.sources import default_data_dir, fetch
from pagedkv.workload.table import PRIVATE, RequestTable, read

__all__ = [
    "GENERATORS",
    "PRIVATE",
    "READERS",
    "RequestTable",
    "build",
    "default_data_dir",
    "fetch",
    "read",
    "read_source",
]
