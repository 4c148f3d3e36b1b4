"""Events about Services whose address or node port is nobody's to give, or another's as well.

Neither comes of a write through the server: only of another range in its configuration, or of a
store that was edited by hand. There is nothing to repair, as what is in use is read from the
Services; people are told. An event's name says what was found, so that it is written again only
after the last one has ended, and by one of the servers that share a store.
Upstream: pkg/registry/core/service/{ipallocator,portallocator}/controller, KEP-1880.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network
from typing import Final, NamedTuple

from tiphys.api.meta import Obj, at, rfc3339_micro
from tiphys.apiserver.bootstrap import Bootstrap, Endpoints
from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.ip_addresses import GROUP
from tiphys.apiserver.service_addresses import Held, ServiceAddresses
from tiphys.lib.clock import Clock
from tiphys.storage.backend import StorageError

log = logging.getLogger(__name__)

PERIOD_SECONDS: Final = 180.0
ADDRESSES: Final = "ClusterIPAllocation"
PORTS: Final = "PortAllocation"
_PLEASE: Final = "please recreate service"
_TWICE: Final = f"was assigned to multiple services; {_PLEASE}"
_CONTROLLERS: Final = {
    ADDRESSES: "ipallocator-repair-controller",
    PORTS: "portallocator-repair-controller",
}


class Finding(NamedTuple):
    """What is wrong with the Service of a key."""

    key: str
    action: str
    reason: str
    message: str


def findings(
    services: Mapping[str, Held], networks: Sequence[IPv4Network], node_ports: tuple[int, int]
) -> list[Finding]:
    """Of two Services with the same number the later key is told."""
    found: list[Finding] = []
    addresses: set[int] = set()
    ports: set[int] = set()
    for key in sorted(services):
        held = services[key]
        for reason, message in _of_addresses(held.addresses, addresses, networks):
            found.append(Finding(key, ADDRESSES, reason, f"Cluster IP [IPv4]: {message}"))
        for reason, message in _of_ports(held.ports, ports, node_ports):
            found.append(Finding(key, PORTS, reason, f"Port {message}"))
        addresses.update(held.addresses)
        ports.update(held.ports)
    return found


def _of_addresses(
    held: Sequence[int], others: set[int], networks: Sequence[IPv4Network]
) -> Iterable[tuple[str, str]]:
    for number in held:
        address = IPv4Address(number)
        if not any(address in network for network in networks):
            message = f"{address} is not within any configured Service CIDR; {_PLEASE}"
            yield "ClusterIPOutOfRange", message
        elif number in others:
            yield "ClusterIPAlreadyAllocated", f"{address} {_TWICE}"


def _of_ports(
    held: Sequence[int], others: set[int], node_ports: tuple[int, int]
) -> Iterable[tuple[str, str]]:
    first, last = node_ports
    for port in dict.fromkeys(held):  # TCP and UDP of one Service may share it.
        if not first <= port <= last:
            message = f"{port} is not within the port range {first}-{last}; {_PLEASE}"
            yield "PortOutOfRange", message
        elif port in others:
            yield "PortAlreadyAllocated", f"{port} {_TWICE}"


def event_of(finding: Finding, service: Obj, instance: str, now: datetime) -> Obj:
    """What people read."""
    metadata = service["metadata"]
    told = f"{metadata['uid']}/{finding.reason}/{finding.message}".encode()
    namespace, name = metadata["namespace"], metadata["name"]
    return {
        "metadata": {
            "name": f"{name}.{hashlib.sha256(told).hexdigest()[:16]}",
            "namespace": namespace,
        },
        "involvedObject": {
            "kind": "Service",
            "apiVersion": "v1",
            "namespace": namespace,
            "name": name,
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": "Warning",
        "reason": finding.reason,
        "message": finding.message,
        "action": finding.action,
        "eventTime": rfc3339_micro(now),
        "firstTimestamp": None,
        "lastTimestamp": None,
        "source": {},
        "reportingComponent": _CONTROLLERS[finding.action],
        "reportingInstance": f"{_CONTROLLERS[finding.action]}-{instance}",
    }


class ServiceRepair:
    """See the module. `run` until cancelled."""

    def __init__(
        self,
        bootstrap: Bootstrap,
        endpoints: Endpoints,
        addresses: ServiceAddresses,
        config: ApiServerConfig,
        hostname: str,
    ) -> None:
        self._bootstrap = bootstrap
        self._services = endpoints["", "v1", "services"]
        self._cidrs = endpoints[GROUP, "v1", "servicecidrs"]
        self._addresses = addresses
        self._node_ports = config.node_ports
        self._hostname = hostname

    async def run(self, clock: Clock) -> None:
        while True:
            try:
                await self.look(clock.now())
            except StorageError as error:
                log.warning("events about Services not written", extra={"why": error})
            await clock.sleep(PERIOD_SECONDS)

    async def look(self, now: datetime) -> None:
        """Once over all Services. Raises StorageError."""
        for finding in findings(self._addresses.held, self._networks(), self._node_ports):
            cached = self._services.cache.get(finding.key)
            if cached is None:
                continue  # Gone while others were told.
            event = event_of(finding, self._services.decode(cached), self._hostname, now)
            await self._bootstrap.ensure("", "events", event)

    def _networks(self) -> list[IPv4Network]:
        """A ServiceCIDR that is ending is still there for those that have its addresses."""
        cidrs = [self._cidrs.decode(cached) for cached in self._cidrs.cache.objects.values()]
        said = [text for cidr in cidrs for text in at(cidr, "spec", "cidrs", default=[])]
        ours = self._addresses.network
        return [ours, *(IPv4Network(text) for text in said if ":" not in text)]
