"""KV cache events, as vLLM publishes them: captured, read, and what they say of offloading."""
