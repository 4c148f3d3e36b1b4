"""The nftables table as text: sets, maps and chains, without a word about any Service. Pure.

    firewall (source ranges) -> services (DNAT) -> refuse -> learn (affinity) -> masquerade

Upstream: pkg/proxy/nftables/proxier.go. Differs: chains per number of endpoints, not per Service
(docs/adr/0005). Affinity is learnt after DNAT, from the packet that opens a connection.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from tiphys.proxy.layout import DROP, REJECT_CHAIN, Client, Element, Value

TABLE: Final = "kube-proxy"
CHAINS_MIN: Final = 16  # Chains made at once; others when a Service has more endpoints.
MARK: Final = 0x4000  # As upstream: masquerade on the way out.
CLIENTS_MAX: Final = 65536  # Remembered by affinity in all; more choose anew each time.

_KEY: Final = "meta l4proto . ip daddr . th dport"
_ORIGINAL: Final = "meta l4proto . ct original ip daddr . ct original proto-dst"
_BOTH: Final = "meta l4proto { tcp, udp }"
# The kernel sends few ICMP errors per second; a reset always comes.
_RESET: Final = "meta l4proto tcp reject with tcp reset"
_SERVICE_TYPE: Final = "type inet_proto . ipv4_addr . inet_service"
_INDEXED: Final = f"typeof {_KEY} . numgen random mod 2 : ip daddr . th dport"
SETS: Final = {
    "services": ("map", f"{_SERVICE_TYPE} : verdict;"),
    "near-pods": ("map", f"{_SERVICE_TYPE} : verdict;"),
    "near-node": ("map", f"{_SERVICE_TYPE} : verdict;"),
    "endpoints": ("map", f"{_INDEXED};"),
    "local-endpoints": ("map", f"{_INDEXED};"),
    "sticky": ("map", f"{_SERVICE_TYPE} : verdict;"),
    "refused": ("map", f"{_SERVICE_TYPE} : verdict;"),
    "restricted": ("set", f"{_SERVICE_TYPE};"),
    "allowed-sources": ("set", f"{_SERVICE_TYPE} . ipv4_addr; flags interval;"),
    "hairpin": ("set", "type ipv4_addr . ipv4_addr;"),
    "cluster-addresses": ("set", "type ipv4_addr;"),
}
AFFINITY: Final = "affinity"
_AFFINITY_TYPE: Final = (
    f"typeof ip saddr . {_KEY} : ip daddr . th dport; flags dynamic,timeout; size {CLIENTS_MAX};"
)
_CHAIN: Final = re.compile(r"(service|local)(-masquerade)?(-sticky)?-(\d+)")


def ruleset(
    elements: Iterable[Element],
    chains: Iterable[str],
    cluster_cidr: str,
    *,
    masquerade: bool = True,
    clients: Iterable[Client] = (),
) -> str:
    """The whole table as text; loading it replaces the one before in one transaction."""
    lines = [
        f"table ip {TABLE}",
        f"delete table ip {TABLE}",
        f"table ip {TABLE} {{",
        f"  chain {REJECT_CHAIN} {{ {_RESET}; reject; }}",
        *_affinity(clients),
        *_sets(elements),
        *[f"  chain {name} {{ {'; '.join(chain_rules(name))}; }}" for name in chains],
        *_hook_chains(cluster_cidr),
        *(_masquerade() if masquerade else ()),
        "}",
    ]
    return "\n".join(lines) + "\n"


def first_chains() -> list[str]:
    """Chains that most clusters need: made with the table, so that later only elements change."""
    return [
        f"{kind}-{number}"
        for number in range(1, CHAINS_MIN + 1)
        for kind in ("service", "service-masquerade")
    ]


def chain_rules(name: str) -> Sequence[str]:
    """What a chain of layout.chain_name, or a learn chain, does."""
    if name.startswith("learn-"):
        seconds = int(name.removeprefix("learn-"))
        key = f"ip saddr . {_ORIGINAL} timeout {seconds}s"
        return [f"{_BOTH} update @{AFFINITY} {{ {key} : ip daddr . th dport }}"]
    matched = _CHAIN.fullmatch(name)
    assert matched is not None, name
    kind, masquerade, sticky, count = matched.groups()
    rules = []
    if masquerade:
        rules.append(f"meta mark set meta mark or {MARK:#x}")
    if sticky:
        rules.append(f"{_BOTH} dnat ip to ip saddr . {_KEY} map @{AFFINITY}")
    endpoints = "local-endpoints" if kind == "local" else "endpoints"
    to = f"{_KEY} . numgen random mod {count} map @{endpoints}"
    return [*rules, f"{_BOTH} dnat ip to {to}"]


def _affinity(clients: Iterable[Client]) -> list[str]:
    """Clients that are known keep their endpoint for as long as they had left."""
    texts = [
        f"{client.address} . {' . '.join([str(p) for p in client.frontend])} "
        f"timeout {client.timeout_ms}ms expires {client.left_ms}ms : "
        f"{client.target.address} . {client.target.port}"
        for client in clients
    ]
    elements = [f"    elements = {{ {', '.join(texts)} }}"] if texts else []
    return [f"  map {AFFINITY} {{ {_AFFINITY_TYPE}", *elements, "  }"]


def _sets(elements: Iterable[Element]) -> list[str]:
    texts: dict[str, list[str]] = {}
    for name, key, value in elements:
        texts.setdefault(name, []).append(_element_text(key, value))
    lines = []
    for name, (kind, what) in SETS.items():
        lines.append(f"  {kind} {name} {{ {what}")
        if found := texts.get(name):
            lines.append(f"    elements = {{ {', '.join(found)} }}")
        lines.append("  }")
    return lines


def _element_text(key: tuple[str | int, ...], value: Value) -> str:
    left = " . ".join([str(p) for p in key])
    if value is None:
        return left
    if isinstance(value, str):
        return f"{left} : {DROP if value == DROP else f'goto {value}'}"
    return f"{left} : {' . '.join([str(p) for p in value])}"


def _hook_chains(cluster_cidr: str) -> list[str]:
    mark = f"meta mark set meta mark or {MARK:#x}"
    local = ["    jump services"]
    refuse = [
        f"    {_KEY} vmap @refused",
        f"    ip daddr @cluster-addresses {_BOTH} goto {REJECT_CHAIN}",
    ]
    new = "ct state new"
    return [
        "  chain services {",
        f"    ip saddr != {cluster_cidr} ip daddr @cluster-addresses {mark}",
        f"    ip saddr {cluster_cidr} {_KEY} vmap @near-pods",
        f"    fib saddr type local {_KEY} vmap @near-node",
        f"    {_KEY} vmap @services",
        "  }",
        "  chain refuse {",
        *refuse,
        "  }",
        "  chain firewall {",
        f"    {new} {_KEY} @restricted {_KEY} . ip saddr != @allowed-sources drop",
        "  }",
        "  chain learn {",
        f"    {new} ct status dnat {_BOTH} {_ORIGINAL} vmap @sticky",
        "  }",
        *_hooks("firewall", "filter", -110, ("prerouting", "output"), ["    jump firewall"]),
        *_hooks("nat", "nat", -100, ("prerouting", "output"), local),
        *_hooks("refuse", "filter", 0, ("input", "forward", "output"), [f"    {new} jump refuse"]),
        *_hooks("learn", "filter", 99, ("input", "postrouting"), ["    jump learn"]),
    ]


def _masquerade() -> list[str]:
    return [
        "  chain masquerade-postrouting { type nat hook postrouting priority 100; policy accept;",
        f"    meta mark and {MARK:#x} != 0 masquerade fully-random",
        "    ct status dnat ip saddr . ip daddr @hairpin masquerade fully-random",
        "  }",
    ]


def _hooks(
    name: str, kind: str, priority: int, hooks: Iterable[str], rules: Sequence[str]
) -> list[str]:
    lines = []
    for hook in hooks:
        head = f"type {kind} hook {hook} priority {priority}; policy accept;"
        lines += [f"  chain {name}-{hook} {{ {head}", *rules, "  }"]
    return lines
