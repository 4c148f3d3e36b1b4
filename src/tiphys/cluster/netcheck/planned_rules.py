"""The rules that a node's proxy and policy agent must have written, by the same plans. Pure.

As text that makes them: nft's, or that of iptables-restore.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from tiphys.api.meta import Obj
from tiphys.cluster.netcheck.scene import Scene
from tiphys.policy import layout as policy_layout
from tiphys.policy import plan as policy_plan
from tiphys.proxy.iptables_rules import RuleSet
from tiphys.proxy.layout import DROP, REJECT_CHAIN, Layout
from tiphys.proxy.nft_table import first_chains, ruleset
from tiphys.proxy.plan import Backend, Frontend, NodeView, Target, plan
from tiphys.proxy.userspace import redirected

NFTABLES, IPTABLES, USERSPACE = "nftables", "iptables", "userspace"
_SOMEWHERE: Final = 1  # The port of a socket of the userspace mode: any, masked when compared.
_COUNTED: Final = re.compile(r"((service|local)(-masquerade)?(-sticky)?|learn)-\d+")


def frontends(
    services: Iterable[Obj], slices: Iterable[Obj], node: str, address: str
) -> Mapping[Frontend, Backend]:
    return plan(services, slices, NodeView(node, (address,))).frontends


def nft_rules(
    wanted: Mapping[Frontend, Backend], cluster_cidr: str, seen_chains: Iterable[str], mode: str
) -> str:
    """seen_chains: chains for other numbers of endpoints stay when they are not used any more."""
    layout = Layout()
    layout.load(wanted)
    elements = list(layout.elements())
    verdicts = {v for _, _, v in elements if isinstance(v, str)} - {DROP, REJECT_CHAIN}
    kept = {name for name in seen_chains if _COUNTED.fullmatch(name)}
    chains = sorted({*first_chains(), *verdicts, *kept})
    return ruleset(elements, chains, cluster_cidr, masquerade=mode != USERSPACE)


def to_sockets(wanted: Mapping[Frontend, Backend], address: str) -> dict[Frontend, Backend]:
    """As the userspace mode writes it: everything to sockets of the node."""
    here = Target(address, _SOMEWHERE)
    return {frontend: redirected(backend, here) for frontend, backend in wanted.items()}


def iptables_rules(wanted: Mapping[Frontend, Backend], pods: str, services: str) -> str:
    rules = RuleSet(pods, services)
    rules.change(wanted)
    return rules.whole((), ())


def without_index(element: str) -> str:
    """An element of the map of endpoints without its place: any order will do."""
    key, separator, value = element.partition(" : ")
    return f"{key.rpartition(' . ')[0]}{separator}{value}" if separator else element


def without_port(element: str) -> str:
    """An element that leads to a socket, without its port."""
    return element.rpartition(" . ")[0] if " : " in element else element


def policies_of(scene: Scene, node: str) -> policy_plan.Plan:
    world = scene.world
    return policy_plan.plan(world.policies or [], world.pods or [], world.namespace_labels(), node)


def policy_rules(wanted: policy_plan.Plan) -> str:
    """ "" where no pod is isolated: then there is no table."""
    layout = policy_layout.layout(wanted)
    return "" if layout.is_empty else policy_layout.whole(layout)
