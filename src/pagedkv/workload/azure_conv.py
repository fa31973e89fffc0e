"""Conversation without prefix identity, as in Microsoft's 2023 sample: near Poisson on a slowly moving rate.

Constants: fitted to AzureLLMInferenceTrace_conv (workload notes, section 6).
"""

from pagedkv.workload.arrivals import Arrivals
from pagedkv.workload.lengths import LengthProfile
from pagedkv.workload.table import RequestTable

PROFILE = LengthProfile(
    name="azure_conv",
    arrivals=Arrivals(rate_per_s=5.530, sigma_fast=0.172, tau_fast_s=0.74, sigma_slow=0.217, tau_slow_s=317.5),
    prompt=((0.1998, 5.4805, 1.0183), (0.2296, 5.9872, 0.0395), (0.4016, 6.9963, 0.0998), (0.169, 8.0118, 0.3754)),
    prompt_most=14050,
    output=((0.4292, 4.5729, 0.3592), (0.2903, 4.7246, 1.013), (0.2805, 6.0064, 0.0503)),
)


def generate(
    *, duration_s: float = 3600.0, rate_scale: float = 1.0, seed: int = 1, limit: int | None = None
) -> RequestTable:
    """Requests of `duration_s` seconds; `rate_scale` multiplies the rate; `limit` keeps the first ones."""
    return PROFILE.generate(duration_s, rate_scale, seed, limit)
