"""vLLM's own block accesses: scheduler, cache manager and offloading recorded as they are, and its KV events read."""
