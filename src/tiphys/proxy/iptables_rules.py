"""Frontends as iptables chains and rules, in text for iptables-restore --noflush. Pure.

    nat     KUBE-SERVICES -> KUBE-SVC-X (all endpoints) | KUBE-SVL-X (those of this node)
                           | KUBE-EXT-X (from outside) | KUBE-FW-X (source ranges, then KUBE-EXT-X)
            KUBE-SVC-X, KUBE-SVL-X -> KUBE-SEP-Y (one endpoint: DNAT)
            KUBE-POSTROUTING masquerades what KUBE-MARK-MASQ marked
    filter  KUBE-PROXY-FIREWALL drops what no source range let through,
            KUBE-SERVICES rejects or drops where there are no endpoints,
            KUBE-SERVICE-RANGE rejects ports of the service range that nobody has

X is a hash of a Service port, Y one of a Service port and an endpoint.
Upstream: pkg/proxy/iptables/proxier.go, whose names these are.
"""

import hashlib
from base64 import b32encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tiphys.proxy.change_tracker import FrontendChanges
from tiphys.proxy.plan import Backend, Frontend, Kind, Target

MARK: Final = "0x4000"
TABLES: Final = ("nat", "filter")
PREFIXES: Final = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-")
_NEW: Final = "-m conntrack --ctstate NEW"
# The kernel sends few ICMP errors per second; a reset always comes.
_REJECT: Final = {"tcp": "REJECT --reject-with tcp-reset", "udp": "REJECT"}
_FIXED_CHAINS: Final = {
    "nat": ("KUBE-SERVICES", "KUBE-MARK-MASQ", "KUBE-POSTROUTING"),
    "filter": ("KUBE-SERVICES", "KUBE-PROXY-FIREWALL", "KUBE-SERVICE-RANGE"),
}
_JUMPS: Final = {
    "nat": (
        "PREROUTING -j KUBE-SERVICES",
        "OUTPUT -j KUBE-SERVICES",
        "POSTROUTING -j KUBE-POSTROUTING",
    ),
    "filter": tuple(
        f"{hook} {_NEW} -j {chain}"
        for hook in ("INPUT", "FORWARD", "OUTPUT")
        for chain in _FIXED_CHAINS["filter"]
    ),
}


class Group(NamedTuple):
    """One Service port: its frontends share chains."""

    service: str
    protocol: str


class Rule(NamedTuple):
    table: str
    text: str  # what follows -A: the chain, then the rule


Chains = Mapping[str, tuple[str, ...]]
"""Chains of the table nat, each with its rules without `-A CHAIN`."""


@dataclass(frozen=True, slots=True)
class GroupRules:
    chains: Chains = field(default_factory=dict)
    entries: frozenset[Rule] = frozenset()  # Rules in the fixed chains.


class RuleSet:
    """What iptables holds, by Service port."""

    def __init__(self, cluster_cidr: str, service_cidr: str = "") -> None:
        self._cluster_cidr = cluster_cidr
        self._service_cidr = service_cidr
        self._groups: dict[Group, dict[Frontend, Backend]] = {}
        self._owners: dict[Frontend, Group] = {}
        self._rules: dict[Group, GroupRules] = {}

    def change(self, changed: FrontendChanges) -> str:
        """Take new backends; the text that makes the difference. Empty where there is none."""
        touched: set[Group] = set()
        for frontend, backend in changed.items():
            if (owner := self._owners.pop(frontend, None)) is not None:
                del self._groups[owner][frontend]
                touched.add(owner)
            if backend is not None:
                group = Group(backend.service, frontend.protocol)
                self._owners[frontend] = group
                self._groups.setdefault(group, {})[frontend] = backend
                touched.add(group)
        return self._differences(touched)

    def _differences(self, touched: Iterable[Group]) -> str:
        flush: dict[str, tuple[str, ...]] = {}
        unused: set[str] = set()
        gone: set[Rule] = set()
        come: set[Rule] = set()
        for group in sorted(touched):
            old = self._rules.pop(group, GroupRules())
            if self._groups[group]:
                new = group_rules(group, self._groups[group], self._cluster_cidr)
                self._rules[group] = new
            else:
                new = GroupRules()
                del self._groups[group]
            flush |= {c: r for c, r in new.chains.items() if old.chains.get(c) != r}
            unused |= old.chains.keys() - new.chains.keys()
            gone |= old.entries - new.entries
            come |= new.entries - old.entries
        nat = _table_text("nat", flush, sorted(unused), _of("nat", gone), _of("nat", come))
        rest = _table_text("filter", {}, (), _of("filter", gone), _of("filter", come))
        return nat + rest

    def whole(self, present: Sequence[Rule], chains: Sequence[str]) -> str:
        """Everything anew. present: our jumps that are there; chains: our nat chains there."""
        wanted: dict[str, tuple[str, ...]] = {}
        entries: list[Rule] = []
        for rules in self._rules.values():
            wanted |= rules.chains
            entries += rules.entries
        text = ""
        for table in TABLES:
            fixed = dict.fromkeys(_FIXED_CHAINS[table], ())
            own = wanted if table == "nat" else {}
            unused = [c for c in chains if c not in wanted | fixed] if table == "nat" else []
            come = [*self._constant(table), *[e for e in entries if e.table == table]]
            gone = _of(table, present)
            text += _table_text(table, fixed | own, unused, gone, come, _JUMPS[table])
        return text

    def _constant(self, table: str) -> list[Rule]:
        if table == "nat":
            texts = [
                f"KUBE-MARK-MASQ -j MARK --or-mark {MARK}",
                f"KUBE-POSTROUTING -m mark ! --mark {MARK}/{MARK} -j RETURN",
                f"KUBE-POSTROUTING -j MARK --xor-mark {MARK}",
                "KUBE-POSTROUTING -j MASQUERADE --random-fully",
            ]
        elif self._service_cidr:
            # Not what the node itself has: its DNS server listens on a service address.
            others = f"-d {self._service_cidr} -m addrtype ! --dst-type LOCAL"
            texts = [
                f"KUBE-SERVICE-RANGE {others} -p {protocol} -j {_REJECT[protocol]}"
                for protocol in sorted(_REJECT)
            ]
        else:
            texts = []
        return [Rule(table, text) for text in texts]


