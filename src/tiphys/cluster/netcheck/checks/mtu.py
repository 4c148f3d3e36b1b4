"""How long packets may be: of every link, and of every path by packets that may not be divided."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from tiphys.cluster import node_network
from tiphys.cluster.netcheck.finding import NetFinding, explained
from tiphys.cluster.netcheck.place import Place, PlaceError
from tiphys.cluster.netcheck.pod_places import pod_places
from tiphys.cluster.netcheck.pods import open_addresses
from tiphys.cluster.netcheck.probes import at_once, path_mtu
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.node_components import MTU_DEFAULT
from tiphys.network.kernel import own_link
from tiphys.network.plan import VXLAN_LINK, VXLAN_OVERHEAD_BYTES, Overlay, pod_mtu

NAME: Final = "mtu"
PODS_PER_NODE_MAX: Final = 3  # Paths to further pods of a node differ in the last link only.


class Path(NamedTuple):
    """From a place to an address; at: whose it is."""

    start: Place
    address: str
    at: str
    wanted: int
    what: str


def look(scene: Scene) -> list[NetFinding]:
    links: list[NetFinding] = []
    for place in scene.places:
        seen = {one["ifname"]: one for one in place.links()}
        links += judge_links(place, wanted_links(scene, place, seen), seen, _everybody(scene))
    links += _inside_pods(scene)
    paths = wanted_paths(scene, _link_mtu(scene))
    found = at_once(lambda path: path_mtu(path.start, path.address, path.wanted), paths)
    return explained(links, judge_paths(zip(paths, found, strict=True)))


def _everybody(scene: Scene) -> frozenset[str]:
    return frozenset(node.name for node, _ in scene.nodes)


def of_pods(scene: Scene) -> int:
    """Pure."""
    overlay = Overlay(scene.profile.overlay)
    return pod_mtu(MTU_DEFAULT, overlay, one_link=not scene.profile.uses_host_network)


def wanted_links(scene: Scene, place: Place, links: Iterable[str]) -> dict[str, int]:
    """Pure."""
    profile = scene.profile
    pods = {name: of_pods(scene) for name in links if name.startswith("veth")}
    if profile.uses_host_network:
        return pods  # The machine's own links are its administrator's.
    if place is scene.host:
        names = [node_network.veth_name(profile, node) for node, _ in scene.nodes]
        return dict.fromkeys([node_network.bridge_name(profile), *names], MTU_DEFAULT)
    return {"eth0": MTU_DEFAULT, VXLAN_LINK: MTU_DEFAULT - VXLAN_OVERHEAD_BYTES, **pods}


def judge_links(
    place: Place, wanted: Mapping[str, int], links: Mapping[str, Any], everybody: frozenset[str]
) -> list[NetFinding]:
    """Pure. A bridge has the smallest of its links' by itself: told only when they are right."""
    low = {n: w for n, w in wanted.items() if n in links and links[n]["mtu"] < w}
    members = [n for n in low if links[n].get("master") in low]
    bridges = {links[n]["master"] for n in members}
    return [
        NetFinding(
            NAME,
            place.name,
            f"the link {name} takes packets of {links[name]['mtu']} bytes, wanted {size}",
            "somebody lowered it: longer packets are lost without a word to their sender",
            f"{place.prefix}ip link set {name} mtu {size}",
            touches=everybody,
        )
        for name, size in low.items()
        if name not in bridges
    ]


def _inside_pods(scene: Scene) -> list[NetFinding]:
    """The pods' own ends."""
    found: list[NetFinding] = []
    try:
        places = pod_places(scene)
    except PlaceError:
        return []  # The check of processes tells of a runtime that does not answer.
    nodes = {place.namespace for _, place in scene.nodes}
    for place in places.values():
        if place.namespace in nodes:
            continue
        seen = {one["ifname"]: one for one in place.links()}
        found += judge_links(place, {"eth0": of_pods(scene)}, seen, frozenset())
    return found


def _link_mtu(scene: Scene) -> int:
    """Of what joins the nodes."""
    if not scene.profile.uses_host_network or not scene.nodes:
        return MTU_DEFAULT
    return own_link(scene.nodes[0][0].address)[0].mtu


def wanted_paths(scene: Scene, link_mtu: int) -> list[Path]:
    """Between all nodes, and from each node to some pods of each. Pure."""
    found = []
    targets = [(node.name, node.address) for node, _ in scene.nodes] + list(scene.elsewhere)
    for _, start in scene.nodes:
        for name, address in targets:
            if name != start.name and address:
                what = f"from {start.name} to {name}"
                found.append(Path(start, address, name, link_mtu, what))
        for name, _ in targets:
            for address in open_addresses(scene, name)[:PODS_PER_NODE_MAX]:
                what = f"from {start.name} to the pod {address} on {name}"
                found.append(Path(start, address, name, of_pods(scene), what))
    return found


def judge_paths(found: Iterable[tuple[Path, int | None]]) -> list[NetFinding]:
    """Pure. Paths on which nothing arrives are the check of reachability's."""
    return [
        NetFinding(
            NAME,
            path.start.name,
            f"{path.what} packets of {size} bytes arrive, wanted {path.wanted}",
            "a link between, of another machine, has a lower MTU",
            f"{path.start.prefix}ip link set $({path.start.prefix}ip -o route get {path.address} "
            f"| grep -o 'dev [^ ]*') mtu {size}",
            touches=frozenset({path.at}),
        )
        for path, size in found
        if size is not None and size < path.wanted
    ]
