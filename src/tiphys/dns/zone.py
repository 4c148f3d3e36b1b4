"""The cluster's names: records from Services and EndpointSlices. Pure.

Source: the Kubernetes DNS schema 1.1.0 (kubernetes/dns docs/specification.md).
    SERVICE.NS.svc.DOMAIN            A: ClusterIP, or every ready endpoint when headless
    NAME.SERVICE.NS.svc.DOMAIN       A: one endpoint of a headless Service
    _PORT._PROTO.SERVICE.NS.svc.D    SRV
    A-B-C-D.NS.pod.DOMAIN            A: the address in the name
    D.C.B.A.in-addr.arpa             PTR
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Final

from tiphys.api.meta import Obj, ObjectKey, at, labels_of, name_of, namespace_of
from tiphys.dns.packet import AAAA, CNAME, PTR, SRV, TXT, A, Record, Soa

TTL_SECONDS: Final = 30  # kubeadm's Corefile.
SCHEMA_VERSION: Final = "1.1.0"
SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"

Records = dict[tuple[str, int], list[Record]]


@dataclass(frozen=True, slots=True)
class Zone:
    """records by (lower-case name, type); names holds every name that exists, inner ones too."""

    domain: str
    records: Mapping[tuple[str, int], list[Record]] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    service_cidrs: tuple[IPv4Network, ...] = ()
    pod_cidrs: tuple[IPv4Network, ...] = ()

    @property
    def soa(self) -> Record:
        data = Soa(f"ns.dns.{self.domain}", f"hostmaster.{self.domain}", 1, 7200, 1800, 86400, 5)
        return Record(self.domain, 6, TTL_SECONDS, data)

    def owns(self, name: str) -> bool:
        """Whether we are the authority: our domain, or the reverse of our addresses."""
        if name == self.domain or name.endswith(f".{self.domain}"):
            return True
        address = reverse_address(name)
        if address is None:
            return False
        return any(address in network for network in (*self.service_cidrs, *self.pod_cidrs))

    def lookup(self, name: str, kind: int) -> tuple[list[Record], bool]:
        """The records of a name and type, and whether the name exists at all."""
        found = self.records.get((name, kind))
        if found is not None:
            return found, True
        alias = self.records.get((name, CNAME))
        if alias is not None:
            return alias, True
        if (address := self._pod_address(name)) is not None:
            wanted = AAAA if ":" in address else A
            record = Record(name, wanted, TTL_SECONDS, address)
            return ([record] if kind == wanted else []), True
        return [], name in self.names

    def _pod_address(self, name: str) -> str | None:
        """`10-244-0-5.default.pod.cluster.local` holds its own answer."""
        suffix = f".pod.{self.domain}"
        if not name.endswith(suffix):
            return None
        first, _, namespace = name.removesuffix(suffix).partition(".")
        if namespace not in self.namespaces:
            return None
        for text in (first.replace("-", "."), first.replace("-", ":")):
            try:
                return str(ip_address(text))
            except ValueError:
                continue
        return None


def reverse_address(name: str) -> IPv4Address | None:
    """`5.0.244.10.in-addr.arpa` -> 10.244.0.5."""
    if not name.endswith(".in-addr.arpa"):
        return None
    parts = name.removesuffix(".in-addr.arpa").split(".")
    try:
        return IPv4Address(".".join(reversed(parts)))
    except ValueError:
        return None


def build(
    domain: str,
    services: Iterable[Obj],
    slices: Iterable[Obj],
    namespaces: Iterable[str],
    service_cidrs: Iterable[str] = (),
    pod_cidrs: Iterable[str] = (),
) -> Zone:
    """The zone as it should be now."""
    by_service: dict[ObjectKey, list[Obj]] = {}
    for found in slices:
        key = ObjectKey(namespace_of(found), labels_of(found).get(SERVICE_NAME_LABEL, ""))
        by_service.setdefault(key, []).append(found)
    records: Records = {}
    for service in services:
        own = by_service.get(ObjectKey(namespace_of(service), name_of(service)), [])
        _add_service(records, domain, service, own)
    version = f"dns-version.{domain}"
    records[(version, TXT)] = [Record(version, TXT, TTL_SECONDS, SCHEMA_VERSION)]
    spaces = frozenset(namespaces)
    names = {domain, f"svc.{domain}", f"pod.{domain}"}
    names |= {f"{space}.{kind}.{domain}" for space in spaces for kind in ("svc", "pod")}
    for name, _ in records:
        while name and name not in names:
            names.add(name)
            name = name.partition(".")[2]
    return Zone(
        domain,
        records,
        frozenset(names),
        spaces,
        tuple(IPv4Network(c) for c in service_cidrs),
        tuple(IPv4Network(c) for c in pod_cidrs),
    )


def _add_service(records: Records, domain: str, service: Obj, slices: list[Obj]) -> None:
    name = f"{name_of(service)}.{namespace_of(service)}.svc.{domain}".lower()
    if at(service, "spec", "type") == "ExternalName":
        target = str(at(service, "spec", "externalName", default="")).rstrip(".")
        if target:
            _add(records, Record(name, CNAME, TTL_SECONDS, target))
        return
    if at(service, "spec", "clusterIP") == "None":
        _add_headless(records, name, service, slices)
        return
    addresses = at(service, "spec", "clusterIPs") or [at(service, "spec", "clusterIP")]
    for address in addresses:
        if address:
            _add_address(records, name, address)
            _add(records, Record(reverse_name(address), PTR, TTL_SECONDS, name))
    for port in at(service, "spec", "ports", default=[]):
        if port.get("name"):
            _add_srv(records, name, port["name"], port.get("protocol") or "TCP", port["port"], name)


def _add_headless(records: Records, name: str, service: Obj, slices: list[Obj]) -> None:
    for one in slices:
        if one.get("addressType") not in (None, "IPv4", "IPv6"):
            continue  # Names as addresses have no record here.
        for endpoint in one.get("endpoints") or []:
            # The controller has already counted publishNotReadyAddresses into ready.
            if at(endpoint, "conditions", "ready") is False:
                continue
            for address in endpoint.get("addresses") or []:
                host = endpoint.get("hostname") or address.replace(".", "-").replace(":", "-")
                full = f"{host}.{name}".lower()
                _add_address(records, name, address)
                _add_address(records, full, address)
                if endpoint.get("hostname"):
                    _add(records, Record(reverse_name(address), PTR, TTL_SECONDS, full))
                for port in one.get("ports") or []:
                    if port.get("name") and port.get("port") is not None:
                        protocol = port.get("protocol") or "TCP"
                        _add_srv(records, name, port["name"], protocol, port["port"], full)


def _add_address(records: Records, name: str, address: str) -> None:
    _add(records, Record(name, AAAA if ":" in address else A, TTL_SECONDS, address))


def _add_srv(
    records: Records, name: str, port_name: str, protocol: str, port: int, target: str
) -> None:
    full = f"_{port_name}._{protocol.lower()}.{name}".lower()
    _add(records, Record(full, SRV, TTL_SECONDS, (0, 100, int(port), target)))


def _add(records: Records, record: Record) -> None:
    found = records.setdefault((record.name, record.type), [])
    if record not in found:
        found.append(record)


def reverse_name(address: str) -> str:
    return ip_address(address).reverse_pointer
