"""kube-proxy: watches Services and EndpointSlices and keeps the node's rules equal to them.

Upstream: cmd/kube-proxy, pkg/proxy.
"""

import asyncio
import logging
from typing import Final

from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.client.informer import Informer, all_synced
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock, SystemClock
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.proxy.config import ProxyConfig
from tiphys.proxy.layout import lay_out
from tiphys.proxy.nftables import NftablesWriter, ProxyError
from tiphys.proxy.plan import plan

log = logging.getLogger(__name__)

SERVICES: Final = GroupVersionResource("", "v1", "services")
ENDPOINT_SLICES: Final = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
RETRY_SECONDS: Final = 1.0


async def run(config: ProxyConfig, client: Client) -> None:
    """Work until cancelled. The rules stay when we end: traffic goes on."""
    await Proxy(client, config, SystemClock(), NftablesWriter(config.cluster_cidr)).run()


class Proxy:
    def __init__(
        self, client: Client, config: ProxyConfig, clock: Clock, writer: NftablesWriter
    ) -> None:
        self._client = client
        self._config = config
        self._clock = clock
        self._writer = writer
        self._services = Informer(client, SERVICES)
        self._slices = Informer(client, ENDPOINT_SLICES)
        self._changed = asyncio.Event()

    async def run(self) -> None:
        tasks = TaskSet()
        recorder = EventRecorder(
            self._client, "kube-proxy", self._clock, host=self._config.node_name
        )
        for informer in (self._services, self._slices):
            informer.on_change(self._note)
            name = f"informer {informer.gvr.resource}"
            tasks.start(keep_running(name, informer.run), name)
        tasks.start(keep_running("events", recorder.run), "events")
        try:
            await all_synced([self._services, self._slices])
            recorder.event(self._node_reference(), "Normal", "Starting", "Starting kube-proxy.")
            tasks.start(keep_running("repair", self._repair), "repair")
            await self._sync_for_ever()
        finally:
            await tasks.close()
            self._writer.close()

    def _node_reference(self) -> Obj:
        name = self._config.node_name
        return {"kind": "Node", "name": name, "uid": name, "apiVersion": "v1"}

    def _note(self, old: Obj | None, new: Obj | None) -> None:
        self._changed.set()

    async def _sync_for_ever(self) -> None:
        while True:
            self._changed.clear()
            try:
                self.sync()
            except ProxyError as exc:
                log.error("rules not written, trying again", extra={"why": str(exc)})
                await self._clock.sleep(RETRY_SECONDS)
                continue
            await self._changed.wait()
            await self._clock.sleep(self._config.min_sync_seconds)

    def sync(self) -> None:
        """Write what is wanted now; nothing where nothing differs."""
        wanted = plan(self._services.items(), self._slices.items(), self._config.node_name)
        self._writer.write(lay_out(wanted, self._writer.layout))

    async def _repair(self) -> None:
        """Load the table again when somebody took it away."""
        while True:
            await self._clock.sleep(self._config.repair_seconds)
            intact = await asyncio.to_thread(self._writer.is_intact)
            if not intact:
                log.warning("the table is gone, loading it again")
                self._writer.load(self._writer.layout)
