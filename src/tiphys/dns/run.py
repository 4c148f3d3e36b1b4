"""The cluster's DNS server as a component: watches, keeps the zone, answers.

Upstream: CoreDNS with its kubernetes and forward plugins; kube-dns for the ConfigMap.
"""

import asyncio
import logging
import random
from collections import defaultdict
from typing import Final

from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    ObjectKey,
    key_of,
    labels_of,
    name_of,
    namespace_of,
)
from tiphys.client.informer import Informer, all_synced
from tiphys.client.metrics_page import serve_metrics
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.dns.config import DnsConfig
from tiphys.dns.forward import Forwarder
from tiphys.dns.machine_resolvers import MachineResolvers
from tiphys.dns.metrics import DnsMetrics
from tiphys.dns.server import DnsServer
from tiphys.dns.service_records import SERVICE_NAME_LABEL, service_records
from tiphys.dns.settings import NAME, NAMESPACE, Settings, SettingsError, settings
from tiphys.dns.zone import Zone
from tiphys.lib.clock import SystemClock
from tiphys.lib.netlink.route import route_socket
from tiphys.lib.tasks import TaskSet, keep_running

log = logging.getLogger(__name__)

SERVICES: Final = GroupVersionResource("", "v1", "services")
NAMESPACES: Final = GroupVersionResource("", "v1", "namespaces")
CONFIG_MAPS: Final = GroupVersionResource("", "v1", "configmaps")
ENDPOINT_SLICES: Final = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")


async def run(config: DnsConfig) -> None:
    """Work until cancelled. Answers begin when the first lists have been read."""
    client = Client.from_kubeconfig(config.kubeconfig, user_agent="tiphys-dns", multiplexed=True)
    try:
        await Dns(client, config).run()
    finally:
        client.close()


class Dns:
    def __init__(self, client: Client, config: DnsConfig) -> None:
        self._config = config
        self._names = Names(client, config)
        # Not waited for: a cluster that may not read it has names none the less.
        self._config_maps = Informer(
            client, CONFIG_MAPS, namespace=NAMESPACE, field_selector=f"metadata.name={NAME}"
        )
        self._clock = SystemClock()
        self._recorder = EventRecorder(client, "dns", self._clock, host=config.node_name)
        self._metrics = DnsMetrics()
        resolvers = MachineResolvers(config.resolver_files)
        self._forwarder = Forwarder(resolvers, random.SystemRandom(), self._metrics)

    async def run(self) -> None:
        tasks = TaskSet()
        server = DnsServer(self._names.zone, self._forwarder, self._metrics)
        self._config_maps.on_change(self._configure)
        for informer in (*self._names.informers, self._config_maps):
            name = f"informer {informer.gvr.resource}"
            tasks.start(keep_running(name, informer.run), name)
        page = serve_metrics(self._config.metrics, self._metrics.families, None, self._clock)
        tasks.start(page, "metrics")
        tasks.start(keep_running("events", self._recorder.run), "events")
        try:
            await all_synced(self._names.informers)
            for address in self._config.listen_addresses:
                own_address(address)
                await server.listen(address, self._config.port)
            log.info("dns answers", extra={"addresses": self._config.listen_addresses})
            await asyncio.Event().wait()
        finally:
            await server.close()
            await self._forwarder.close()
            await tasks.close()

    def _configure(self, old: Obj | None, new: Obj | None) -> None:
        """Follow the ConfigMap. One that cannot be used changes nothing and is told of."""
        try:
            found = settings(new, self._config.cluster_domain)
        except SettingsError as exc:
            log.error("kube-dns ConfigMap not used", extra={"why": str(exc)})
            what = f"What was in force before stays: {exc}"
            if new is not None:
                about = {"apiVersion": "v1", "kind": "ConfigMap", **new}
                self._recorder.event(about, "Warning", "InvalidConfiguration", what)
            return
        self._forwarder.use(found)
        if old is not None or found != Settings():
            named = {d: [str(u) for u in servers] for d, servers in found.stubs.items()}
            upstreams = [str(u) for u in found.upstreams]
            log.info("kube-dns ConfigMap used", extra={"stubs": named, "upstreams": upstreams})


class Names:
    """The zone, kept as Services, EndpointSlices and namespaces change."""

    def __init__(self, client: Client, config: DnsConfig) -> None:
        self._domain = config.cluster_domain
        self.zone = Zone(config.cluster_domain, config.service_cidrs, config.pod_cidrs)
        self._services = Informer(client, SERVICES)
        self._slices = Informer(client, ENDPOINT_SLICES)
        self._namespaces = Informer(client, NAMESPACES, metadata_only=True)
        self.informers = (self._services, self._slices, self._namespaces)
        self._slices_of: defaultdict[ObjectKey, dict[ObjectKey, Obj]] = defaultdict(dict)
        self._services.on_change(self._service_changed)
        self._slices.on_change(self._slice_changed)
        self._namespaces.on_change(self._namespace_changed)

    def _service_changed(self, old: Obj | None, new: Obj | None) -> None:
        changed = new or old
        if changed is not None:
            self._put(key_of(changed), new)

    def _slice_changed(self, old: Obj | None, new: Obj | None) -> None:
        owners = {_service_of(one) for one in (old, new) if one is not None}
        if old is not None:
            self._slices_of[_service_of(old)].pop(key_of(old), None)
        if new is not None:
            self._slices_of[_service_of(new)][key_of(new)] = new
        for owner in owners:
            if not self._slices_of[owner]:
                del self._slices_of[owner]
            self._put(owner, self._services.get(owner))

    def _namespace_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is None or new is None:
            self.zone.set_namespaces([name_of(n) for n in self._namespaces.items()])

    def _put(self, key: ObjectKey, service: Obj | None) -> None:
        """One odd object must not take every name away: it keeps the records that it had."""
        slices = self._slices_of.get(key, {})
        try:
            found = (
                [] if service is None else service_records(self._domain, service, slices.values())
            )
        except (KeyError, TypeError, ValueError):
            log.exception("names of a Service not changed", extra={"service": key})
            return
        self.zone.put(key, found)


def _service_of(one: Obj) -> ObjectKey:
    return ObjectKey(namespace_of(one), labels_of(one).get(SERVICE_NAME_LABEL, ""))


def own_address(address: str) -> None:
    """Make an address local to this network namespace, so that we can listen on it."""
    if address.startswith("127."):
        return
    with route_socket() as route:
        route.add_address("lo", f"{address}/32")
