"""B5: what overlapping the loads of a run with its compute can remove at most."""

from __future__ import annotations


def overlap_stall_s(loads: float, tau_s: float, free_s: float) -> float:
    """Least stall of any policy that makes `loads` loads of `tau_s` each, in `free_s` of compute and idle time.

    A run takes at least as long as its compute C and as its loads L on one link, max(C, L); demand loading, of which
    nothing is hidden, takes C + L. So no prefetcher that loads as much makes a run more than twice as fast, and the
    stall that it removes is at most min(C, L). It says nothing about policies that load less, for example because
    they evict better; B1-B4 do. Idle time hides loads as compute does.
    """
    return max(0.0, loads * tau_s - free_s)
