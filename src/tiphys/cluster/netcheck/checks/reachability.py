"""Whether packets arrive: between all nodes, to pods of every node, to the API server.

What is seen here is an effect: where another check found the cause, it is told with that.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tiphys.cluster.netcheck.checks.links import pod_addresses
from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.place import Place, PlaceError
from tiphys.cluster.netcheck.probes import at_once, connects, reaches
from tiphys.cluster.netcheck.scene import Scene

NAME: Final = "reachability"
PODS_PER_NODE_MAX: Final = 2


class Way(NamedTuple):
    """at: whose the address is. port: of TCP, or 0 for an echo."""

    start: Place
    address: str
    port: int
    at: str
    what: str


def look(scene: Scene) -> list[NetFinding]:
    ways = wanted_ways(scene)
    answers = at_once(_try, ways)
    found = []
    for way, why in zip(ways, answers, strict=True):
        if why:
            found.append(judge(way, why, suspects(scene, way)))
    return found


def _try(way: Way) -> str:
    """ "" when it arrives, else why not."""
    if way.port:
        return connects(way.start, way.address, way.port)
    return "" if reaches(way.start, way.address) else "no answer"


def wanted_ways(scene: Scene) -> list[Way]:
    """Pure."""
    found: list[Way] = []
    targets = [(node.name, node.address) for node, _ in scene.nodes] + list(scene.elsewhere)
    for start in scene.places:
        for name, address in targets:
            if name == start.name or not address:
                continue
            found.append(Way(start, address, 0, name, f"{start.name} to {name} ({address})"))
            for pod in pod_addresses(scene, name)[:PODS_PER_NODE_MAX]:
                what = f"{start.name} to the pod {pod} on {name}"
                found.append(Way(start, pod, 0, name, what))
    server = urlsplit(scene.profile.server)
    for _, start in scene.nodes:
        port = server.port or 443
        what = f"{start.name} to the API server ({server.hostname}:{port})"
        found.append(Way(start, server.hostname or "", port, scene.host.name, what))
        service = scene.profile.kubernetes_service
        what = f"{start.name} to the Service kubernetes ({service}:443)"
        found.append(Way(start, service, 443, start.name, what))
    return found


def suspects(scene: Scene, way: Way) -> list[str]:
    """Tables of others that drop packets, on the host and at both ends."""
    names = {way.start.name, way.at, scene.host.name}
    places = [scene.host, *[place for _, place in scene.nodes]]
    found = []
    for place in places:
        if place.name in names:
            try:
                listed = place.run(["nft", "-s", "list", "ruleset"])
            except PlaceError:
                continue
            found += [f"{place.prefix}nft delete table {t}" for t in dropping_tables(listed)]
    return found


def dropping_tables(listed: str) -> list[str]:
    """`FAMILY NAME` of tables that are not ours and drop or refuse something. Pure."""
    found: list[str] = []
    name = ""
    for line in listed.splitlines():
        words = line.split()
        if line.startswith("table "):
            name = " ".join(words[1:3])
        elif name and not _is_ours(name) and {"drop", "drop;", "reject"} & set(words):
            found.append(name)
    return list(dict.fromkeys(found))


def _is_ours(table: str) -> bool:
    name = table.split()[1]
    return name == "kube-proxy" or name.startswith("tiphys-")


def judge(way: Way, why: str, dropping: Iterable[str]) -> NetFinding:
    """Pure."""
    fixes = list(dict.fromkeys(dropping))
    if fixes:
        cause = "rules of somebody else drop packets"
        fix = " && ".join(fixes)
    else:
        cause = "links, routes, settings and rules of this machine are as they must be: look at "
        cause += "the machine between or the other end"
        fix = f"{way.start.prefix}ip route get {way.address}"
    return NetFinding(
        NAME,
        way.start.name,
        f"no packets from {way.what}: {why}",
        cause,
        fix,
        touches=frozenset({way.at}),
    )
