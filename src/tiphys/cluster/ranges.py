"""Choosing address ranges that nothing on the machine uses. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

CANDIDATES_MAX: Final = 12  # Service ranges 10.96 to 10.107, pod ranges 10.244 down to 10.233.


class NoFreeRange(Exception):
    """Every candidate overlaps something: what, and what to do."""


@dataclass(frozen=True, slots=True)
class Ranges:
    node: str
    pod: str
    service: str
    load_balancer_pool: str


def candidate(number: int) -> Ranges:
    """The first are the ranges that minikube and kubeadm made familiar."""
    return Ranges(
        node=f"192.168.{49 + number}.0/24",
        pod=f"10.{244 - number}.0.0/16",
        service=f"10.{96 + number}.0.0/16",
        load_balancer_pool=f"192.168.{49 + number}.128/25",
    )


def choose(taken: Iterable[tuple[str, str]]) -> Ranges:
    """The first candidate that overlaps nothing. taken: (network, who uses it).

    Raises NoFreeRange.
    """
    used = [(IPv4Network(network, strict=False), who) for network, who in taken]
    reasons: list[str] = []
    for number in range(CANDIDATES_MAX):
        ranges = candidate(number)
        clash = next(
            (
                f"{own} overlaps {network} ({who})"
                for own in (ranges.node, ranges.pod, ranges.service)
                for network, who in used
                if IPv4Network(own).overlaps(network)
            ),
            None,
        )
        if clash is None:
            return ranges
        reasons.append(clash)
    raise NoFreeRange(
        "no address range is free: " + "; ".join(reasons[:3]) + "; remove an unused route, "
        "network or profile (`tiphys delete -p NAME`)"
    )
