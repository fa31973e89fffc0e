"""What no policy can beat: lower bounds on loads and stall of a replayed trace."""

from pagedkv.bound.block_lp import block_lp_stall_s
from pagedkv.bound.bounds import Bounds, bound_for
from pagedkv.bound.group_lp import group_lp_stall_s
from pagedkv.bound.horizon import k_star
from pagedkv.bound.intervals import Intervals, intervals_of
from pagedkv.bound.link_time import LinkTime, link_time
from pagedkv.bound.min_loads import least_loads, min_loads_stall_s
from pagedkv.bound.overlap import overlap_stall_s
from pagedkv.bound.phases import Phases, phases_of
from pagedkv.bound.residency import residency_saved_s, residency_saving
from pagedkv.bound.windows import windows_stall_s

__all__ = [
    "Bounds",
    "Intervals",
    "LinkTime",
    "Phases",
    "block_lp_stall_s",
    "bound_for",
    "group_lp_stall_s",
    "intervals_of",
    "k_star",
    "least_loads",
    "link_time",
    "min_loads_stall_s",
    "overlap_stall_s",
    "phases_of",
    "residency_saved_s",
    "residency_saving",
    "windows_stall_s",
]
