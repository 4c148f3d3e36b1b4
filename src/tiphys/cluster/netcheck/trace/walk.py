"""The whole way of a packet: name, Service, policies, routes, overlay, socket; then one is sent."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from tiphys.api.meta import Obj, at, name_of, namespace_of
from tiphys.cluster.netcheck import planned_rules
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.pod_places import pod_places
from tiphys.cluster.netcheck.probes import connects, reaches
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.netcheck.trace import policy_hops, route_hops, service_hops, socket_hop
from tiphys.cluster.netcheck.trace.ends import Source, Target
from tiphys.cluster.netcheck.trace.goal import Goal, goal_of
from tiphys.cluster.netcheck.trace.hop import Hop
from tiphys.cluster.netcheck.trace.policy_hops import Packet
from tiphys.cluster.netcheck.trace.service_hops import Way
from tiphys.cluster.netcheck.trace.start import Start, start_of
from tiphys.proxy.plan import Frontend
from tiphys.proxy.plan import Target as Endpoint

WAYS_MAX: Final = 8  # Endpoints that are followed; more say nothing new.


@dataclass(frozen=True, slots=True)
class End:
    """Where an endpoint is; place is None on another machine, or where nobody knows."""

    place: Place | None = None
    node: Place | None = None
    pod: Obj | None = None
    name: str = ""


def walk(scene: Scene, source: Source, target: Target) -> list[Hop]:
    """Raises EndError, PlaceError."""
    start = start_of(scene, source)
    who = f"node {start.node.name}" if start.pod is None else start.place.name
    hops = [Hop("start", start.node.name, True, f"{who}, {start.address}")]
    goal = goal_of(scene, start, target)
    hops += goal.hops
    if not goal.addresses:
        return hops
    service, ways = _ways(scene, start, goal, target.protocol)
    hops += service
    for way in ways[:WAYS_MAX]:
        label = f"{way.target.address}:{way.target.port}"
        hops += [replace(h, way=label) for h in _follow(scene, start, way, target.protocol)]
    if target.protocol == "tcp":
        hops.append(_connection(start, goal))
    return hops


def _ways(scene: Scene, start: Start, goal: Goal, protocol: str) -> tuple[list[Hop], list[Way]]:
    """What the proxy makes of it, and where packets may go then."""
    world, profile, node = scene.world, scene.profile, start.node
    wanted = planned_rules.frontends(
        world.services or [], world.slices or [], node.name, node.address
    )
    frontend = Frontend(protocol, goal.addresses[0], goal.port)
    services, mode = world.services or [], profile.proxy_mode
    cidr = profile.service_cidr
    hop = service_hops.hop(node, frontend, wanted, services, cidr, mode)
    if hop is None:
        return [], [Way(Endpoint(address, goal.port), address) for address in goal.addresses]
    if not hop.ok:
        return [hop], []
    if not service_hops.is_written(node, frontend, mode):
        what = f"{hop.what}; but the kernel has no rule for it"
        fix = f"tiphys -p {profile.name} net doctor --check rules"
        return [Hop(hop.name, hop.where, False, what, fix)], []
    source, pods = start.address, profile.pod_cidr
    return [hop], service_hops.ways(frontend, wanted[frontend], source, pods, mode)


def _follow(scene: Scene, start: Start, way: Way, protocol: str) -> Iterator[Hop]:
    """One way, from the start to the socket at its end."""
    address, port = way.target
    end = _end(scene, address)
    forwarded = start.is_isolated and not way.by_process  # Else the node itself sends.
    seen_from = start.address
    if way.masqueraded or not forwarded:
        seen_from = _own_source(start.node, address)
    if seen_from != start.address:
        what = f"the source {start.address} becomes {seen_from}"
        yield Hop("source", start.node.name, True, what)
    if way.asked != start.address:  # Else it never leaves the pod.
        if forwarded and address != start.node.address:
            assert start.pod is not None
            packet = Packet(start.address, address, port, protocol)
            yield _policy(scene, start.pod, "egress", start.node.name, packet)
        yield from _outward(scene, start, way)
    if end.node is not None and end.node.name != start.node.name:
        device = route_hops.device_of(end.node, seen_from)
        seen = route_hops.ask(end.node, address, seen_from, device)
        yield route_hops.hop(end.node, address, seen, route_hops.links_of(end.node))
    if _is_isolated(end) and way.asked != start.address:
        assert end.pod is not None
        assert end.node is not None
        # On the start's own node policies come before the source is replaced.
        same = end.node.name == start.node.name
        if forwarded or not same:
            arriving = Packet(start.address if same else seen_from, address, port, protocol)
            yield _policy(scene, end.pod, "ingress", end.node.name, arriving)
    if end.place is not None:
        listening = socket_hop.listeners(end.place, protocol)
        yield socket_hop.hop(end.place.name, address, port, protocol, listening)
    elif end.name:
        ok = reaches(start.place, address)
        word = "answers" if ok else "does not answer"
        yield Hop("elsewhere", end.name, ok, f"{address} is on another machine and {word}")


def _is_isolated(end: End) -> bool:
    """Whether policies count there: not in the node's own network."""
    return end.pod is not None and end.node is not None and end.place != end.node


