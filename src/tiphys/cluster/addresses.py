"""Which address ranges and ports of the machine are taken, and by whom."""

import hashlib
import socket
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Final

from tiphys.cluster import profile as profiles
from tiphys.cluster.profile import Profile, Roots
from tiphys.lib.netlink.route import route_socket

API_PORT_FIRST: Final = 6443
API_PORTS_TRIED: Final = 100


def taken(roots: Roots, own: str) -> Iterator[tuple[str, str]]:
    """(network, who) of every route and address of the machine and of every other profile.

    Networks of Docker and of virtual machines show here as routes of their bridges.
    """
    with route_socket() as route:
        names = {link.index: link.name for link in route.links()}
        for found in route.routes():
            if found.destination != "default":
                yield found.destination, f"a route of {names.get(found.interface, '?')}"
        for index, address in route.addresses():
            if ":" not in address and not address.startswith("127."):
                yield address, f"an address of {names.get(index, '?')}"
    for name in profiles.names(roots):
        if name == own:
            continue
        try:
            other = profiles.load(roots, name)
        except profiles.ProfileError:
            continue
        if other is not None:
            yield from _ranges(other)


def conflicts(profile: Profile) -> list[str]:
    """What now overlaps a profile's ranges: it was stopped, and somebody else came.

    Its own links carry its name and are no conflict.
    """
    own = short_name(profile.name)
    mine = [IPv4Network(c) for c in (profile.node_cidr, profile.pod_cidr, profile.service_cidr)]
    found = []
    for network, who in taken(profile.roots, profile.name):
        if f" of {own}" in who or who == f"profile {profile.name}":
            continue
        parsed = IPv4Network(network, strict=False)
        found += [f"{m} overlaps {network} ({who})" for m in mine if m.overlaps(parsed)]
    return found


def short_name(name: str) -> str:
    """Eight characters that stand for a profile in link names (15 at most in the kernel)."""
    return "ty" + hashlib.sha256(name.encode()).hexdigest()[:6]


def _ranges(other: Profile) -> Iterator[tuple[str, str]]:
    for cidr in (other.node_cidr, other.pod_cidr, other.service_cidr):
        yield cidr, f"profile {other.name}"


def free_port(roots: Roots, own: str) -> int:
    """The first port from 6443 that nobody listens on and no other profile has."""
    others = set()
    for name in profiles.names(roots):
        if name != own:
            try:
                other = profiles.load(roots, name)
            except profiles.ProfileError:
                continue
            others.add(other.api_port if other else 0)
    for port in range(API_PORT_FIRST, API_PORT_FIRST + API_PORTS_TRIED):
        if port not in others and is_free(port):
            return port
    raise profiles.ProfileError(
        f"no free port between {API_PORT_FIRST} and {API_PORT_FIRST + API_PORTS_TRIED}: "
        "name one with --apiserver-port"
    )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
