"""How a pod resolves names: whom it asks, in which order which names. Pure but for `resolve`.

Sources: resolv.conf(5), kubernetes.io/docs/concepts/services-networking/dns-pod-service.
"""

from typing import Final

from tiphys.api.meta import Obj
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.probes import ask_dns, dns_query
from tiphys.cluster.netcheck.trace.hop import Hop
from tiphys.dns.external_name import addresses_in
from tiphys.dns.packet import NXDOMAIN, A
from tiphys.kubelet.dns import ClusterDNS, Resolver, parse_resolv_conf
from tiphys.kubelet.dns import resolver_of as of_pod

_CODES: Final = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}


def resolver_of(pod: Obj | None, cluster_dns: str, machine: str) -> Resolver:
    """As the kubelet writes it for a pod; a node has the machine's (the text of a file)."""
    host = parse_resolv_conf(machine)
    return host if pod is None else of_pod(pod, ClusterDNS((cluster_dns,), host=host))


def ndots(resolver: Resolver) -> int:
    """From how many dots on a name is asked as it stands first."""
    given = [o.partition(":")[2] for o in resolver.options if o.startswith("ndots:")]
    return int(given[-1]) if given and given[-1].isdigit() else 1


def candidates(name: str, resolver: Resolver) -> list[str]:
    """The names that are asked, in order."""
    if name.endswith("."):
        return [name.rstrip(".")]
    searched = [f"{name}.{search}" for search in resolver.searches]
    return [name, *searched] if name.count(".") >= ndots(resolver) else [*searched, name]


def resolve(place: Place, name: str, resolver: Resolver) -> tuple[Hop, list[str]]:
    """The hop, and the addresses."""
    if not resolver.servers:
        return Hop("name", place.name, False, "no DNS server is known there"), []
    asked = candidates(name, resolver)
    for one in asked:
        for server in resolver.servers:
            told = ask_dns(place, server, dns_query(one, A))
            if told.data:
                break
        else:
            servers = ", ".join(resolver.servers)
            return Hop("name", place.name, False, f"DNS ({servers}) does not answer for {one}"), []
        code = told.data[3] & 0xF
        found = [str(r.data) for r in addresses_in(told.data, one) if r.type == A]
        if found:
            took = told.seconds * 1000
            what = f"{one} is {', '.join(found)}, says {server} in {took:.1f} ms"
            return Hop("name", place.name, True, what), found
        if code not in (0, NXDOMAIN):
            what = f"{server} answers {_CODES.get(code, code)} for {one}"
            return Hop("name", place.name, False, what), []
    what = f"no such name; asked {server} for {', '.join(asked)}"
    return Hop("name", place.name, False, what), []