def _own_source(node: Place, address: str) -> str:
    """The address with which a node's own packets leave."""
    seen = route_hops.ask(node, address)
    return node.address if isinstance(seen, str) else str(seen.get("prefsrc", node.address))


def _outward(scene: Scene, start: Start, way: Way) -> Iterator[Hop]:
    """Out of the pod, out of its node, and through the host for what is none of the cluster's."""
    node, device, address = start.node, "", way.target.address
    if start.is_isolated:
        seen = route_hops.ask(start.place, way.asked)
        yield route_hops.hop(start.place, way.asked, seen, route_hops.links_of(start.place))
    if start.is_isolated and not way.by_process:
        device = route_hops.device_of(node, start.address)
    seen = route_hops.ask(node, address, start.address if device else "", device)
    yield route_hops.hop(node, address, seen, route_hops.links_of(node))
    if isinstance(seen, str):
        return
    peer = _peer(scene, address)
    if peer is not None:
        overlay = route_hops.overlay_hop(node, str(seen.get("dev", "")), *peer)
        if overlay is not None:
            yield overlay
    elif seen.get("gateway") == scene.host.address and node.namespace is not None:
        host = route_hops.ask(scene.host, address)
        hop = route_hops.hop(scene.host, address, host, route_hops.links_of(scene.host))
        yield replace(hop, what=f"{hop.what}; the source becomes the machine's own")


def _peer(scene: Scene, address: str) -> tuple[str, str] | None:
    """The node whose pod has an address: its name and its own address. Pure."""
    pod = scene.world.pod_at(address)
    if pod is None:
        return None
    name = str(at(pod, "spec", "nodeName", default=""))
    known = [(node.name, node.address) for node, _ in scene.nodes] + list(scene.elsewhere)
    return next((one for one in known if one[0] == name), None)


def _end(scene: Scene, address: str) -> End:
    for place in (scene.host, *[place for _, place in scene.nodes]):
        if place.address == address:
            return End(place, place)
    for name, elsewhere in scene.elsewhere:
        if elsewhere == address:
            return End(name=name)
    pod = scene.world.pod_at(address)
    if pod is None:
        return End()
    node = str(at(pod, "spec", "nodeName", default=""))
    key = (namespace_of(pod), name_of(pod))
    node_place = next((place for one, place in scene.nodes if one.name == node), None)
    if node_place is None:
        return End(pod=pod, name=node)
    return End(pod_places(scene, frozenset({key})).get(key), node_place, pod)


def _policy(scene: Scene, pod: Obj, direction: str, where: str, packet: Packet) -> Hop:
    world = scene.world
    found = policy_hops.verdict(
        world.policies or [], world.pods or [], world.namespace_labels(), pod, direction, packet
    )
    return policy_hops.hop(found, direction, where, pod, packet)


def _connection(start: Start, goal: Goal) -> Hop:
    address = goal.addresses[0]
    why = connects(start.place, address, goal.port)
    what = f"a TCP connection to {address}:{goal.port} "
    return Hop(
        "connection", start.place.name, not why, what + (f"fails: {why}" if why else "opens")
    )