def removal(present: Sequence[Rule], chains: Mapping[str, Sequence[str]]) -> str:
    """Text that takes away our jumps and, by table, our chains."""
    return "".join(
        _table_text(table, {}, chains.get(table, ()), _of(table, present), ()) for table in TABLES
    )


def ours(saved: str) -> tuple[list[Rule], dict[str, list[str]]]:
    """Our jumps and, by table, our chains in what iptables-save printed."""
    jumps: list[Rule] = []
    chains: dict[str, list[str]] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            name = line[1:].split()[0]
            if is_ours(table, name):
                chains.setdefault(table, []).append(name)
        elif line.startswith("-A "):
            words = line.split()
            if is_ours(table, words[-1]) and words[-2] == "-j" and not is_ours(table, words[1]):
                jumps.append(Rule(table, line.removeprefix("-A ")))
    return jumps, chains


def is_ours(table: str, chain: str) -> bool:
    return chain in _FIXED_CHAINS.get(table, ()) or (table == "nat" and chain.startswith(PREFIXES))


def own_lines(saved: str) -> list[str]:
    """What iptables-save printed about us, to be compared later."""
    found = []
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif "KUBE-" in line:
            found.append(f"{table} {line}")
    return found


def _of(table: str, rules: Iterable[Rule]) -> list[Rule]:
    return sorted(rule for rule in rules if rule.table == table)


def _table_text(
    table: str,
    chains: Chains,
    unused: Sequence[str],
    gone: Sequence[Rule],
    come: Sequence[Rule],
    jumps: Sequence[str] = (),
) -> str:
    if not (chains or unused or gone or come):
        return ""
    lines = [f"*{table}"]
    lines += [f":{chain} - [0:0]" for chain in (*chains, *unused)]  # Makes them, or empties them.
    lines += [f"-D {rule.text}" for rule in gone]
    lines += [f"-I {jump}" for jump in reversed(jumps)]  # Before the rules of others.
    lines += [f"-A {rule.text}" for rule in come]
    lines += [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules]
    lines += [f"-X {chain}" for chain in unused]
    return "\n".join([*lines, "COMMIT"]) + "\n"


def group_rules(
    group: Group, frontends: Mapping[Frontend, Backend], cluster_cidr: str
) -> GroupRules:
    """Chains and entries of one Service port."""
    chains: dict[str, tuple[str, ...]] = {}
    entries: set[Rule] = set()
    for frontend, backend in frontends.items():
        entries |= _refusals(group, frontend, backend)
        if backend.reachable:
            chains |= _balancing(group, backend)
            chains |= _external(group, backend, cluster_cidr)
            entries.add(_dispatch(group, frontend, backend))
    # Replies to those who are no pods must come back through this node.
    marks = tuple(
        f"! -s {cluster_cidr} {_match(frontend)} -j KUBE-MARK-MASQ"
        for frontend, backend in sorted(frontends.items())
        if backend.kind is Kind.CLUSTER
    )
    for chain in (_chain("SVC", group), _chain("SVL", group)):
        if chain in chains:
            chains[chain] = (*marks, *chains[chain])
    return GroupRules(chains, frozenset(entries))


