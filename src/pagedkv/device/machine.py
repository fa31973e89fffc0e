"""What one process needs once, however many runs it makes: weights, pools, pinned memory, captured graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from pagedkv.device.calibration import Calibration
from pagedkv.device.copies import CopyStream
from pagedkv.device.cuda import CudaDevice
from pagedkv.device.hostslots import HostSlots
from pagedkv.device.lane import CudaLane, HostLane
from pagedkv.device.pinned import PinnedPool
from pagedkv.device.points import graph_batches
from pagedkv.device.timeline import Timeline
from pagedkv.device.trust import Trust
from pagedkv.errors import PagedKVError
from pagedkv.geometry import Geometry
from pagedkv.model.config import model_config
from pagedkv.model.decoder import Decoder, empty_pool
from pagedkv.model.operations import Operations
from pagedkv.model.runner import Runner
from pagedkv.model.weights import Weights
from pagedkv.workload.table import RequestTable
from pagedkv.workload.tokens import known_tokens

STORING_BLOCKS = 2048
"""Room in pinned memory, beyond the host tier, for blocks that are on their way there or about to leave."""


@dataclass(frozen=True)
class MachineSettings:
    """`where`: cuda or cpu. Sizes are the largest that a run may use. `batch_invariant`: see `Operations`; `trust`:
    test mode with checksums and poison; `graphs`: decode as CUDA graphs."""

    where: str
    pool_blocks: int
    host_blocks: int
    max_batch: int
    max_tokens: int
    max_positions: int
    seed: int = 1
    batch_invariant: bool = False
    trust: bool = False
    graphs: bool = True


class Machine:
    """Use as a context manager: pinned memory has to be given back. Raises PagedKVError when something does not fit."""

    def __init__(self, geometry: Geometry, settings: MachineSettings) -> None:
        self.geometry = geometry
        self.settings = settings
        where = self.where = torch.device(settings.where)
        if where.type == "cuda":
            _check_memory(geometry, settings)
            torch.cuda.set_stream(torch.cuda.Stream())
        dtype = torch.bfloat16 if where.type == "cuda" else torch.float32
        self.weights = Weights.random(model_config(geometry.name), settings.seed, where, dtype)
        self.pool = empty_pool(geometry, settings.pool_blocks, where, dtype)
        self.pool[0] = 0
        block_bytes = self.pool[0].numel() * self.pool.element_size()
        self.host = PinnedPool(settings.host_blocks + STORING_BLOCKS, block_bytes, where)
        self.copies = tuple(CopyStream(direction, self.pool, self.host.tensor) for direction in ("h2d", "d2h"))
        operations = Operations.choose(where, settings.batch_invariant)
        batches = graph_batches(settings.max_batch)
        self.runner = Runner(
            Decoder(self.weights, operations, settings.max_positions + 1),
            self.pool,
            max_batch=batches[-1],
            max_tokens=settings.max_tokens,
            max_positions=settings.max_positions,
            graph_batches=batches if settings.graphs and where.type == "cuda" else (),
        )
        self.runner.capture()

    def device(self, table: RequestTable, calibration: Calibration) -> CudaDevice:
        """A device for one run on `table`, as if nothing had been computed before. One at a time."""
        # A fetch that nobody waited for before the last run ended must not arrive in this one.
        self.settle()
        tokens = _tokens_of(table, self.geometry.vocabulary)
        self.runner.begin(tokens)
        timeline, trust = Timeline(self.where), None
        if self.settings.trust:
            queues = (copies.active for copies in self.copies)
            trust = Trust(self.pool, self.host.blocks, *queues, timeline)
            trust.poison(np.arange(1, self.settings.pool_blocks))
        compute = CudaLane(self.where, torch.cuda.current_stream()) if self.where.type == "cuda" else HostLane()
        slots = HostSlots(self.host.blocks)
        return CudaDevice(calibration, self.geometry, self.runner, *self.copies, slots, compute, timeline, trust)

    def settle(self) -> None:
        """Wait until nothing is under way."""
        if self.where.type == "cuda":
            torch.cuda.synchronize()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *error: object) -> None:
        self.settle()
        self.host.close()


def _tokens_of(table: RequestTable, vocabulary: int) -> Callable[[int], np.ndarray]:
    return lambda number: known_tokens(table, number, vocabulary)


def _check_memory(geometry: Geometry, settings: MachineSettings) -> None:
    free, _ = torch.cuda.mem_get_info()
    needed = geometry.total_weight_bytes + settings.pool_blocks * geometry.block_bytes
    if needed > free:
        raise PagedKVError(
            f"weights and {settings.pool_blocks} blocks of {geometry.name} need {needed / 1e9:.0f} GB, "
            f"but the GPU has {free / 1e9:.0f} GB free: lower pool_blocks"
        )
