"""The worker's side of vLLM's native offloading: vLLM's own connector, over a copy engine that only takes time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pagedkv.device.simulated import SimulatedDevice
from pagedkv.vllm.build import Parts
from pagedkv.vllm.link import CopyEngine
from pagedkv.vllm.shadow import Shadow


class Worker:
    """What a model runner does with the connector around each step; `moved` and `shadow` are those of `CopyEngine`."""

    def __init__(
        self,
        parts: Parts,
        device: SimulatedDevice,
        moved: Callable[[int, float, np.ndarray], None],
        shadow: Shadow | None,
    ) -> None:
        from vllm.distributed.kv_transfer.kv_connector.v1 import KVConnectorRole
        from vllm.distributed.kv_transfer.kv_connector.v1.offloading_connector import OffloadingConnector

        self._connector = OffloadingConnector(parts.config, KVConnectorRole.WORKER, parts.kv_config)
        self._engine = CopyEngine(device, moved, shadow)
        self._connector.connector_worker.worker = self._engine

    @property
    def next_s(self) -> float:
        """When the next copy will be done; inf if none is under way."""
        return self._engine.next_s

    def begin(self, output: Any) -> float:
        """Submit what a scheduled step asks for; returns the time for which that held the step up."""
        before = self._engine.stall_s
        metadata = output.kv_connector_metadata
        self._connector.handle_preemptions(metadata)
        self._connector.bind_connector_metadata(metadata)
        self._connector.start_load_kv(None)
        return self._engine.stall_s - before

    def end(self, output: Any) -> Any:
        """What the step tells the scheduler of copies, once it has run."""
        from vllm.v1.outputs import KVConnectorOutput

        if output.total_num_scheduled_tokens:
            self._connector.wait_for_save()
        sent, received = self._connector.get_finished(output.finished_req_ids)
        copied = self._connector.build_connector_worker_meta()
        self._connector.clear_connector_metadata()
        return KVConnectorOutput(
            finished_sending=sent or None, finished_recving=received or None, kv_connector_worker_meta=copied
        )
