"""The host's side of a profile's network, and each local node's namespaces.

    host:  bridge GATEWAY/24 -- veth -- node namespace: eth0 NODE/24, default via GATEWAY
           routes to pods, services and load balancers via the node; a table that masquerades

Everything carries the profile's name (or a hash of it where names are short) and is made again
only where it is missing, so that `start` after a crash or a reboot repairs.
"""

import os
import subprocess
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from tiphys.cluster import addresses, forwarding, host_node, leftovers
from tiphys.cluster.profile import Node, Profile
from tiphys.lib import mount_namespace, sysctl
from tiphys.lib.netlink import netns
from tiphys.lib.netlink.route import RouteSocket, route_socket
from tiphys.network.kernel import ROUTE_PROTOCOL

# Set inside each node: routing between pods, replies by other ways, local service addresses.
NODE_SYSCTLS: Final = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.eth0.rp_filter": "0",  # Made before, with what the machine has as its default.
    "net.ipv4.conf.all.route_localnet": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
    "net.ipv6.conf.all.disable_ipv6": "1",
}
NAMESPACES: Final = Path("/run/netns")
HOST_NETWORK: Final = Path("/proc/self/ns/net")
_NFT_SECONDS_MAX: Final = 10.0


def short_name(profile: Profile) -> str:
    return addresses.short_name(profile.name)


def bridge_name(profile: Profile) -> str:
    return f"{short_name(profile)}br"


def table_name(profile: Profile) -> str:
    return f"tiphys-{profile.name}"


def network_namespace(profile: Profile, node: Node) -> Path:
    """In /run/netns, so that `ip netns exec` finds it; the machine's own for a node that is it."""
    if profile.uses_host_network:
        return HOST_NETWORK
    return NAMESPACES / f"tiphys-{profile.name}-{node.name}"


def ensure(profile: Profile) -> None:
    """Host and node side of every node."""
    if profile.uses_host_network:
        for node in profile.running_nodes:
            _ensure_place(profile, node)
            host_node.ensure(profile)
            _load_table(host_node.table(profile, table_name(profile)))
        return
    with route_socket() as route:
        _ensure_bridge(profile, route)
        for node in profile.running_nodes:
            _ensure_node(profile, route, node)
        _ensure_first_routes(profile, route)
    forwarding.enable(forwarding.RECORD)
    _load_table(host_table(profile))


def _ensure_first_routes(profile: Profile, route: RouteSocket) -> None:
    """Until the gateway process has seen the nodes, the first one is the way to everything."""
    have = {r.destination for r in route.routes()}
    for destination in (profile.service_cidr, profile.load_balancer_pool, profile.pod_cidr):
        if profile.running_nodes and destination not in have:
            first = profile.running_nodes[0].address
            route.add_route(destination, gateway=first, protocol=ROUTE_PROTOCOL)


def host_table(profile: Profile) -> str:
    """nftables text: what leaves the profile's network for elsewhere takes the host's address."""
    bridge = bridge_name(profile)
    sources = f"{{ {profile.node_cidr}, {profile.pod_cidr} }}"
    return f"""table ip {table_name(profile)}
delete table ip {table_name(profile)}
table ip {table_name(profile)} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {sources} oifname != "{bridge}" masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname "{bridge}" accept
    oifname "{bridge}" accept
  }}
}}
"""


def remove(profile: Profile) -> None:
    """Take everything away again; what is gone already is fine."""
    with route_socket() as route:
        for node in profile.nodes:
            remove_node(profile, route, node)
        if profile.uses_host_network:
            host_node.remove(profile)
        route.delete_link(bridge_name(profile))  # Its routes go with it.
    mount_namespace.release(profile.run_directory)
    netns.remove_empty(NAMESPACES)
    if Path("/usr/sbin/nft").exists():
        table = table_name(profile)
        _load_table(f"table ip {table}\ndelete table ip {table}\n")
    if not _others_need_forwarding():
        forwarding.restore(forwarding.RECORD)


def remove_node(profile: Profile, route: RouteSocket, node: Node) -> None:
    """Take one node's namespaces and link away; what is gone already is fine."""
    if not profile.uses_host_network:
        route.delete_link(veth_name(profile, node))
        netns.delete(network_namespace(profile, node))
    directory = profile.node_run_directory(node)
    for name in ("mnt", "uts"):
        mount_namespace.release(directory / name)


def veth_name(profile: Profile, node: Node) -> str:
    """The host's end of a node's link; the last part of an address stays a node's own."""
    return f"{short_name(profile)}n{node.address.rpartition('.')[2]}"


