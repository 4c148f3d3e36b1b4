"""Whether packets arrive: between all nodes, to pods of every node, to the API server.

What is seen here is an effect: where another check found the cause, it is told with that.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.place import Place, PlaceError
from tiphys.cluster.netcheck.pods import open_addresses
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
    failed = [(way, why) for way, why in zip(ways, answers, strict=True) if why]
    return judge([(way, why, suspects(scene, way)) for way, why in failed])


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
            for pod in open_addresses(scene, name)[:PODS_PER_NODE_MAX]:
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
    """What makes rules of others let the cluster's packets pass, on the host and at both ends."""
    names = {way.start.name, way.at, scene.host.name}
    ranges = f"{{ {scene.profile.pod_cidr}, {scene.profile.node_cidr} }}"
    places = [place for place in scene.places if place.name in names]
    found = []
    for place in places:
        try:
            listed = place.run(["nft", "-s", "list", "ruleset"])
        except PlaceError:
            continue
        for chain in dropping_chains(listed):
            rules = [
                f"insert rule {chain} ip {side} {ranges} accept" for side in ("saddr", "daddr")
            ]
            found += [f"{place.prefix}nft '{rule}'" for rule in rules]
    return found


def dropping_chains(listed: str) -> list[str]:
    """`FAMILY TABLE CHAIN` of chains that are not ours and drop or refuse something. Pure."""
    found: list[str] = []
    table = chain = ""
    for line in listed.splitlines():
        words = line.split()
        if line.startswith("table "):
            table, chain = " ".join(words[1:3]), ""
        elif words[:1] == ["chain"]:
            chain = words[1]
        elif chain and _drops(words) and not _is_ours(table, chain):
            found.append(f"{table} {chain}")
    return list(dict.fromkeys(found))


def _drops(words: Sequence[str]) -> bool:
    return bool({"drop", "drop;", "reject"} & set(words))


def _is_ours(table: str, chain: str) -> bool:
    """Also chains of the iptables mode, which stand in everybody's tables."""
    family, name = table.split()
    if family not in ("ip", "inet"):
        return True  # Not about packets of IPv4 between machines.
    if chain.startswith("KUBE-"):
        return True
    return name == "kube-proxy" or name.startswith("tiphys-")


def judge(failed: Iterable[tuple[Way, str, Sequence[str]]]) -> list[NetFinding]:
    """Pure. What rules of others drop is one finding, whatever the ways."""
    found: list[NetFinding] = []
    dropped: dict[str, list[tuple[Way, str]]] = {}
    for way, why, dropping in failed:
        if dropping:
            fix = " && ".join(dict.fromkeys(dropping))
            dropped.setdefault(fix, []).append((way, why))
            continue
        cause = "links, routes, settings and rules of this machine are as they must be: look at "
        cause += "the machine between or the other end"
        fix = f"{way.start.prefix}ip route get {way.address}"
        touches = frozenset({way.at})
        what = f"no packets from {way.what}: {why}"
        found.append(NetFinding(NAME, way.start.name, what, cause, fix, touches=touches))
    for fix, ways in dropped.items():
        what = "; ".join(f"no packets from {way.what}: {why}" for way, why in ways)
        touches = frozenset(name for way, _ in ways for name in (way.at, way.start.name))
        where, cause = ways[0][0].at, "rules of somebody else drop packets"
        found.append(NetFinding(NAME, where, what, cause, fix, touches=touches))
    return found
