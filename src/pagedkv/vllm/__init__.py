"""vLLM's own block accesses: its scheduler, cache manager and offloading recorded as they are, and its KV events read."""
