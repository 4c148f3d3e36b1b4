"""Settings of the kernel, each with the value that is wanted and why."""

from collections.abc import Iterable, Mapping
from typing import Final

from tiphys.cluster import forwarding
from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.node_network import NODE_SYSCTLS

NAME: Final = "sysctls"
WHY: Final = {
    "net.ipv4.ip_forward": "packets between pods, nodes and the world are forwarded here",
    "net.ipv4.conf.all.rp_filter": "answers may come by another way than questions went: a strict "
    "filter drops them",
    "net.ipv4.conf.default.rp_filter": "links of later pods begin with it",
    "net.ipv4.conf.eth0.rp_filter": "the kernel takes the stricter of this and `all`",
    "net.ipv4.conf.all.route_localnet": "the node's own 127.0.0.1 may be the source of packets to "
    "Services",
    "net.ipv6.conf.default.disable_ipv6": "only IPv4 is routed: nothing may pass beside the rules",
    "net.ipv6.conf.all.disable_ipv6": "only IPv4 is routed: nothing may pass beside the rules",
}
ON_NODES: Final = NODE_SYSCTLS
ON_HOST: Final = {forwarding.NAME: "1"}


def look(scene: Scene) -> list[NetFinding]:
    found: list[NetFinding] = []
    for place in scene.places:
        wanted = wanted_at(place)
        seen = {name: place.sysctl(name) for name in wanted}
        others = [node.name for node, _ in scene.nodes] if place is scene.host else []
        found += judge(place, wanted, seen, others)
    return found


def wanted_at(place: Place) -> Mapping[str, str]:
    """A machine's other settings are its administrator's. Pure."""
    return ON_HOST if place.namespace is None else ON_NODES


def judge(
    place: Place,
    wanted: Mapping[str, str],
    seen: Mapping[str, str | None],
    others: Iterable[str] = (),
) -> list[NetFinding]:
    """Pure. others: nodes whose packets go through here."""
    return [
        NetFinding(
            NAME,
            place.name,
            f"{name} is {seen[name]}, wanted {value}",
            f"somebody changed it; {WHY[name]}",
            f"{place.prefix}sysctl -w {name}={value}",
            touches=frozenset(others),
        )
        for name, value in wanted.items()
        if seen.get(name) not in (value, None)
    ]
