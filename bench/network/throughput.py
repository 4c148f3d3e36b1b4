"""Pods to pods on one node and across nodes, by address and by Service, beside bare links.

    python bench/network/throughput.py

Each way is measured in turn, a few rounds, in network namespaces of its own: bytes per second of
one TCP connection, round trips of one byte, new connections per second. Yardsticks in the same
minute: a bare veth pair for pods of one node and for nodes on one link, a bare VXLAN pair for the
overlay, the pod's own address for its Service. Needs root.
"""

import asyncio
import multiprocessing
import os
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.proxy_lab import CLUSTER_IP, Lab, a_service, a_slice, an_endpoint
from tiphys.cni.routed_veth import RoutedVethNetwork
from tiphys.lib import sysctl
from tiphys.lib.netlink import netns
from tiphys.lib.netlink.route import route_socket
from tiphys.network import kernel
from tiphys.network.plan import Overlay, Peer, plan

ROUNDS, SECONDS, PORT, PIECE = 5, 0.6, 9009, 1 << 18
STREAM, TURNS, CONNECTS = b"s", b"t", b"c"


@dataclass(frozen=True)
class Way:
    """From a namespace to an address whose server is in another."""

    name: str
    client: Path
    server: Path
    address: str
    listen: str = ""  # Where the server listens; the same address when empty.


@dataclass(frozen=True)
class Found:
    gigabits: float
    trip_us: float
    connects: float


