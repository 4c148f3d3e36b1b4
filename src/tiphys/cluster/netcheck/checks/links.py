"""Links that must be there and up: of the host, of each node, of each pod."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tiphys.cluster import node_network
from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.netcheck.wanted_routes import (
    missing_routes,
    network_plan,
    own_interface,
    route_command,
)
from tiphys.network.plan import VXLAN_LINK

NAME: Final = "links"


@dataclass(frozen=True, slots=True)
class Wanted:
    """what: what the link is for. touches: nodes that cannot do without."""

    name: str
    what: str
    touches: frozenset[str] = frozenset()


def look(scene: Scene) -> list[NetFinding]:
    found: list[NetFinding] = []
    for place in scene.places:
        links = {one["ifname"]: one for one in place.links()}
        wanted = wanted_links(scene, place, links) + overlay_link(scene, place)
        down = judge(scene.profile.name, place, wanted, links)
        if down:  # With a link its routes go: the fix brings both back.
            down = [with_routes(one, scene, place) for one in down]
        found += down
    return found


def wanted_links(scene: Scene, place: Place, links: Mapping[str, Any]) -> list[Wanted]:
    """Pure."""
    profile = scene.profile
    if profile.uses_host_network:
        return _pod_links(scene, place, links)
    if place is scene.host:
        everybody = frozenset(node.name for node, _ in scene.nodes)
        bridge = Wanted(node_network.bridge_name(profile), "the nodes' network", everybody)
        return [
            bridge,
            *[
                Wanted(
                    node_network.veth_name(profile, node),
                    f"the way to {node.name}",
                    frozenset({node.name}),
                )
                for node, _ in scene.nodes
            ],
        ]
    own = [Wanted("lo", "service addresses and the DNS server"), Wanted("eth0", "the node's link")]
    return own + _pod_links(scene, place, links)


def _pod_links(scene: Scene, place: Place, links: Mapping[str, Any]) -> list[Wanted]:
    """Every pod's end: those that are there, for which sandbox each is only the runtime knows."""
    return [Wanted(name, "a pod's link") for name in links if name.startswith("veth")]


def overlay_link(scene: Scene, place: Place) -> list[Wanted]:
    """Where other nodes' pods are reached through it. Reads the node's address."""
    if place is scene.host or scene.world.nodes is None:
        return []
    link = own_interface(place)
    if not network_plan(scene.profile, scene.world.nodes, place.name, link).end:
        return []
    return [Wanted(VXLAN_LINK, "the way to other nodes' pods")]


def judge(
    profile: str, place: Place, wanted: Iterable[Wanted], links: Mapping[str, Any]
) -> list[NetFinding]:
    """Pure."""
    found = []
    for one in wanted:
        seen = links.get(one.name)
        if seen is None:
            what = f"the link {one.name} ({one.what}) is not there"
            fix = f"tiphys stop -p {profile} && tiphys start -p {profile}"
            cause = "somebody deleted it"
        elif "UP" not in seen["flags"]:
            what = f"the link {one.name} ({one.what}) is down"
            fix = f"{place.prefix}ip link set {one.name} up"
            cause = "somebody set it down; its routes are gone with it"
        else:
            continue
        found.append(NetFinding(NAME, place.name, what, cause, fix, touches=one.touches))
    return found


def with_routes(finding: NetFinding, scene: Scene, place: Place) -> NetFinding:
    commands = [route_command(place, route) for route in missing_routes(scene, place)]
    return replace(finding, fix=" && ".join([finding.fix, *commands])) if commands else finding
