"""The built-in pod network: one routed veth per pod, no bridge.

The pod gets ADDRESS/32 on eth0 and reaches everything over the gateway 169.254.1.1, whose link
address is the node's end of the veth (a permanent neighbour entry: nobody answers ARP). The node
has one route per pod. Works in the network namespace of the calling process, the node's.
Differs: addresses come from ipam.py of this package, not from a CNI IPAM plugin.
"""

import hashlib
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from tiphys.cni.ipam import AddressPool
from tiphys.lib import sysctl
from tiphys.lib.netlink import netns
from tiphys.lib.netlink.route import route_socket

GATEWAY: Final = "169.254.1.1"  # Link-local: never routed, the same in every pod.


class NetworkNotReady(OSError):
    """No range of pod addresses has been given to this node yet."""


class RoutedVethNetwork:
    """attach and detach are idempotent: repeating one after a crash changes nothing."""

    def __init__(self, state_dir: Path, *, mtu: int = 1500) -> None:
        self._state_dir = state_dir
        self._mtu = mtu
        self._pool: AddressPool | None = None
        # Gone, empty or damaged after a power cut: the kubelet will say it again.
        with suppress(FileNotFoundError, ValueError):
            self.set_pod_cidr((state_dir / "pod-cidr").read_text().strip())

    @property
    def ready(self) -> bool:
        return self._pool is not None

    def set_pod_cidr(self, cidr: str) -> None:
        """The node's range, from Node.spec.podCIDR by way of CRI UpdateRuntimeConfig."""
        self._state_dir.mkdir(parents=True, exist_ok=True)
        if self._pool is not None and str(self._pool.network) == cidr:
            return
        self._pool = AddressPool(self._state_dir / "addresses", IPv4Network(cidr))
        (self._state_dir / "pod-cidr").write_text(cidr)

    async def attach(self, namespace: Path, sandbox_id: str) -> list[str]:
        """Join a pod's namespace; returns its addresses. Raises NetworkNotReady, OSError."""
        if self._pool is None:
            raise NetworkNotReady("the node has no podCIDR yet: the network is not ready")
        address = self._pool.allocate(sandbox_id)
        try:
            self._connect(namespace, sandbox_id, address)
        except OSError:
            self._pool.release(sandbox_id)
            raise
        return [address]

    async def detach(self, sandbox_id: str) -> None:
        """Remove the veth, its route, and free the address; nothing there is fine."""
        with route_socket() as route:
            route.delete_link(interface_name(sandbox_id))
        if self._pool is not None:
            self._pool.release(sandbox_id)

    def _connect(self, namespace: Path, sandbox_id: str, address: str) -> None:
        name = interface_name(sandbox_id)
        node_mac, pod_mac = mac_address(sandbox_id, 0), mac_address(sandbox_id, 1)
        with route_socket() as route, namespace.open("rb") as there:
            route.delete_link(name)
            route.add_veth(
                name,
                "eth0",
                peer_netns_fd=there.fileno(),
                mtu=self._mtu,
                mac=node_mac,
                peer_mac=pod_mac,
            )
            # Only IPv4 is routed so far: no link-local addresses, no router solicitations.
            sysctl.write(f"net.ipv6.conf.{name}.disable_ipv6", "1")
            route.set_up(name)
            with netns.inside(namespace), route_socket() as pod:
                pod.set_up("lo")
                pod.set_up("eth0")
                pod.add_address("eth0", f"{address}/32")
                pod.add_neighbour("eth0", GATEWAY, node_mac)
                pod.add_route(f"{GATEWAY}/32", interface="eth0")
                pod.add_route("default", gateway=GATEWAY, interface="eth0")
            route.add_neighbour(name, address, pod_mac)
            route.add_route(f"{address}/32", interface=name)


def interface_name(sandbox_id: str) -> str:
    """The node's end of a pod's veth."""
    return "veth" + hashlib.sha256(sandbox_id.encode()).hexdigest()[:8]


def mac_address(sandbox_id: str, end: int) -> bytes:
    """A locally administered unicast address that stays the same for a sandbox."""
    digest = hashlib.sha256(f"{sandbox_id}/{end}".encode()).digest()
    return bytes([(digest[0] & 0xFC) | 0x02]) + digest[1:6]
