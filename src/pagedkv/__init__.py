"""PagedKV: what prefetching KV-cache blocks is worth to an engine whose scheduler knows what runs next."""

__version__ = "0.1.0"
