"""Which address ranges and ports of the machine are taken, and by whom."""

import hashlib
import socket
from collections.abc import Iterator
from typing import Final

from tiphys.cluster import profile as profiles
from tiphys.cluster import ranges
from tiphys.cluster.profile import Profile, Roots
from tiphys.lib.netlink.route import route_socket
from tiphys.lib.resolv_conf import machine_resolvers

API_PORT_FIRST: Final = 6443
API_PORTS_TRIED: Final = 100


def taken(roots: Roots, own: str) -> Iterator[tuple[str, str]]:
    """(network, who) of every route and address of the machine and of every other profile.

    Networks of Docker and of virtual machines show here as routes of their bridges. What the
    machine itself talks to (addresses, gateways, resolvers) is told apart from the routes around.
    """
    with route_socket() as route:
        names = {link.index: link.name for link in route.links()}
        for found in route.routes():
            name = names.get(found.interface, "?")
            if found.destination != "default" and ":" not in found.destination:
                yield found.destination, f"a route of {name}"
            if found.gateway and ":" not in found.gateway:
                yield f"{found.gateway}/32", f"a gateway of {name}"
        for index, address in route.addresses():
            if ":" not in address and not address.startswith("127."):
                name = names.get(index, "?")
                yield address, f"the network of {name}"
                yield f"{address.partition('/')[0]}/32", f"an address of {name}"
    for resolver in machine_resolvers():
        if ":" not in resolver:
            yield f"{resolver}/32", "a resolver of the machine"
    for name in profiles.names(roots):
        if name == own:
            continue
        try:
            other = profiles.load(roots, name)
        except profiles.ProfileError:
            continue
        if other is not None:
            yield from _ranges(other)


def own_addresses() -> list[str]:
    """IPv4 addresses by which other machines may reach this one."""
    with route_socket() as route:
        found = [interface.partition("/")[0] for _, interface in route.addresses()]
    return [a for a in found if ":" not in a and not a.startswith("127.")]


def conflicts(profile: Profile) -> list[str]:
    """What now overlaps a profile's ranges: it was stopped, and somebody else came.

    Its own links carry its name and are no conflict.
    """
    own = f" of {short_name(profile.name)}"
    others = [t for t in taken(profile.roots, profile.name) if own not in t[1]]
    mine = (profile.node_cidr, profile.pod_cidr, profile.service_cidr)
    return ranges.conflicts(mine, others)


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
        "name one with --apiserver-port",
        reason="MACHINE_PORT",
    )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
