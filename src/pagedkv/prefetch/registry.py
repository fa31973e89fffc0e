"""Prefetch policies by name. A file in this package that registers a class is found by itself."""

from pagedkv.registry import Registry

PREFETCHERS = Registry("prefetch policy", "pagedkv.prefetch")
register = PREFETCHERS.register