def namespaces(profile: Profile, node: Node) -> list[tuple[Path, int]]:
    """A node's namespaces in the order of entering: the mounts last, for the paths lie outside."""
    directory = profile.node_run_directory(node)
    network = [(network_namespace(profile, node), mount_namespace.CLONE_NEWNET)]
    return [
        (directory / "uts", mount_namespace.CLONE_NEWUTS),
        *([] if profile.uses_host_network else network),
        (directory / "mnt", mount_namespace.CLONE_NEWNS),
    ]


def is_up(profile: Profile, node: Node) -> bool:
    """Whether the node's namespaces are there to be entered."""
    return all(mount_namespace.is_alive(path) for path, _ in namespaces(profile, node))


def enter(profile: Profile, node: Node) -> None:
    """Put this process into a node's namespaces; for a child that has just been forked."""
    for path, kind in namespaces(profile, node):
        mount_namespace.enter(path, kind)


def changed_sysctls(profile: Profile, node: Node) -> list[str]:
    """What a node needs and no longer has: `name is 0, wanted 1`."""
    path = network_namespace(profile, node)
    if profile.uses_host_network or not netns.is_alive(path):
        return []  # The machine's settings are its administrator's.
    with netns.inside(path):
        return [
            f"{name} is {found}, wanted {wanted}"
            for name, wanted in NODE_SYSCTLS.items()
            if (found := sysctl.read(name)) != wanted
        ]


def changed_host_sysctls() -> list[str]:
    """What the machine itself needs to pass on what nodes send, and no longer has."""
    found = sysctl.read(forwarding.NAME)
    return [] if found == "1" else [f"{forwarding.NAME} is {found}, wanted 1"]


def _ensure_bridge(profile: Profile, route: RouteSocket) -> None:
    name = bridge_name(profile)
    prefix = IPv4Network(profile.node_cidr).prefixlen
    if not any(link.name == name for link in route.links()):
        route.add_bridge(name)
        sysctl.write(f"net.ipv6.conf.{name}.disable_ipv6", "1")
    route.add_address(name, f"{profile.gateway}/{prefix}")
    route.set_up(name)


def _ensure_node(profile: Profile, route: RouteSocket, node: Node) -> None:
    veth = veth_name(profile, node)
    path = network_namespace(profile, node)
    if not netns.is_alive(path):
        netns.prepare(path.parent)
        netns.delete(path)
        netns.create(path)
    _ensure_place(profile, node)
    if not any(link.name == veth for link in route.links()):
        with path.open("rb") as there:
            route.add_veth(veth, "eth0", peer_netns_fd=there.fileno())
        sysctl.write(f"net.ipv6.conf.{veth}.disable_ipv6", "1")
        route.set_master(veth, bridge_name(profile))
    route.set_up(veth)
    with netns.inside(path):
        for name, value in NODE_SYSCTLS.items():
            sysctl.write(name, value)
        with route_socket() as inner:
            prefix = IPv4Network(profile.node_cidr).prefixlen
            inner.set_up("lo")
            inner.set_up("eth0")
            inner.add_address("eth0", f"{node.address}/{prefix}")
            inner.add_route("default", gateway=profile.gateway)
            inner.add_route(profile.service_cidr, interface="lo", source=node.address)


def _ensure_place(profile: Profile, node: Node) -> None:
    """The node's mounts and host name."""
    directory = profile.node_run_directory(node)
    mount_namespace.make_private_directory(profile.run_directory)
    directory.mkdir(exist_ok=True, mode=0o711)
    if not mount_namespace.is_alive(directory / "mnt"):
        logs = profile.node_directory(node) / "log"
        logs.mkdir(parents=True, exist_ok=True)
        # Inside the node /var/log is its own: upstream's paths, without a trace on the host.
        binds = [(logs, "/var/log")]
        mount_namespace.create(directory / "mnt", directory / "uts", node.name, binds)


def _load_table(text: str) -> None:
    """Raises RuntimeError with nft's words."""
    done = subprocess.run(
        ["/usr/sbin/nft", "-f", "-"],
        input=text,
        text=True,
        capture_output=True,
        timeout=_NFT_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"nft refused the host's table: {done.stderr.strip()}")


def _others_need_forwarding() -> bool:
    """Whether another profile is still there: each has a table of its own."""
    return any(name.startswith("tiphys-") for name in leftovers.tables())


def is_root() -> bool:
    return os.geteuid() == 0
