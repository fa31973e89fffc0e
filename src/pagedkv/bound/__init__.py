"""What no policy can beat: lower bounds on loads and stall of a replayed trace, valid for D-page and D-step."""

from pagedkv.bound.bounds import Bounds, bound_for
from pagedkv.bound.intervals import Intervals, intervals_of
from pagedkv.bound.min_loads import least_loads, min_loads_stall_s
from pagedkv.bound.windows import windows_stall_s

__all__ = [
    "Bounds",
    "Intervals",
    "bound_for",
    "intervals_of",
    "least_loads",
    "min_loads_stall_s",
    "windows_stall_s",
]
