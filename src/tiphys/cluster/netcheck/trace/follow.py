"""From where the endpoint is chosen to its socket: source, policies, routes, overlay, socket."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from tiphys.api.meta import Obj
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.probes import reaches
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.netcheck.trace import policy_hops, route_hops, socket_hop
from tiphys.cluster.netcheck.trace.arrival import End, end_of, peer_of
from tiphys.cluster.netcheck.trace.hop import Hop
from tiphys.cluster.netcheck.trace.policy_hops import Packet
from tiphys.cluster.netcheck.trace.service_hops import Way
from tiphys.cluster.netcheck.trace.start import Start


@dataclass(frozen=True, slots=True)
class Leg:
    """The node that decides, and the source of the packets that come to it.

    inside: the network of the pod on it that sends them. pod: that pod. A node that sends packets
    itself has neither, and its own address as source.
    """

    node: Place
    source: str
    inside: Place | None = None
    pod: Obj | None = None

    @classmethod
    def begin(cls, start: Start) -> Self:
        if start.is_isolated:
            return cls(start.node, start.address, start.place, start.pod)
        return cls(start.node, start.node.address)

    def forwards(self, way: Way) -> bool:
        """Whether packets of others pass, and the node does not send itself."""
        return self.source != self.node.address and not way.by_process

    def stays(self, way: Way) -> bool:
        """Whether the packet never leaves the pod."""
        return self.inside is not None and way.asked == self.source


def follow(scene: Scene, leg: Leg, way: Way, protocol: str) -> Iterator[Hop]:
    """One way."""
    address, port = way.target
    end = end_of(scene, address)
    seen_from = leg.source
    if (way.masqueraded or not leg.forwards(way)) and not leg.stays(way):
        seen_from = own_source(leg.node, address)
    if seen_from != leg.source:
        what = f"the source {leg.source} becomes {seen_from}"
        yield Hop("source", leg.node.name, True, what)
    if not leg.stays(way):
        yield from leaving(scene, leg, way, protocol)
        yield from _arriving(scene, leg, way, end, Packet(seen_from, address, port, protocol))
    if end.place is not None:
        listening = socket_hop.listeners(end.place, protocol)
        yield socket_hop.hop(end.place.name, address, port, protocol, listening)
    elif end.name:
        ok = reaches(leg.inside or leg.node, address)
        word = "answers" if ok else "does not answer"
        yield Hop("elsewhere", end.name, ok, f"{address} is on another machine and {word}")


def leaving(scene: Scene, leg: Leg, way: Way, protocol: str) -> Iterator[Hop]:
    """What passes before a packet is on its way."""
    address, port = way.target
    if leg.pod is not None and leg.forwards(way) and address != leg.node.address:
        packet = Packet(leg.source, address, port, protocol)
        yield _policy(scene, leg.pod, "egress", leg.node.name, packet)
    yield from outward(scene, leg, way)


def _arriving(scene: Scene, leg: Leg, way: Way, end: End, packet: Packet) -> Iterator[Hop]:
    """On the end's node. packet: as it comes there from another node."""
    if end.node is None:
        return
    same = end.node.name == leg.node.name
    if not same:
        device = route_hops.device_of(end.node, packet.source)
        seen = route_hops.ask(end.node, packet.destination, packet.source, device)
        links = route_hops.links_of(end.node)
        yield route_hops.hop(end.node, packet.destination, seen, links)
    if end.pod is not None and end.is_isolated and (leg.forwards(way) or not same):
        # On the same node policies come before the source is replaced.
        arriving = packet._replace(source=leg.source) if same else packet
        yield _policy(scene, end.pod, "ingress", end.node.name, arriving)


def own_source(node: Place, address: str) -> str:
    """The address with which a node's own packets leave."""
    seen = route_hops.ask(node, address)
    return node.address if isinstance(seen, str) else str(seen.get("prefsrc", node.address))


def outward(scene: Scene, leg: Leg, way: Way) -> Iterator[Hop]:
    """Out of the pod, out of its node, and through the host for what is none of the cluster's."""
    node, device, address = leg.node, "", way.target.address
    if leg.inside is not None:
        seen = route_hops.ask(leg.inside, way.asked)
        yield route_hops.hop(leg.inside, way.asked, seen, route_hops.links_of(leg.inside))
    if leg.forwards(way):
        device = route_hops.device_of(node, leg.source)
    seen = route_hops.ask(node, address, leg.source if device else "", device)
    yield route_hops.hop(node, address, seen, route_hops.links_of(node))
    if isinstance(seen, str):
        return
    peer = peer_of(scene, address)
    if peer is not None:
        overlay = route_hops.overlay_hop(node, str(seen.get("dev", "")), *peer)
        if overlay is not None:
            yield overlay
    elif seen.get("gateway") == scene.host.address and node.namespace is not None:
        host = route_hops.ask(scene.host, address)
        hop = route_hops.hop(scene.host, address, host, route_hops.links_of(scene.host))
        yield replace(hop, what=f"{hop.what}; the source becomes the machine's own")


def _policy(scene: Scene, pod: Obj, direction: str, where: str, packet: Packet) -> Hop:
    world = scene.world
    found = policy_hops.verdict(
        world.policies or [], world.pods or [], world.namespace_labels(), pod, direction, packet
    )
    return policy_hops.hop(found, direction, where, pod, packet)
