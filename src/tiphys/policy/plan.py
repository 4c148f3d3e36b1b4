"""What NetworkPolicies let pass to and from the pods of one node. Pure.

A pod that a policy selects for a direction is isolated in it: only what some policy allows passes,
and the answers to it. Traffic between a pod and its own node always passes.
Upstream: the API's words in networking/v1 types.go; KEP-2079 (endPort).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses
from typing import Final, NamedTuple

from tiphys.api.labels import Selector, from_object
from tiphys.api.meta import Obj, at, labels_of, name_of, namespace_of

PORT_MAX: Final = 65535
Direction = str  # "Ingress" or "Egress".
_FIELDS: Final = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}


class Ports(NamedTuple):
    """A range of one protocol, both ends included."""

    protocol: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Match:
    """What one rule allows. name: of the set with the peers, the same while the rule stands."""

    name: str
    peers: frozenset[IPv4Network] | None  # None: everybody.
    ports: tuple[Ports, ...] | None  # None: everything, of whatever protocol.


@dataclass(frozen=True, slots=True)
class Plan:
    """By pod address, what may come in and go out; pods that are not there are not isolated."""

    ingress: Mapping[str, tuple[Match, ...]]
    egress: Mapping[str, tuple[Match, ...]]


def address_of(pod: Obj) -> str:
    """Of a pod with an address of its own that is not over; "" for others."""
    if at(pod, "spec", "hostNetwork") or at(pod, "status", "phase") in ("Succeeded", "Failed"):
        return ""
    return str(at(pod, "status", "podIP", default=""))


def plan(
    policies: Sequence[Obj],
    pods: Sequence[Obj],
    namespaces: Mapping[str, Mapping[str, str]],
    node: str,
) -> Plan:
    """namespaces: the labels of each."""
    world = _World([pod for pod in pods if address_of(pod)], namespaces)
    own = [pod for pod in world.pods if at(pod, "spec", "nodeName") == node]
    ordered = sorted(policies, key=lambda p: (namespace_of(p), name_of(p)))
    found: dict[Direction, dict[str, tuple[Match, ...]]] = {"Ingress": {}, "Egress": {}}
    for direction, allowed in found.items():
        concerned = [(p, _selector(p)) for p in ordered if direction in _types(p)]
        for pod in own:
            selecting = [p for p, selector in concerned if _selects(p, selector, pod)]
            if selecting:
                matches = (m for p in selecting for m in world.matches(p, direction, pod))
                allowed[address_of(pod)] = tuple(matches)
    return Plan(found["Ingress"], found["Egress"])


def _types(policy: Obj) -> Sequence[str]:
    given: Sequence[str] = at(policy, "spec", "policyTypes", default=[])
    return given or ("Ingress", "Egress" if at(policy, "spec", "egress") else "Ingress")


def _selector(policy: Obj) -> Selector:
    return from_object(at(policy, "spec", "podSelector", default={}))


def _selects(policy: Obj, selector: Selector, pod: Obj) -> bool:
    return namespace_of(policy) == namespace_of(pod) and selector.matches(labels_of(pod))


class _World:
    """All pods with addresses, and what rules mean among them."""

    def __init__(self, pods: Sequence[Obj], namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self.pods = pods
        self._namespaces = namespaces
        self._peers: dict[str, tuple[frozenset[IPv4Network], list[Obj]]] = {}

    def matches(self, policy: Obj, direction: Direction, pod: Obj) -> Iterator[Match]:
        """What a policy allows a pod that it selects."""
        field, peers_field = _FIELDS[direction]
        for index, rule in enumerate(at(policy, "spec", field, default=[])):
            name = f"{namespace_of(policy)}/{name_of(policy)}/{direction}/{index}"
            given, ports = rule.get(peers_field) or [], rule.get("ports") or []
            networks: frozenset[IPv4Network] | None = None
            others = self.pods
            if given:
                if name not in self._peers:
                    self._peers[name] = self._resolve(given, namespace_of(policy))
                networks, others = self._peers[name]
            if not ports:
                yield Match(_short(name), networks, None)
                continue
            ranges = tuple(_numbered(ports))
            named = [p for p in ports if isinstance(p.get("port"), str)]
            if direction == "Ingress":
                ranges += tuple(Ports(_protocol(p), n, n) for p in named for n in _called(pod, p))
                named = []
            if ranges:
                yield Match(_short(name), networks, ranges)
            yield from _of_names(name, named, others)

    def _resolve(
        self, peers: Sequence[Obj], namespace: str
    ) -> tuple[frozenset[IPv4Network], list[Obj]]:
        """The networks, none within another; and those of the peers that are pods."""
        networks: list[IPv4Network] = []
        pods: list[Obj] = []
        for peer in peers:
            if "ipBlock" in peer:
                networks += block(peer["ipBlock"])
            else:
                pods += self._pods_of(peer, namespace)
        networks += [IPv4Network(address_of(pod)) for pod in pods]
        return frozenset(collapse_addresses(networks)), pods

    def _pods_of(self, peer: Obj, namespace: str) -> Iterator[Obj]:
        selector = from_object(peer.get("podSelector") or {})
        given = peer.get("namespaceSelector")
        places = {namespace}
        if given is not None:
            wanted = from_object(given)
            places = {name for name, found in self._namespaces.items() if wanted.matches(found)}
        for pod in self.pods:
            if namespace_of(pod) in places and selector.matches(labels_of(pod)):
                yield pod


def block(given: Obj) -> list[IPv4Network]:
    """An ipBlock without what it excepts; IPv6 is not routed."""
    if ":" in given["cidr"]:
        return []
    left = [IPv4Network(given["cidr"], strict=False)]
    for text in given.get("except") or []:
        hole = IPv4Network(text, strict=False)
        left = [part for network in left for part in _without(network, hole)]
    return left


def _without(network: IPv4Network, hole: IPv4Network) -> list[IPv4Network]:
    if not network.overlaps(hole):
        return [network]
    return list(network.address_exclude(hole)) if hole.subnet_of(network) else []


def _protocol(port: Obj) -> str:
    return str(port.get("protocol") or "TCP").lower()


def _numbered(ports: Sequence[Obj]) -> Iterator[Ports]:
    for port in ports:
        number = port.get("port")
        if number is None:
            yield Ports(_protocol(port), 0, PORT_MAX)
        elif isinstance(number, int):
            yield Ports(_protocol(port), number, int(port.get("endPort") or number))


def _called(pod: Obj, port: Obj) -> Iterator[int]:
    """The numbers that a pod's containers give a named port."""
    for container in at(pod, "spec", "containers", default=[]):
        for known in container.get("ports") or []:
            if known.get("name") == port["port"] and _protocol(known) == _protocol(port):
                yield int(known["containerPort"])


def _of_names(name: str, ports: Sequence[Obj], others: Sequence[Obj]) -> Iterator[Match]:
    """Named ports of those whom a pod may call: each may have another number for it."""
    found: dict[Ports, set[IPv4Network]] = {}
    for port in ports:
        for other in others:
            for number in _called(other, port):
                key = Ports(_protocol(port), number, number)
                found.setdefault(key, set()).add(IPv4Network(address_of(other)))
    for key, networks in sorted(found.items()):
        short = _short(f"{name}/{key.protocol}/{key.low}")
        yield Match(short, frozenset(collapse_addresses(networks)), (key,))


def _short(name: str) -> str:
    return f"peers-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
