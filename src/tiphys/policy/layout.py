"""A plan as sets, chains and maps of nftables, and as text. Pure.

    forward: known connections pass -> chain of the sender's address -> chain of the receiver's
    input:   the same for what a pod sends to its own node, DNS apart: the node is no pod

A chain returns what a rule allows and drops the rest. Pods with the same rules share a chain, which
its rules name, so that chains never change; peers are elements of sets, which do.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tiphys.policy.plan import Match, Plan, Ports

TABLE: Final = "tiphys-network-policies"


@dataclass(frozen=True, slots=True)
class Layout:
    """Sets with their networks, chains with their rules, and the chain of each pod's address."""

    sets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ingress: Mapping[str, str] = field(default_factory=dict)
    egress: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.ingress and not self.egress

    @property
    def own(self) -> frozenset[str]:
        """From a pod to itself by its Service: no policy forbids that."""
        return frozenset(f"{a} . {a}" for a in {*self.ingress, *self.egress})


def layout(plan: Plan) -> Layout:
    sets: dict[str, frozenset[str]] = {}
    chains: dict[str, tuple[str, ...]] = {}
    maps: list[dict[str, str]] = []
    for prefix, side, pods in (("in", "saddr", plan.ingress), ("out", "daddr", plan.egress)):
        found: dict[str, str] = {}
        for address, matches in pods.items():
            rules = (*(rule for match in matches for rule in _rules(match, side)), "drop")
            name = f"{prefix}-{hashlib.sha256(repr(rules).encode()).hexdigest()[:16]}"
            chains[name] = rules
            found[address] = name
            for match in matches:
                if match.peers is not None:
                    sets[match.name] = frozenset(str(network) for network in match.peers)
        maps.append(found)
    return Layout(sets, chains, *maps)


def _rules(match: Match, side: str) -> Iterator[str]:
    who = "" if match.peers is None else f"ip {side} @{match.name} "
    if match.ports is None:
        yield f"{who}return"
        return
    for protocol in sorted({ports.protocol for ports in match.ports}):
        shown = sorted({_text(p) for p in match.ports if p.protocol == protocol})
        yield f"{who}{protocol} dport {{ {', '.join(shown)} }} return"


def _text(ports: Ports) -> str:
    return str(ports.low) if ports.low == ports.high else f"{ports.low}-{ports.high}"


def removal() -> str:
    """Takes the table away; none there is fine."""
    return f"table ip {TABLE}\ndelete table ip {TABLE}\n"


def whole(wanted: Layout) -> str:
    """The table from nothing, instead of whatever was there."""
    lines = [
        f"table ip {TABLE} {{",
        "  map ingress { type ipv4_addr : verdict; }",
        "  map egress { type ipv4_addr : verdict; }",
        "  set own { type ipv4_addr . ipv4_addr; }",
        "  chain forward {",
        "    type filter hook forward priority filter; policy accept;",
        "    ct state established,related accept",
        "    ip saddr . ip daddr @own accept",
        "    ip saddr vmap @egress",
        "    ip daddr vmap @ingress",
        "  }",
        "  chain input {",
        "    type filter hook input priority filter; policy accept;",
        "    ct state established,related accept",
        # The cluster's DNS is a server of the node here: upstream's policies name its pods.
        "    meta l4proto { tcp, udp } th dport 53 accept",
        "    ip saddr vmap @egress",
        "  }",
        "}",
    ]
    return removal() + "\n".join(lines) + "\n" + difference(Layout(), wanted)


def difference(old: Layout, new: Layout) -> str:
    """What changes one into the other, in one transaction; "" for nothing."""
    return "".join(f"{line}\n" for line in _difference(old, new))


def _difference(old: Layout, new: Layout) -> Iterator[str]:
    for name in sorted(new.sets.keys() - old.sets.keys()):
        yield f"add set ip {TABLE} {name} {{ type ipv4_addr; flags interval; }}"
    for name, wanted in sorted(new.sets.items()):
        present = old.sets.get(name, frozenset())
        yield from _elements("delete", name, present - wanted)
        yield from _elements("add", name, wanted - present)
    for name in sorted(new.chains.keys() - old.chains.keys()):
        yield f"add chain ip {TABLE} {name}"
        for rule in new.chains[name]:
            yield f"add rule ip {TABLE} {name} {rule}"
    yield from _elements("delete", "own", old.own - new.own)
    yield from _elements("add", "own", new.own - old.own)
    for map_name, before, after in (
        ("ingress", old.ingress, new.ingress),
        ("egress", old.egress, new.egress),
    ):
        gone = before.items() - after.items()
        yield from _elements("delete", map_name, [f"{a} : jump {c}" for a, c in gone])
        come = after.items() - before.items()
        yield from _elements("add", map_name, [f"{a} : jump {c}" for a, c in come])
    for name in sorted(old.chains.keys() - new.chains.keys()):
        yield f"flush chain ip {TABLE} {name}"
        yield f"delete chain ip {TABLE} {name}"
    for name in sorted(old.sets.keys() - new.sets.keys()):
        yield f"delete set ip {TABLE} {name}"


def _elements(verb: str, name: str, elements: Iterable[str]) -> Iterator[str]:
    if found := sorted(elements):
        yield f"{verb} element ip {TABLE} {name} {{ {', '.join(found)} }}"
