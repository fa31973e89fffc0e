"""vLLM's own block accesses: its scheduler, KV cache manager and offloading, recorded as they are."""
