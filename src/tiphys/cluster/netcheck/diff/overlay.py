"""Another overlay: which routes, links and table entries go and come, and what packets may be
long."""

from collections.abc import Sequence
from dataclasses import replace

from tiphys.api.meta import Obj, at
from tiphys.cluster.netcheck.diff.change import ADD, REMOVE, REPLACE, Change
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.netcheck.wanted_routes import network_plan, own_interface
from tiphys.cluster.node_components import MTU_DEFAULT
from tiphys.lib.netlink.neighbour import Entry
from tiphys.network.plan import (
    VXLAN_LINK,
    VXLAN_OVERHEAD_BYTES,
    VXLAN_PORT,
    VXLAN_VNI,
    NetworkPlan,
    Overlay,
    WantedRoute,
    pod_mtu,
)


def changes(scene: Scene, overlay: Overlay) -> list[Change]:
    """Of every node of this machine."""
    found: list[Change] = []
    other = replace(scene.profile, overlay=str(overlay))
    nodes = scene.world.nodes or []
    for node, place in scene.nodes:
        link = own_interface(place)
        before = network_plan(scene.profile, nodes, node.name, link)
        after = network_plan(other, nodes, node.name, link)
        found += compare(node.name, before, after)
        found += mtu(node.name, scene, overlay, scene.world.pods or [])
    return found


def compare(where: str, before: NetworkPlan, after: NetworkPlan) -> list[Change]:
    found = _link(where, before, after)
    old = {route.destination: route for route in before.routes}
    new = {route.destination: route for route in after.routes}
    for destination in sorted(old.keys() | new.keys()):
        was, becomes = old.get(destination), new.get(destination)
        if was == becomes:
            continue
        if was is None:
            found.append(Change(where, ADD, "route", _route(new[destination])))
        elif becomes is None:
            found.append(Change(where, REMOVE, "route", _route(was)))
        else:
            what = f"{_route(was)} by {_route(becomes)}"
            found.append(Change(where, REPLACE, "route", what))
    found += _entries(where, "neighbour", before.neighbours, after.neighbours)
    return found + _entries(where, "forwarding", before.forwarding, after.forwarding)


def _link(where: str, before: NetworkPlan, after: NetworkPlan) -> list[Change]:
    if bool(before.end) == bool(after.end):
        return []
    size = MTU_DEFAULT - VXLAN_OVERHEAD_BYTES
    what = f"{VXLAN_LINK}, VNI {VXLAN_VNI}, UDP port {VXLAN_PORT}, MTU {size}, "
    what += f"address {after.end or before.end}/32"
    return [Change(where, ADD if after.end else REMOVE, "link", what)]


def _route(route: WantedRoute) -> str:
    device = f" dev {VXLAN_LINK}" if route.over_vxlan else ""
    return f"{route.destination} via {route.gateway}{device}"


def _entries(
    where: str, kind: str, before: frozenset[Entry], after: frozenset[Entry]
) -> list[Change]:
    gone = [Change(where, REMOVE, kind, _entry(e)) for e in sorted(before - after)]
    return gone + [Change(where, ADD, kind, _entry(e)) for e in sorted(after - before)]


def _entry(entry: Entry) -> str:
    return f"{entry.address} is at {entry.mac.hex(':')} on {VXLAN_LINK}"


def mtu(where: str, scene: Scene, overlay: Overlay, pods: Sequence[Obj]) -> list[Change]:
    one_link = not scene.profile.uses_host_network
    before = pod_mtu(MTU_DEFAULT, Overlay(scene.profile.overlay), one_link=one_link)
    after = pod_mtu(MTU_DEFAULT, overlay, one_link=one_link)
    if before == after:
        return []
    running = [p for p in pods if at(p, "spec", "nodeName") == where]
    what = f"of its {len(running)} pods: {before} by {after} bytes"
    return [Change(where, REPLACE, "mtu", what)]
