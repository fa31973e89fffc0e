"""Code completion, as in Microsoft's 2023 sample: on/off bursts, prompts to 7,437 tokens, short outputs.

Constants: fitted to AzureLLMInferenceTrace_code (workload notes, section 6).
"""

from pagedkv.workload.arrivals import Arrivals, Silences
from pagedkv.workload.lengths import LengthProfile
from pagedkv.workload.table import RequestTable

PROFILE = LengthProfile(
    name="code",
    arrivals=Arrivals(
        rate_per_s=7.25,  # while on
        sigma_fast=0.953,
        tau_fast_s=1.87,
        shape=0.5,
        silences=Silences(mean_on_s=34.6, off_mu=3.947, off_sigma=0.657),
    ),
    prompt=((0.3054, 5.5179, 1.3069), (0.6946, 7.6497, 0.7245)),
    prompt_most=7437,
    output=((0.0968, 1.8463, 0.0762), (0.5732, 2.4516, 0.3435), (0.33, 3.6492, 0.8777)),
)


def generate(
    *, duration_s: float = 3600.0, rate_scale: float = 1.0, seed: int = 1, limit: int | None = None
) -> RequestTable:
    """Requests of `duration_s` seconds; `rate_scale` multiplies the rate while on; `limit` keeps the first ones."""
    return PROFILE.generate(duration_s, rate_scale, seed, limit)
