"""Choosing address ranges that nothing on the machine uses. Pure.

Routes of VPNs can cover everything, so not every overlap is a conflict:

1. A route shorter than /8 (0.0.0.0/1 and 128.0.0.0/1 of a VPN) means "the rest of the world": it is
   a default route in two halves and takes nothing.
2. Ranges that overlap nothing else come first: the familiar ones, then some outside 10.0.0.0/8,
   then others inside it.
3. If there are none, routes shorter than /12 (10.0.0.0/8 of a company) give way: our routes are
   more specific and win. What lies behind such a route at our addresses is out of reach meanwhile.
   Single addresses in it that the machine needs (its own, gateways, resolvers) are never covered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

DEFAULT_PREFIX_MAX: Final = 7  # As long, a route is a default route.
BROAD_PREFIX_MAX: Final = 11  # As long, a route gives way when nothing else is free.


class NoFreeRange(Exception):
    """Every candidate overlaps something: what, and what to do."""


@dataclass(frozen=True, slots=True)
class Ranges:
    node: str
    pod: str
    service: str

    @property
    def load_balancer_pool(self) -> str:
        """The upper half of the node range."""
        return str(list(IPv4Network(self.node).subnets())[1])

    def all(self) -> tuple[str, str, str]:
        return self.node, self.pod, self.service


# First the ranges that minikube and kubeadm made familiar.
CANDIDATES: Final = (
    *(Ranges(f"192.168.{49 + n}.0/24", f"10.{244 - n}.0.0/16", f"10.{96 + n}.0.0/16")
      for n in range(12)),
    *(Ranges(f"192.168.{61 + n}.0/24", f"172.{30 - n}.0.0/16", f"172.{20 + n}.0.0/16")
      for n in range(4)),
    *(Ranges(f"10.{112 + n}.0.0/24", f"10.{232 - n}.0.0/16", f"10.{108 + n}.0.0/16")
      for n in range(4)),
)  # fmt: skip


def choose(taken: Sequence[tuple[str, str]]) -> Ranges:
    """The first candidate by the rules above. taken: (network, who uses it).

    Raises NoFreeRange.
    """
    used = [(IPv4Network(network, strict=False), who) for network, who in taken]
    clashes: dict[str, None] = {}
    for prefix_max in (DEFAULT_PREFIX_MAX, BROAD_PREFIX_MAX):
        narrow = [(n, who) for n, who in used if n.prefixlen > prefix_max]
        for ranges in CANDIDATES:
            found = [
                f"{network} ({who})"
                for own in ranges.all()
                for network, who in narrow
                if IPv4Network(own).overlaps(network)
            ]
            if not found:
                return ranges
            clashes |= dict.fromkeys(found)
    raise NoFreeRange(
        "no address range is free, in the way are: "
        + ", ".join(clashes)
        + "; remove an unused route, network or profile (`tiphys delete -p NAME`), or leave the "
        "VPN while the cluster is made"
    )


def conflicts(own: Sequence[str], taken: Sequence[tuple[str, str]]) -> list[str]:
    """What overlaps ranges that have been chosen already; broad routes give way."""
    found = []
    for network, who in taken:
        parsed = IPv4Network(network, strict=False)
        if parsed.prefixlen > BROAD_PREFIX_MAX:
            found += [
                f"{one} overlaps {network} ({who})"
                for one in own
                if IPv4Network(one).overlaps(parsed)
            ]
    return found
