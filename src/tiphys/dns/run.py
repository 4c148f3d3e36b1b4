"""The cluster's DNS server as a component: watches, rebuilds the zone, answers.

Upstream: CoreDNS with its kubernetes and forward plugins.
"""

import asyncio
import logging
import random
from typing import Final

from tiphys.api.meta import GroupVersionResource, Obj, name_of
from tiphys.client.informer import Informer, all_synced
from tiphys.client.metrics_page import serve_metrics
from tiphys.client.rest import Client
from tiphys.dns import zone as zones
from tiphys.dns.config import DnsConfig
from tiphys.dns.forward import Forwarder, MachineResolvers
from tiphys.dns.metrics import DnsMetrics
from tiphys.dns.server import DnsServer
from tiphys.lib.clock import SystemClock
from tiphys.lib.netlink.route import route_socket
from tiphys.lib.tasks import TaskSet, keep_running

log = logging.getLogger(__name__)

SERVICES: Final = GroupVersionResource("", "v1", "services")
NAMESPACES: Final = GroupVersionResource("", "v1", "namespaces")
ENDPOINT_SLICES: Final = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
REBUILD_SECONDS: Final = 0.02  # Changes within so long make one new zone.


async def run(config: DnsConfig) -> None:
    """Work until cancelled. Answers begin when the first lists have been read."""
    client = Client.from_kubeconfig(config.kubeconfig, user_agent="tiphys-dns")
    try:
        await _Names(client, config).run()
    finally:
        client.close()


class _Names:
    def __init__(self, client: Client, config: DnsConfig) -> None:
        self._config = config
        self._services = Informer(client, SERVICES)
        self._slices = Informer(client, ENDPOINT_SLICES)
        self._namespaces = Informer(client, NAMESPACES)
        self._changed = asyncio.Event()
        self._zone = zones.Zone(config.cluster_domain)

    async def run(self) -> None:
        tasks = TaskSet()
        informers = [self._services, self._slices, self._namespaces]
        for informer in informers:
            informer.on_change(self._note)
            name = f"informer {informer.gvr.resource}"
            tasks.start(keep_running(name, informer.run), name)
        resolvers = MachineResolvers(self._config.resolver_files)
        metrics = DnsMetrics()
        forwarder = Forwarder(resolvers, random.SystemRandom())
        server = DnsServer(lambda: self._zone, forwarder, metrics)
        page = serve_metrics(self._config.metrics, metrics.families, None, SystemClock())
        tasks.start(page, "metrics")
        try:
            await all_synced(informers)
            self._rebuild()
            for address in self._config.listen_addresses:
                own_address(address)
                await server.listen(address, self._config.port)
            log.info("dns answers", extra={"addresses": self._config.listen_addresses})
            while True:
                await self._changed.wait()
                await asyncio.sleep(REBUILD_SECONDS)
                self._changed.clear()
                self._rebuild()
        finally:
            await server.close()
            await tasks.close()

    def _note(self, old: Obj | None, new: Obj | None) -> None:
        self._changed.set()

    def _rebuild(self) -> None:
        try:
            self._zone = self._built()
        except (KeyError, TypeError, ValueError):
            # One odd object must not take every name away: the last good zone stays.
            log.exception("zone not rebuilt, the one before stays")

    def _built(self) -> zones.Zone:
        return zones.build(
            self._config.cluster_domain,
            self._services.items(),
            self._slices.items(),
            [name_of(n) for n in self._namespaces.items()],
            self._config.service_cidrs,
            self._config.pod_cidrs,
        )


def own_address(address: str) -> None:
    """Make an address local to this network namespace, so that we can listen on it."""
    if address.startswith("127."):
        return
    with route_socket() as route:
        route.add_address("lo", f"{address}/32")
