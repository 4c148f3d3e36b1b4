"""Another proxy mode: which rules go and come, and what becomes of connections."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tiphys.cluster.netcheck import nft_text, planned_rules, scratch
from tiphys.cluster.netcheck.diff.change import ADD, REMOVE, Change
from tiphys.cluster.netcheck.nft_text import Table
from tiphys.cluster.netcheck.planned_rules import IPTABLES, USERSPACE
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.profile import Profile
from tiphys.proxy.iptables_rules import own_lines
from tiphys.proxy.nft_table import AFFINITY, TABLE
from tiphys.proxy.plan import Backend, Frontend

Line = tuple[str, str]
"""A kind (rule or element) and its text."""

# What `tiphys stop` does to them, whatever changes.
STOPPED: Final = (
    "`tiphys stop` ends the pods and with them every connection; none outlives the change"
)
_AFFINITY: Final = "session affinity begins anew: a client may come to another endpoint"
_TO_USERSPACE: Final = (
    "afterwards endpoints see the node as their client, and connections end with the proxy's "
    "process"
)
_FROM_USERSPACE: Final = (
    "afterwards endpoints see their clients' own addresses, and connections outlive the proxy's "
    "process"
)


def changes(scene: Scene, mode: str) -> list[Change]:
    """Of every node of this machine. Rules are listed as the kernel understands them."""
    world = scene.world
    found: list[Change] = []
    for node, _ in scene.nodes:
        wanted = planned_rules.frontends(
            world.services or [], world.slices or [], node.name, node.address
        )
        before = lines(scene.profile, wanted, node.address, scene.profile.proxy_mode)
        after = lines(scene.profile, wanted, node.address, mode)
        found += compare(node.name, before, after)
        found += sockets(node.name, wanted, scene.profile.proxy_mode, mode)
    return found


def lines(
    profile: Profile, wanted: Mapping[Frontend, Backend], address: str, mode: str
) -> list[Line]:
    if mode == IPTABLES:
        text = planned_rules.iptables_rules(wanted, profile.pod_cidr, profile.service_cidr)
        return [("rule", line) for line in own_lines(scratch.iptables(text)) if " -A " in line]
    backends = planned_rules.to_sockets(wanted, address) if mode == USERSPACE else wanted
    text = planned_rules.nft_rules(backends, profile.pod_cidr, (), mode)
    return list(of_table(nft_text.parse(scratch.nft_table(text, TABLE), {AFFINITY}), mode))


def of_table(table: Table, mode: str) -> Iterator[Line]:
    """Pure. In userspace mode endpoints are sockets whose ports are found when they are opened."""
    for chain, rules in table.chains.items():
        for rule in rules:
            yield "rule", f"table {TABLE} chain {chain}: {rule}"
    for name, elements in table.sets.items():
        for element in sorted(elements):
            told = element
            if mode == USERSPACE and name.endswith("endpoints"):
                told = f"{planned_rules.without_port(element)} . PORT"
            yield "element", f"table {TABLE} {name}: {told}"


def compare(where: str, before: Iterable[Line], after: Iterable[Line]) -> list[Change]:
    """Pure."""
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    gone = [Change(where, REMOVE, kind, text) for kind, text in old if (kind, text) not in new]
    return gone + [Change(where, ADD, kind, text) for kind, text in new if (kind, text) not in old]


def sockets(
    where: str, wanted: Mapping[Frontend, Backend], before: str, after: str
) -> list[Change]:
    """Of the userspace mode: one for all of TCP, one for each frontend of UDP. Pure."""
    if USERSPACE not in (before, after) or before == after:
        return []
    action = ADD if after == USERSPACE else REMOVE
    found = [Change(where, action, "socket", "of the proxy for all TCP Services")]
    return found + [
        Change(where, action, "socket", f"of the proxy for {f.address}:{f.port}/udp")
        for f in sorted(wanted)
        if f.protocol == "udp"
    ]


def connections(before: str, after: str) -> tuple[str, ...]:
    """What becomes of them. Pure."""
    if before == after:
        return ()
    found = (STOPPED, _AFFINITY)
    if after == USERSPACE:
        return (*found, _TO_USERSPACE)
    return (*found, _FROM_USERSPACE) if before == USERSPACE else found
