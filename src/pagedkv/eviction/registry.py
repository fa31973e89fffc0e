"""Eviction policies by name. A file in this package that registers a class is found by itself."""

from pagedkv.registry import Registry

EVICTIONS = Registry("eviction policy", "pagedkv.eviction")
register = EVICTIONS.register
