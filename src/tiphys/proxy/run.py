"""kube-proxy: watches Services and EndpointSlices and keeps the node's rules equal to them.

Upstream: cmd/kube-proxy, pkg/proxy.
"""

import asyncio
import logging
from typing import Final

from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.client.informer import Informer, all_synced
from tiphys.client.metrics_page import serve_metrics
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock, SystemClock
from tiphys.lib.prometheus_text import Family
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.proxy import modes
from tiphys.proxy.config import ProxyConfig
from tiphys.proxy.metrics import ProxyMetrics
from tiphys.proxy.proxier import Proxier
from tiphys.proxy.writer import ProxyError

log = logging.getLogger(__name__)

SERVICES: Final = GroupVersionResource("", "v1", "services")
ENDPOINT_SLICES: Final = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
RETRY_SECONDS: Final = 1.0


async def run(config: ProxyConfig, client: Client) -> None:
    """Work until cancelled. The rules stay when we end: traffic goes on (not in userspace mode)."""
    await Proxy(client, config, SystemClock()).run()


class Proxy:
    def __init__(self, client: Client, config: ProxyConfig, clock: Clock) -> None:
        self._client = client
        self._config = config
        self._clock = clock
        self._services = Informer(client, SERVICES)
        self._slices = Informer(client, ENDPOINT_SLICES)
        self._proxier = Proxier(modes.node_view(config), self._services, modes.make_writer(config))
        self._changed = asyncio.Event()
        self._metrics = ProxyMetrics()

    def _families(self) -> list[Family]:
        return [*self._metrics.families(), self._client.requests.family()]

    async def run(self) -> None:
        tasks = TaskSet()
        recorder = EventRecorder(
            self._client, "kube-proxy", self._clock, host=self._config.node_name
        )
        self._services.on_change(self._proxier.service_changed)
        self._slices.on_change(self._proxier.slice_changed)
        for informer in (self._services, self._slices):
            informer.on_change(self._note)
            name = f"informer {informer.gvr.resource}"
            tasks.start(keep_running(name, informer.run), name)
        tasks.start(keep_running("events", recorder.run), "events")
        page = serve_metrics(self._config.metrics, self._families, None, self._clock)
        tasks.start(page, "metrics")
        try:
            await all_synced([self._services, self._slices])
            recorder.event(self._node_reference(), "Normal", "Starting", "Starting kube-proxy.")
            await self._sync()
            # After our own rules are there: traffic goes on while the mode changes.
            modes.clean_up_others(self._config.mode)
            tasks.start(keep_running("repair", self._repair), "repair")
            while True:
                await self._changed.wait()
                await self._clock.sleep(self._config.min_sync_seconds)
                await self._sync()
        finally:
            await tasks.close()
            await self._proxier.close()

    def _node_reference(self) -> Obj:
        name = self._config.node_name
        return {"kind": "Node", "name": name, "uid": name, "apiVersion": "v1"}

    def _note(self, old: Obj | None, new: Obj | None) -> None:
        self._changed.set()

    async def _sync(self) -> None:
        """Write what is wanted now, trying until it is written."""
        while True:
            self._changed.clear()
            began = self._clock.monotonic()
            try:
                await self._proxier.sync()
                self._metrics.synced(self._clock.monotonic() - began, self._clock.now())
                return
            except ProxyError as exc:
                self._metrics.failed()
                log.error("rules not written, trying again", extra={"why": str(exc)})
                await self._clock.sleep(RETRY_SECONDS)

    async def _repair(self) -> None:
        """Write everything again when somebody changed or took away what we wrote."""
        while True:
            await self._clock.sleep(self._config.repair_seconds)
            if not self._proxier.check():
                log.warning("the rules were changed by somebody else, writing them again")
                self._changed.set()
