"""The records of one Service. Pure.

Source: the Kubernetes DNS schema (kubernetes/dns docs/specification.md).
    SERVICE.NS.svc.DOMAIN            A: ClusterIP, or every ready endpoint when headless
    NAME.SERVICE.NS.svc.DOMAIN       A: one endpoint of a headless Service
    _PORT._PROTO.SERVICE.NS.svc.D    SRV: named ports only
    D.C.B.A.in-addr.arpa             PTR: a ClusterIP, an endpoint of a headless Service
    SERVICE.NS.svc.DOMAIN            CNAME: an ExternalName
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Final

from tiphys.api.meta import Obj, at, name_of, namespace_of
from tiphys.dns.packet import AAAA, CNAME, PTR, SRV, A, Record

TTL_SECONDS: Final = 30  # kubeadm's Corefile.
SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
_SRV_PRIORITY, _SRV_WEIGHT = 0, 100


def service_records(domain: str, service: Obj, slices: Iterable[Obj]) -> list[Record]:
    """Without doubles; slices are the Service's own."""
    return list(dict.fromkeys(_records(domain, service, slices)))


def _records(domain: str, service: Obj, slices: Iterable[Obj]) -> Iterator[Record]:
    name = f"{name_of(service)}.{namespace_of(service)}.svc.{domain}".lower()
    if at(service, "spec", "type") == "ExternalName":
        target = str(at(service, "spec", "externalName", default="")).rstrip(".")
        if target and not _is_address(target):  # An address is no name: CoreDNS has no record.
            yield Record(name, CNAME, TTL_SECONDS, target)
    elif at(service, "spec", "clusterIP") == "None":
        for one in slices:
            if one.get("addressType") in (None, "IPv4", "IPv6"):  # FQDN has no record here.
                yield from _of_slice(name, one)
    else:
        yield from _of_cluster_addresses(name, service)


def _of_cluster_addresses(name: str, service: Obj) -> Iterator[Record]:
    addresses = at(service, "spec", "clusterIPs") or [at(service, "spec", "clusterIP")]
    for address in addresses:
        if address:
            yield _address(name, address)
            yield Record(reverse_name(address), PTR, TTL_SECONDS, name)
    for port in at(service, "spec", "ports", default=[]):
        if port.get("name"):
            yield _srv(name, port, name)


def _of_slice(name: str, one: Obj) -> Iterator[Record]:
    ports = [p for p in one.get("ports") or [] if p.get("name") and p.get("port") is not None]
    for endpoint in one.get("endpoints") or []:
        # The controller has already counted publishNotReadyAddresses into ready.
        if at(endpoint, "conditions", "ready") is False:
            continue
        for address in endpoint.get("addresses") or []:
            host = endpoint.get("hostname") or address.replace(".", "-").replace(":", "-")
            full = f"{host}.{name}".lower()
            yield _address(name, address)
            yield _address(full, address)
            yield Record(reverse_name(address), PTR, TTL_SECONDS, full)
            for port in ports:
                yield _srv(name, port, full)


def _address(name: str, address: str) -> Record:
    return Record(name, AAAA if ":" in address else A, TTL_SECONDS, address)


def _srv(name: str, port: Obj, target: str) -> Record:
    protocol = port.get("protocol") or "TCP"
    full = f"_{port['name']}._{protocol}.{name}".lower()
    return Record(full, SRV, TTL_SECONDS, (_SRV_PRIORITY, _SRV_WEIGHT, int(port["port"]), target))


def reverse_name(address: str) -> str:
    return ip_address(address).reverse_pointer


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