def serve(namespace: Path, address: str, ready: Any) -> None:
    """Answers one connection at a time, as its first byte asks."""
    with netns.inside(namespace):
        listener = socket.create_server((address, PORT), backlog=128)
    ready.set()
    buffer = bytearray(PIECE)
    while True:
        connection, _ = listener.accept()
        with connection:
            what = connection.recv(1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if what == STREAM:
                while connection.recv_into(buffer):
                    pass
            while what == TURNS and (byte := connection.recv(1)):
                connection.sendall(byte)


def ask(way: Way, result: Any) -> None:
    with netns.inside(way.client):
        result.put((_stream(way.address), _turns(way.address), _connects(way.address)))


def _connected(address: str, what: bytes) -> socket.socket:
    found = socket.create_connection((address, PORT), timeout=5)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found.sendall(what)
    return found


def _stream(address: str) -> float:
    piece, count = bytes(PIECE), 0
    with _connected(address, STREAM) as found:
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < SECONDS:
            found.sendall(piece)
            count += PIECE
    return count * 8 / took / 1e9


def _turns(address: str) -> float:
    count = 0
    with _connected(address, TURNS) as found:
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < SECONDS:
            found.sendall(b"x")
            found.recv(1)
            count += 1
    return took / count * 1e6


def _connects(address: str) -> float:
    count, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < SECONDS:
        with _connected(address, CONNECTS) as one:
            # A reset: thousands of ports that wait for their end would be what is measured.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        count += 1
    return count / took


@contextmanager
def served(way: Way) -> Iterator[None]:
    ready = multiprocessing.Event()
    server = multiprocessing.Process(
        target=serve, args=(way.server, way.listen or way.address, ready), daemon=True
    )
    server.start()
    assert ready.wait(5)
    try:
        yield
    finally:
        server.kill()
        server.join()


def measure(way: Way) -> Found:
    with served(way):
        results: Any = multiprocessing.Queue()
        client = multiprocessing.Process(target=ask, args=(way, results), daemon=True)
        client.start()
        found = Found(*results.get(timeout=30))
        client.join()
    return found


class Nodes:
    """Two nodes on one link, each with a pod, and a bare pair beside them."""

    OWN = ("192.0.2.1/24", "192.0.2.2/24")
    CIDRS = ("10.244.0.0/24", "10.244.1.0/24")

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.paths: list[Path] = []
        self.pods: list[Path] = []
        self.pod_addresses: list[str] = []
        for name in ("a", "b", "poda", "podb"):
            path = directory / name
            netns.create(path)
            stack.callback(netns.delete, path)
            (self.paths if len(name) == 1 else self.pods).append(path)
        join(self.paths[0], self.paths[1], self.OWN, 1500)
        for number, path in enumerate(self.paths):
            self._attach(directory, number, path)

    def _attach(self, directory: Path, number: int, path: Path) -> None:
        with netns.inside(path):
            sysctl.write("net.ipv4.ip_forward", "1")
            network = RoutedVethNetwork(directory / f"cni{number}", mtu=1450)
            network.set_pod_cidr(self.CIDRS[number])
            self.pod_addresses += asyncio.run(network.attach(self.pods[number], str(number)))

    def overlay(self, overlay: Overlay) -> None:
        for number, path in enumerate(self.paths):
            own = IPv4Interface(self.OWN[number])
            other = 1 - number
            peer = Peer("ab"[other], self.OWN[other].partition("/")[0], self.CIDRS[other])
            with netns.inside(path):
                wanted = plan([peer], self.CIDRS[number], own, overlay)
                kernel.apply(wanted, "ab"[number], str(own.ip))


def join(one: Path, other: Path, addresses: tuple[str, str], mtu: int) -> None:
    with netns.inside(one), route_socket() as route, other.open("rb") as there:
        route.add_veth("eth0", "eth0", peer_netns_fd=there.fileno(), mtu=mtu)
    for path, address in zip((one, other), addresses, strict=True):
        with netns.inside(path), route_socket() as route:
            for link in ("lo", "eth0"):
                route.set_up(link)
            route.add_address("eth0", address)


def bare(directory: Path, stack: ExitStack, *, vxlan: bool) -> Way:
    """Two namespaces on a veth pair, with a VXLAN pair over it on demand."""
    kind = "vxlan" if vxlan else "veth"
    paths = [directory / f"{kind}{n}" for n in range(2)]
    for path in paths:
        netns.create(path)
        stack.callback(netns.delete, path)
    join(paths[0], paths[1], ("198.51.100.1/24", "198.51.100.2/24"), 1500)
    if not vxlan:
        return Way("bare veth pair", paths[0], paths[1], "198.51.100.2")
    for number, path in enumerate(paths):
        words = (
            f"link add vx0 type vxlan id 9 dstport 4789 local 198.51.100.{number + 1}"
            f" remote 198.51.100.{2 - number}"
        )
        for command in (words, f"address add 203.0.113.{number + 1}/24 dev vx0", "link set vx0 up"):
            with netns.inside(path):
                assert os.spawnvp(os.P_WAIT, "ip", ["ip", *command.split()]) == 0
    return Way("bare VXLAN pair", paths[0], paths[1], "203.0.113.2")


def compare(title: str, ways: list[Way], before: Callable[[Way], None] = lambda way: None) -> None:
    """The first way is the yardstick. Rounds alternate, so that a slow minute is everybody's."""
    found: dict[str, list[Found]] = {way.name: [] for way in ways}
    for _ in range(ROUNDS):
        for way in ways:
            before(way)
            found[way.name].append(measure(way))
    print(f"\n{title}")
    yardstick: Found | None = None
    for way in ways:
        rounds = found[way.name]
        best = Found(
            statistics.median(f.gigabits for f in rounds),
            statistics.median(f.trip_us for f in rounds),
            statistics.median(f.connects for f in rounds),
        )
        yardstick = yardstick or best
        cells = [
            f"{value:8.1f} {unit} ({value / beside:4.2f})"
            for value, beside, unit in (
                (best.gigabits, yardstick.gigabits, "Gbit/s"),
                (best.trip_us, yardstick.trip_us, "us a trip"),
                (best.connects, yardstick.connects, "connections/s"),
            )
        ]
        print(f"  {way.name:34}", *cells)


def main() -> int:
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        directory = Path(temporary)
        veth = bare(directory, stack, vxlan=False)
        vxlan = bare(directory, stack, vxlan=True)
        (directory / "lab").mkdir()
        lab = Lab(directory / "lab", stack)
        lab.start("nftables")
        stack.callback(lab.stop)
        lab.apply(
            a_service("web", clusterIP=CLUSTER_IP, ports=[{"port": PORT, "targetPort": PORT}]),
            a_slice(an_endpoint(lab.addresses[1]), name="web", ports=[{"port": PORT}]),
        )
        pod = Way("pod to pod on one node", lab.pods[0], lab.pods[1], lab.addresses[1])
        service = Way(
            "pod to Service (nftables)", lab.pods[0], lab.pods[1], CLUSTER_IP, lab.addresses[1]
        )
        compare("One node (1 = bare veth pair)", [veth, pod])
        compare("A Service (1 = the pod's own address)", [pod, service])
        (directory / "nodes").mkdir()
        nodes = Nodes(directory / "nodes", stack)
        (one, other), address = nodes.pods, nodes.pod_addresses[1]
        host_gw = Way("pod to pod across nodes, host-gw", one, other, address)
        overlay = Way("pod to pod across nodes, VXLAN", one, other, address)

        def choose(way: Way) -> None:
            if way is host_gw or way is overlay:
                nodes.overlay(Overlay.VXLAN if way is overlay else Overlay.HOST_GW)

        compare("Two nodes on one link (1 = bare veth pair)", [veth, host_gw], choose)
        compare("Two nodes, overlay (1 = bare VXLAN pair)", [vxlan, overlay], choose)
    return 0


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    sys.exit(main())
