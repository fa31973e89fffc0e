"""Which unreferenced block leaves the GPU: one file a policy."""
