"""Recorded toy runs that several tests replay."""

from pagedkv.engine.script import Script
from pagedkv.engine.scripting import build_script
from tests.engine.build import record, table

POOL = 20
"""Of `rotating`, whose pool is short."""
ONCE_POOL = 48
"""Of `once`: a tenth of all blocks."""


def rotating() -> Script:
    """Rotation with shared prefixes and somebody who comes late: entries, hits, creations, partial blocks."""
    rows = [{"prompt": 40 + 9 * n, "output": 30 + n, "ids": [n % 2, 2 + n % 2]} for n in range(6)]
    rows += [{"prompt": 60, "output": 12, "at": at, "ids": [0, 2]} for at in (0.05, 0.9)]
    trace, _ = record(table(rows), settings={"max_num_seqs": 2, "quantum_steps": 4, "pool_blocks": POOL})
    return build_script(trace)


def once() -> Script:
    """Forty requests run, two at a time, for 4 steps, and after all others for 4 more: each block comes back once, so
    that no policy can have seen it come before; and few of those fetched by chance stay until then. Blocks of a prompt
    are stored together."""
    rows = [{"prompt": 90 + 4 * n, "output": 8} for n in range(40)]
    settings = {"max_num_seqs": 2, "quantum_steps": 4, "pool_blocks": ONCE_POOL, "max_num_batched_tokens": 512}
    trace, _ = record(table(rows), settings=settings)
    return build_script(trace)
