"""What NetworkPolicies say to a packet. Pure: by the same plan as the node's rules."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import NamedTuple

from tiphys.api.meta import Obj, at, name_of, namespace_of
from tiphys.cluster.netcheck.trace.hop import Hop
from tiphys.policy.plan import Match, address_of, plan


class Packet(NamedTuple):
    """After DNAT, as the policies see it."""

    source: str
    destination: str
    port: int
    protocol: str


class Verdict(NamedTuple):
    """isolating: policies that select the pod. allowing: the first of them that lets it pass."""

    isolating: tuple[str, ...]
    allowing: str = ""

    @property
    def passes(self) -> bool:
        return not self.isolating or bool(self.allowing)


def verdict(
    policies: Sequence[Obj],
    pods: Sequence[Obj],
    namespaces: Mapping[str, Mapping[str, str]],
    pod: Obj,
    direction: str,
    packet: Packet,
) -> Verdict:
    """direction: ingress or egress. Each policy is planned alone, to tell which one it is."""
    own, node = address_of(pod), str(at(pod, "spec", "nodeName", default=""))
    peer = packet.source if direction == "ingress" else packet.destination
    isolating, allowing = [], ""
    for policy in policies:
        planned = plan([policy], pods, namespaces, node)
        matches = getattr(planned, direction).get(own)
        if matches is None:
            continue
        name = f"{namespace_of(policy)}/{name_of(policy)}"
        isolating.append(name)
        if not allowing and any(_allows(match, peer, packet) for match in matches):
            allowing = name
    return Verdict(tuple(isolating), allowing)


def _allows(match: Match, peer: str, packet: Packet) -> bool:
    address = IPv4Address(peer)
    if match.peers is not None and not any(address in network for network in match.peers):
        return False
    return match.ports is None or any(
        ports.protocol == packet.protocol and ports.low <= packet.port <= ports.high
        for ports in match.ports
    )


def hop(found: Verdict, direction: str, where: str, pod: Obj, packet: Packet) -> Hop:
    name = f"{direction} policy"
    who = f"{namespace_of(pod)}/{name_of(pod)}"
    if not found.isolating:
        return Hop(name, where, True, f"no policy selects {who}")
    if found.allowing:
        return Hop(name, where, True, f"{found.allowing} lets it pass")
    peer = packet.source if direction == "ingress" else packet.destination
    word = "from" if direction == "ingress" else "to"
    end = f"{word} {peer}, {packet.protocol} port {packet.port}"
    selecting = ", ".join(found.isolating)
    return Hop(name, where, False, f"{selecting} selects {who} and allows nothing {end}: dropped")
