"""Which absent block to fetch before it is needed: one file a policy."""
