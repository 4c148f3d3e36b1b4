"""The whole way of a packet: name, Service, policies, routes, overlay, socket; then one is sent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tiphys.cluster.netcheck import planned_rules
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.probes import connects
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.netcheck.trace import service_hops
from tiphys.cluster.netcheck.trace.ends import Source, Target
from tiphys.cluster.netcheck.trace.follow import Leg, follow, leaving
from tiphys.cluster.netcheck.trace.goal import Goal, goal_of
from tiphys.cluster.netcheck.trace.hop import Hop
from tiphys.cluster.netcheck.trace.service_hops import Way
from tiphys.cluster.netcheck.trace.start import Start, start_of
from tiphys.proxy.plan import Backend, Frontend
from tiphys.proxy.plan import Target as Endpoint

WAYS_MAX: Final = 8  # Endpoints that are followed; more say nothing new.


def walk(scene: Scene, source: Source, target: Target) -> list[Hop]:
    """Raises EndError, PlaceError."""
    start = start_of(scene, source)
    who = f"node {start.node.name}" if start.pod is None else start.place.name
    hops = [Hop("start", start.node.name, True, f"{who}, {start.address}")]
    goal = goal_of(scene, start, target)
    hops += goal.hops
    if not goal.addresses:
        return hops
    leg = Leg.begin(start)
    there = _other_node(scene, start, goal, target.protocol)
    if there is not None:  # A node port of another node: that one's proxy decides.
        way = Way(Endpoint(there.address, goal.port), there.address)
        hops += leaving(scene, leg, way, target.protocol)
        leg = Leg(there, start.address)
    service, ways = _ways(scene, start, leg.node, goal, target.protocol)
    hops += service
    for way in ways[:WAYS_MAX]:
        label = f"{way.target.address}:{way.target.port}"
        hops += [replace(h, way=label) for h in follow(scene, leg, way, target.protocol)]
    if target.protocol == "tcp":
        hops.append(_connection(start, goal))
    return hops


def _frontends(scene: Scene, node: Place) -> Mapping[Frontend, Backend]:
    world = scene.world
    return planned_rules.frontends(
        world.services or [], world.slices or [], node.name, node.address
    )


def _other_node(scene: Scene, start: Start, goal: Goal, protocol: str) -> Place | None:
    """The other node at whose own address (a node port) the Service is called. Pure."""
    for _, place in scene.nodes:
        if place != start.node and place.address == goal.addresses[0]:
            frontend = Frontend(protocol, place.address, goal.port)
            return place if frontend in _frontends(scene, place) else None
    return None


def _ways(
    scene: Scene, start: Start, node: Place, goal: Goal, protocol: str
) -> tuple[list[Hop], list[Way]]:
    """What a node's proxy makes of it, and where packets may go then."""
    profile, services = scene.profile, scene.world.services or []
    wanted, mode, near = _frontends(scene, node), profile.proxy_mode, node == start.node
    frontend = Frontend(protocol, goal.addresses[0], goal.port)
    cidr = profile.service_cidr
    hop = service_hops.hop(node, frontend, wanted, services, cidr, mode, near=near)
    if hop is None:
        return [], [Way(Endpoint(address, goal.port), address) for address in goal.addresses]
    if not hop.ok:
        return [hop], []
    backend = wanted[frontend]
    seen = backend if near else replace(backend, near=None)
    rule = service_hops.written(node, frontend, seen, mode, is_pod=start.is_isolated)
    if not rule:
        fix = f"tiphys -p {profile.name} net doctor --check rules"
        return [hop, Hop("rule", node.name, False, "the kernel has no rule for it", fix)], []
    source, pods = start.address, profile.pod_cidr
    ways = service_hops.ways(frontend, backend, source, pods, mode, near=near)
    return [hop, Hop("rule", node.name, True, rule)], ways


def _connection(start: Start, goal: Goal) -> Hop:
    address = goal.addresses[0]
    why = connects(start.place, address, goal.port)
    what = f"a TCP connection to {address}:{goal.port} "
    return Hop(
        "connection", start.place.name, not why, what + (f"fails: {why}" if why else "opens")
    )
