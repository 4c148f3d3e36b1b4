"""The plan as elements of kernel sets and maps, with as few changes as possible. Pure.

    services            protocol . address . port          -> goto cluster-N or external-N
    node-ports          protocol . port                    -> goto node-port-N
    endpoints           protocol . address . port . index  -> address . port
    node-port-endpoints protocol . port . index            -> address . port
    hairpin             endpoint . endpoint
    no-endpoints, no-endpoints-node-ports, cluster-addresses

N is the number of endpoints; the chain chooses index = random modulo N. When an endpoint goes, the
last index moves into its place, so that the others keep theirs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tiphys.proxy.plan import Backend, Frontend, Kind, Plan, Target

Key = tuple[str | int, ...]
Value = tuple[str | int, ...] | str | None  # a concatenation, a chain's name, or nothing (a set)


class Element(NamedTuple):
    set_name: str
    key: Key
    value: Value


@dataclass(frozen=True, slots=True)
class Layout:
    """order: each frontend's targets by index."""

    elements: Mapping[tuple[str, Key], Value] = field(default_factory=dict)
    order: Mapping[Frontend, tuple[Target, ...]] = field(default_factory=dict)

    @property
    def largest(self) -> int:
        return max((len(targets) for targets in self.order.values()), default=0)


@dataclass(frozen=True, slots=True)
class Changes:
    """Deletions come first: a changed element is deleted and added in one transaction."""

    delete: tuple[Element, ...]
    add: tuple[Element, ...]


def arrange(old: Sequence[Target], wanted: Iterable[Target]) -> tuple[Target, ...]:
    """wanted in an order that keeps as many indices of old as possible."""
    left = list(dict.fromkeys(wanted))
    count = len(left)
    slots: list[Target | None] = [None] * count
    for index, target in enumerate(old[:count]):
        if target in left:
            slots[index] = target
    placed = {t for t in slots if t is not None}
    rest = iter([t for t in left if t not in placed])
    return tuple(slot if slot is not None else next(rest) for slot in slots)


def lay_out(plan: Plan, old: Layout) -> Layout:
    """The elements that a plan needs."""
    elements: dict[tuple[str, Key], Value] = {}
    order: dict[Frontend, tuple[Target, ...]] = {}
    for frontend, backend in plan.frontends.items():
        targets = arrange(old.order.get(frontend, ()), backend.targets)
        order[frontend] = targets
        elements |= _frontend_elements(frontend, backend, targets)
        for target in targets:
            elements[("hairpin", (target.address, target.address))] = None
    for address in plan.cluster_addresses:
        elements[("cluster-addresses", (address,))] = None
    return Layout(elements, order)


def _frontend_elements(
    frontend: Frontend, backend: Backend, targets: Sequence[Target]
) -> dict[tuple[str, Key], Value]:
    node_port = frontend.kind is Kind.NODE_PORT
    key: Key = (
        (frontend.protocol, frontend.port)
        if node_port
        else (frontend.protocol, frontend.address, frontend.port)
    )
    if not targets:
        return {("no-endpoints-node-ports" if node_port else "no-endpoints", key): None}
    found: dict[tuple[str, Key], Value] = {
        ("node-ports" if node_port else "services", key): chain_name(
            node_port=node_port, masquerade=backend.masquerade, count=len(targets)
        )
    }
    name = "node-port-endpoints" if node_port else "endpoints"
    for index, target in enumerate(targets):
        found[(name, (*key, index))] = (target.address, target.port)
    return found


def chain_name(*, node_port: bool, masquerade: bool, count: int) -> str:
    kind = "node-port" if node_port else "service"
    return f"{kind}-{'masquerade-' if masquerade else ''}{count}"


def changes(old: Layout, new: Layout) -> Changes:
    """What turns one layout into another."""
    delete = [
        Element(name, key, value)
        for (name, key), value in old.elements.items()
        if (name, key) not in new.elements or new.elements[(name, key)] != value
    ]
    add = [
        Element(name, key, value)
        for (name, key), value in new.elements.items()
        if (name, key) not in old.elements or old.elements[(name, key)] != value
    ]
    return Changes(tuple(delete), tuple(add))
