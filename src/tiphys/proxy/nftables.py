"""The nftables mode: the table's text, and a writer that keeps the kernel equal to a layout.

The rules never name a service: services are elements of maps. The whole table is loaded in one
transaction at start and where more chains are needed; after that only elements change.
Upstream: pkg/proxy/nftables/proxier.go. Differs: chains per number of endpoints, not per service
(a chain per service costs the kernel 19 s at 10,000; see docs/performance.md).
"""

import errno
import logging
import os
import subprocess
from typing import Final

from tiphys.lib.netlink.message import NLMSG_ERROR, NetlinkError, error_number, messages
from tiphys.lib.netlink.socket import NETLINK_NETFILTER, NetlinkSocket
from tiphys.proxy import nft_elements
from tiphys.proxy.layout import Changes, Layout, Value, changes

log = logging.getLogger(__name__)

TABLE: Final = "kube-proxy"
CHAINS_MIN: Final = 16  # Chains made at once; more when a Service has more endpoints.
MARK: Final = 0x4000  # As upstream: masquerade on the way out.
NFT: Final = "/usr/sbin/nft"
_NFT_SECONDS_MAX: Final = 60.0


class ProxyError(Exception):
    """The kernel refused the rules: what it said."""


def ruleset(layout: Layout, cluster_cidr: str) -> str:
    """The whole table as text, elements included; loading it replaces the one before."""
    count = max(CHAINS_MIN, 1 << max(layout.largest - 1, 0).bit_length())
    lines = [
        f"table ip {TABLE}",
        f"delete table ip {TABLE}",
        f"table ip {TABLE} {{",
        *_sets(layout),
        *_endpoint_chains(count),
        *_hook_chains(cluster_cidr),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _sets(layout: Layout) -> list[str]:
    address = (
        "typeof meta l4proto . ip daddr . th dport . numgen random mod 2 : ip daddr . th dport"
    )
    node_port = "typeof meta l4proto . th dport . numgen random mod 2 : ip daddr . th dport"
    declared = {
        "endpoints": ("map", address),
        "node-port-endpoints": ("map", node_port),
        "services": ("map", "type inet_proto . ipv4_addr . inet_service : verdict"),
        "node-ports": ("map", "type inet_proto . inet_service : verdict"),
        "hairpin": ("set", "type ipv4_addr . ipv4_addr"),
        "no-endpoints": ("set", "type inet_proto . ipv4_addr . inet_service"),
        "no-endpoints-node-ports": ("set", "type inet_proto . inet_service"),
        "cluster-addresses": ("set", "type ipv4_addr"),
    }
    elements: dict[str, list[str]] = {}
    for (name, key), value in layout.elements.items():
        elements.setdefault(name, []).append(_element_text(key, value))
    lines = []
    for name, (kind, what) in declared.items():
        lines.append(f"  {kind} {name} {{ {what};")
        if found := elements.get(name):
            lines.append(f"    elements = {{ {', '.join(found)} }}")
        lines.append("  }")
    return lines


def _element_text(key: tuple[str | int, ...], value: Value) -> str:
    left = " . ".join(str(p) for p in key)
    if value is None:
        return left
    right = f"goto {value}" if isinstance(value, str) else " . ".join(str(p) for p in value)
    return f"{left} : {right}"


def _endpoint_chains(count: int) -> list[str]:
    lines = []
    protocols = "meta l4proto { tcp, udp }"
    mark = f"meta mark set meta mark or {MARK:#x}"
    for number in range(1, count + 1):
        to = f"numgen random mod {number} map"
        service = f"dnat ip to meta l4proto . ip daddr . th dport . {to} @endpoints"
        port = f"dnat ip to meta l4proto . th dport . {to} @node-port-endpoints"
        lines += [
            f"  chain service-{number} {{ {protocols} {service}; }}",
            f"  chain service-masquerade-{number} {{ {mark}; {protocols} {service}; }}",
            f"  chain node-port-{number} {{ {protocols} {port}; }}",
            f"  chain node-port-masquerade-{number} {{ {mark}; {protocols} {port}; }}",
        ]
    return lines


def _hook_chains(cluster_cidr: str) -> list[str]:
    mark = f"meta mark set meta mark or {MARK:#x}"
    outside = f"ip saddr != {cluster_cidr} ip daddr @cluster-addresses {mark}"
    by_address = "meta l4proto . ip daddr . th dport"
    by_port = "meta l4proto . th dport"
    local = "fib daddr type local ip daddr != 127.0.0.0/8"
    refuse = [
        f"    {by_address} @no-endpoints reject",
        f"    {local} {by_port} @no-endpoints-node-ports reject",
        "    ip daddr @cluster-addresses meta l4proto { tcp, udp } reject",
    ]
    lines = ["  chain services {", f"    {outside}", f"    {by_address} vmap @services"]
    lines += [f"    {local} {by_port} vmap @node-ports", "  }"]
    for hook in ("prerouting", "output"):
        lines += [
            f"  chain nat-{hook} {{ type nat hook {hook} priority -100; policy accept;",
            "    jump services",
            "  }",
        ]
    lines += ["  chain refuse {", *refuse, "  }"]
    for hook in ("input", "forward", "output"):
        lines += [
            f"  chain filter-{hook} {{ type filter hook {hook} priority 0; policy accept;",
            "    ct state new jump refuse",
            "  }",
        ]
    lines += [
        "  chain nat-postrouting { type nat hook postrouting priority 100; policy accept;",
        f"    meta mark and {MARK:#x} != 0 masquerade fully-random",
        "    ct status dnat ip saddr . ip daddr @hairpin masquerade fully-random",
        "  }",
    ]
    return lines


class NftablesWriter:
    """Keeps the table of the namespace in which it was made equal to the last layout."""

    def __init__(self, cluster_cidr: str) -> None:
        self._cluster_cidr = cluster_cidr
        self._layout = Layout()
        self._loaded = 0
        self._netlink: NetlinkSocket | None = None
        self._sequence = 1

    @property
    def layout(self) -> Layout:
        return self._layout

    def write(self, layout: Layout) -> None:
        """Raises ProxyError; the kernel then has the old state, whole."""
        if not self._loaded or layout.largest > self._loaded:
            self.load(layout)
            return
        difference = changes(self._layout, layout)
        if difference.delete or difference.add:
            try:
                self._send(difference)
            except OSError as exc:
                # Somebody changed the table: what we know of it is worth nothing.
                log.warning("elements refused, loading the whole table", extra={"why": str(exc)})
                self.load(layout)
                return
        self._layout = layout

    def load(self, layout: Layout) -> None:
        """Replace the whole table in one transaction. Raises ProxyError."""
        text = ruleset(layout, self._cluster_cidr)
        run_nft(text)
        self._layout = layout
        self._loaded = max(CHAINS_MIN, 1 << max(layout.largest - 1, 0).bit_length())

    def _send(self, difference: Changes) -> None:
        if self._netlink is None:
            self._netlink = NetlinkSocket(NETLINK_NETFILTER)
        first = self._sequence
        data, last = nft_elements.batch(TABLE, difference, first)
        self._sequence = last + 2
        acknowledged = self._netlink.exchange(data)
        waiting = set(range(first + 1, last + 1))
        while waiting:
            for answer in messages(acknowledged):
                if answer.type == NLMSG_ERROR and answer.sequence >= first:
                    if number := error_number(answer.payload):
                        raise NetlinkError(number, f"set elements: {os.strerror(number)}")
                    waiting.discard(answer.sequence)
            if waiting:
                acknowledged = self._netlink.receive()

    def is_intact(self) -> bool:
        """Whether our table is still there; somebody may have flushed the ruleset."""
        done = subprocess.run(
            [NFT, "list", "set", "ip", TABLE, "cluster-addresses"],
            capture_output=True,
            timeout=_NFT_SECONDS_MAX,
            check=False,
        )
        return done.returncode == 0

    def close(self) -> None:
        if self._netlink is not None:
            self._netlink.close()


def run_nft(text: str) -> None:
    """Raises ProxyError with nft's words."""
    try:
        done = subprocess.run(
            [NFT, "-f", "-"],
            input=text.encode(),
            capture_output=True,
            timeout=_NFT_SECONDS_MAX,
            check=False,
        )
    except OSError as exc:
        if exc.errno == errno.ENOENT:
            raise ProxyError(f"{NFT} is missing: install the package nftables") from exc
        raise
    if done.returncode != 0:
        raise ProxyError(f"nft refused the rules: {done.stderr.decode(errors='replace').strip()}")
