"""The kernel's rules against the plan: Services in every proxy mode, policies, the host's table."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from tiphys.cluster import host_node, node_network
from tiphys.cluster.netcheck import agent, nft_text, planned_rules, scratch
from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.nft_text import Table
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.planned_rules import IPTABLES, USERSPACE
from tiphys.cluster.netcheck.scene import Scene, World, read_world
from tiphys.policy.layout import TABLE as POLICIES
from tiphys.proxy.iptables_rules import own_lines
from tiphys.proxy.nft_table import AFFINITY
from tiphys.proxy.nft_table import TABLE as SERVICES

NAME: Final = "rules"
# Rules follow objects: what differs only while a change is under way is no difference.
SETTLE_SECONDS: Final = 0.3
SETTLE_ATTEMPTS_MAX: Final = 3


def look(scene: Scene) -> list[NetFinding]:
    found = []
    for place in scene.places:
        if place is not scene.host:
            different = settled(scene, partial(of_node, place=place))
            found += judge(scene, place, different)
    return found + _of_host(scene)


def settled(scene: Scene, compare: Callable[[Scene], list[str]]) -> list[str]:
    """Differences that are still there a moment later, with the objects of then."""
    for _ in range(SETTLE_ATTEMPTS_MAX - 1):
        if not compare(scene):
            return []
        time.sleep(SETTLE_SECONDS)
        scene = replace(scene, world=read_world(scene.profile))
    return compare(scene)


def of_node(scene: Scene, place: Place) -> list[str]:
    """What differs, in words. Nothing where the API did not tell."""
    world, profile = scene.world, scene.profile
    if world.services is None or world.slices is None:
        return []
    if profile.proxy_mode == IPTABLES:
        found = _iptables(scene, place, world)
    else:
        found = _nftables(scene, place, world)
    if world.policies is not None:
        found += _policies(scene, place)
    return found


def _nftables(scene: Scene, place: Place, world: World) -> list[str]:
    profile = scene.profile
    listed = scratch.seen_table(place, SERVICES)
    if listed is None:
        return [f"the table {SERVICES} is missing"]
    seen = nft_text.parse(listed, {AFFINITY})
    wanted = planned_rules.frontends(
        world.services or [], world.slices or [], place.name, place.address
    )
    if profile.proxy_mode == USERSPACE:
        wanted = planned_rules.to_sockets(wanted, place.address)
    text = planned_rules.nft_rules(wanted, profile.pod_cidr, seen.chains, profile.proxy_mode)
    planned = nft_text.parse(scratch.nft_table(text, SERVICES), {AFFINITY})
    masked = profile.proxy_mode == USERSPACE
    return nft_text.differences(any_order(planned, masked=masked), any_order(seen, masked=masked))


def any_order(table: Table, *, masked: bool) -> Table:
    """Endpoints may stand in any order, and the sockets of the userspace mode anywhere. Pure."""
    sets = dict(table.sets)
    for name in ("endpoints", "local-endpoints"):
        elements = {planned_rules.without_index(e) for e in sets.get(name, ())}
        if masked:
            elements = {planned_rules.without_port(e) for e in elements}
        sets[name] = frozenset(elements)
    return Table(table.chains, sets)


def _iptables(scene: Scene, place: Place, world: World) -> list[str]:
    wanted = planned_rules.frontends(
        world.services or [], world.slices or [], place.name, place.address
    )
    text = planned_rules.iptables_rules(wanted, scene.profile.pod_cidr, scene.profile.service_cidr)
    planned = own_lines(scratch.iptables(text))
    return compare_lines(planned, own_lines(place.run(["iptables-save"])))


def compare_lines(planned: list[str], seen: list[str]) -> list[str]:
    """Lines of iptables-save. Counters of chains, which stand in brackets, do not count. Pure."""
    left, right = [_plain(line) for line in planned], [_plain(line) for line in seen]
    there, wanted = set(right), set(left)
    found = [f"iptables lacks `{line}`" for line in left if line not in there]
    return found + [f"iptables has `{line}`, not ours" for line in right if line not in wanted]


def _plain(line: str) -> str:
    return line.partition(" [")[0]


def _policies(scene: Scene, place: Place) -> list[str]:
    text = planned_rules.policy_rules(planned_rules.policies_of(scene, place.name))
    listed = scratch.seen_table(place, POLICIES)
    if not text:
        return [] if listed is None else [f"the table {POLICIES} is there without any policy"]
    if listed is None:
        return [f"the table {POLICIES} is missing"]
    planned = nft_text.parse(scratch.nft_table(text, POLICIES))
    return nft_text.differences(planned, nft_text.parse(listed))


def judge(scene: Scene, place: Place, different: list[str]) -> list[NetFinding]:
    """One finding for a node: who writes the rules writes all of them, and one fix mends all."""
    process = scene.process("proxy", place.name)
    seen = agent.state(process)
    if not different and seen == agent.RUNNING:
        return []
    mode = scene.profile.proxy_mode
    what = nft_text.told(different) if different else "nobody keeps the rules up to date"
    otherwise = "somebody changed them just now: the proxy writes them again within seconds"
    return [
        NetFinding(
            NAME,
            place.name,
            f"rules ({mode}): {what}",
            agent.cause(process, seen, otherwise),
            agent.fix(process, seen, scene.profile.name),
        )
    ]


def _of_host(scene: Scene) -> list[NetFinding]:
    """The table by which what leaves the cluster takes the machine's address."""
    profile, name = scene.profile, node_network.table_name(scene.profile)
    if profile.uses_host_network:
        text = host_node.table(profile, name)
    else:
        text = node_network.host_table(profile)
    listed = scratch.seen_table(scene.host, name)
    if listed is None:
        different = [f"the table {name} is missing"]
    else:
        planned = nft_text.parse(scratch.nft_table(text, name))
        different = nft_text.differences(planned, nft_text.parse(listed))
    if not different:
        return []
    nodes = frozenset(node.name for node, _ in scene.nodes)
    return [
        NetFinding(
            NAME,
            scene.host.name,
            f"the host's rules: {nft_text.told(different)}",
            "somebody changed them: packets of nodes and pods to the world keep addresses that "
            "nobody there knows",
            f"nft '{text.strip()}'",
            touches=nodes,
        )
    ]
