"""`pagedkv list`: every prefetch policy, eviction policy and bound, with level, defaults and source."""

from __future__ import annotations

from pagedkv.eviction.registry import EVICTIONS
from pagedkv.prefetch.registry import PREFETCHERS

BOUNDS = (
    ("B0", "compute time alone"),
    ("B1", "batched MIN loads over the link, less the time in which they can be hidden (Belady 1966)"),
    ("B2", "loads that disjoint windows need beyond capacity; equal to B4 but under D-layer (this work)"),
    ("B3", "linear program of least stall over blocks and steps (Albers, Garg and Leonardi, STOC 1998)"),
    ("B4", "the same over groups of blocks that are idle together; with a row for layers, or a column for recompute"),
    ("B5", "max of compute and loads against their sum: what overlap can remove from a given number of loads"),
    ("B6", "value of k steps of knowledge: la_k with the plan `true`, k up to k* and inf; from replays"),
    ("B7", "load time that keeping blocks can save: a fractional knapsack in each step"),
)


def print_catalogue() -> None:
    print("prefetch policies")
    for name, policy in PREFETCHERS.all().items():
        defaults = ", ".join(f"{key}={value}" for key, value in policy.parameters.items()) or "-"
        addresses = "logical (I1), physical (I0)" if policy.spatial else "requests"
        print(f"  {name:<12} {policy.level!s:<3} {policy.family:<12} {defaults:<58} {addresses:<28} {policy.source}")
    print("eviction policies")
    for name, policy in EVICTIONS.all().items():
        print(f"  {name:<12} {policy.level!s:<3} {(policy.__doc__ or '').strip().splitlines()[0]}")
    print("bounds")
    for name, text in BOUNDS:
        print(f"  {name:<12} {text}")