def _dispatch(group: Group, frontend: Frontend, backend: Backend) -> Rule:
    if backend.kind is Kind.CLUSTER:
        chain = _chain("SVL" if backend.local else "SVC", group)
    else:
        chain = _chain("FW" if backend.sources else "EXT", group)
    text = f"{_match(frontend)} {_comment(group, backend.kind.value)} -j {chain}"
    return Rule("nat", f"KUBE-SERVICES {text}")


def _refusals(group: Group, frontend: Frontend, backend: Backend) -> set[Rule]:
    found = set()
    if backend.sources and backend.reachable:
        comment = _comment(group, "not among the source ranges")
        text = f"KUBE-PROXY-FIREWALL {_match(frontend)} {comment} -j DROP"
        found.add(Rule("filter", text))
    if not backend.targets:
        where = "no endpoints on this node" if backend.drop else "no endpoints"
        verdict = "DROP" if backend.drop else _REJECT[frontend.protocol]
        text = f"KUBE-SERVICES {_match(frontend)} {_comment(group, where)} -j {verdict}"
        found.add(Rule("filter", text))
    return found


def _external(group: Group, backend: Backend, cluster_cidr: str) -> dict[str, tuple[str, ...]]:
    """Chains for what does not come to a cluster address."""
    if backend.kind is Kind.CLUSTER:
        return {}
    everywhere, here = _chain("SVC", group), _chain("SVL", group)
    outside = _chain("EXT", group)
    found: dict[str, tuple[str, ...]]
    if backend.near is None:
        found = {outside: ("-j KUBE-MARK-MASQ", f"-j {everywhere}")}
    else:
        node = "-m addrtype --src-type LOCAL -j"
        pods = f"-s {cluster_cidr} -j {everywhere}"
        others = (f"-j {here}",) if backend.targets else ()
        found = {outside: (pods, f"{node} KUBE-MARK-MASQ", f"{node} {everywhere}", *others)}
    if backend.sources:
        found[_chain("FW", group)] = tuple(f"-s {s} -j {outside}" for s in backend.sources)
    return found


def _balancing(group: Group, backend: Backend) -> dict[str, tuple[str, ...]]:
    """Chains that choose an endpoint, and those of the endpoints."""
    found: dict[str, tuple[str, ...]] = {}
    everywhere = backend.near if backend.local else backend.targets
    for kind, targets in (("SVC", everywhere), ("SVL", backend.targets if backend.local else ())):
        if targets:
            found[_chain(kind, group)] = _choice(group, backend, targets)
    for target in backend.reachable:
        found[_endpoint_chain(group, target)] = _endpoint(group, backend, target)
    return found


def _choice(group: Group, backend: Backend, targets: Sequence[Target]) -> tuple[str, ...]:
    """First the endpoint that a client is with, then any, each with the same probability."""
    chains = [_endpoint_chain(group, target) for target in targets]
    rules = []
    if backend.sticky_seconds:
        recent = f"--rcheck --seconds {backend.sticky_seconds} --reap"
        rules += [f"-m recent --name {chain} {recent} -j {chain}" for chain in chains]
    for index, chain in enumerate(chains):
        left = len(chains) - index
        chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        rules.append(f"{chance}-j {chain}")
    return tuple(rules)


def _endpoint(group: Group, backend: Backend, target: Target) -> tuple[str, ...]:
    hairpin = f"-s {target.address}/32 -j KUBE-MARK-MASQ"
    recent = ""
    if backend.sticky_seconds:
        recent = f"-m recent --name {_endpoint_chain(group, target)} --set "
    to = f"-j DNAT --to-destination {target.address}:{target.port}"
    return hairpin, f"{recent}-p {group.protocol} -m {group.protocol} {to}"


def _chain(kind: str, group: Group) -> str:
    return f"KUBE-{kind}-{_hash(group.service, group.protocol)}"


def _endpoint_chain(group: Group, target: Target) -> str:
    address = f"{target.address}:{target.port}"
    return f"KUBE-SEP-{_hash(group.service, group.protocol, address)}"


def _hash(*parts: str) -> str:
    """Sixteen characters, as names of chains may only have 28."""
    return b32encode(hashlib.sha256("".join(parts).encode()).digest()).decode()[:16]


def _match(frontend: Frontend) -> str:
    protocol = frontend.protocol
    return f"-d {frontend.address}/32 -p {protocol} -m {protocol} --dport {frontend.port}"


def _comment(group: Group, what: str) -> str:
    return f'-m comment --comment "{group.service} {what}"'
