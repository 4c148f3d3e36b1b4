"""Real packets through real rules: load, change by elements, refuse, hairpin. Needs root."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tiphys.cni.routed_veth import RoutedVethNetwork
from tiphys.lib import sysctl
from tiphys.lib.netlink import netns
from tiphys.lib.netlink.route import route_socket
from tiphys.proxy.layout import Layout, lay_out
from tiphys.proxy.nftables import NftablesWriter
from tiphys.proxy.plan import Backend, Frontend, Kind, Plan, Target

pytestmark = pytest.mark.root

SERVICE = "10.96.0.7"
WEB = Frontend(Kind.CLUSTER, "tcp", SERVICE, 80)


class Lab:
    """A node with three pods, each answering its own name on 8080."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.node = self._namespace(directory / "node", stack)
        self.pods = [self._namespace(directory / f"pod{n}", stack) for n in range(3)]
        self.addresses: list[str] = []
        with netns.inside(self.node):
            sysctl.write("net.ipv4.ip_forward", "1")
            with route_socket() as route:
                route.set_up("lo")
                route.add_address("lo", "192.168.77.2/32")
                route.add_route("10.96.0.0/16", interface="lo", source="192.168.77.2")
            network = RoutedVethNetwork(directory / "cni")
            network.set_pod_cidr("10.244.0.0/24")
            for number, pod in enumerate(self.pods):
                self.addresses += asyncio.run(network.attach(pod, str(number)))
            self.writer = NftablesWriter("10.244.0.0/16")
            stack.callback(self.writer.close)
        for pod, address in zip(self.pods, self.addresses, strict=True):
            self._serve(pod, address, stack)

    @staticmethod
    def _namespace(path: Path, stack: ExitStack) -> Path:
        netns.create(path)
        stack.callback(netns.delete, path)
        return path

    @staticmethod
    def _serve(pod: Path, address: str, stack: ExitStack) -> None:
        with netns.inside(pod):
            listener = socket.create_server((address, 8080))
        stack.callback(listener.close)

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.sendall(address.encode())
                connection.close()

        threading.Thread(target=answer, daemon=True).start()

    def write(self, *numbers: int, frontend: Frontend = WEB, masquerade: bool = False) -> None:
        targets = tuple(Target(self.addresses[n], 8080) for n in numbers)
        plan = Plan({frontend: Backend(targets, masquerade)}, frozenset({SERVICE}))
        with netns.inside(self.node):
            self.writer.write(lay_out(plan, self.writer.layout))

    def ask(self, where: Path, address: str = SERVICE, port: int = 80) -> str:
        with netns.inside(where):
            connection = socket.create_connection((address, port), timeout=3)
        with connection:
            return connection.recv(100).decode()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield Lab(tmp_path, stack)


def test_a_service_reaches_all_its_pods_from_a_pod_and_from_the_node(lab: Lab) -> None:
    lab.write(0, 1, 2)
    for where in (lab.pods[0], lab.node):
        found = Counter(lab.ask(where) for _ in range(60))
        assert set(found) == set(lab.addresses), "the pod itself is among them: hairpin"
        assert min(found.values()) > 5


def test_endpoints_change_without_loading_the_table_again(lab: Lab) -> None:
    lab.write(0)
    lab.write(0, 1, 2)
    lab.write(2)
    assert {lab.ask(lab.pods[0]) for _ in range(10)} == {lab.addresses[2]}


def test_without_endpoints_and_on_unknown_ports_the_answer_is_no_at_once(lab: Lab) -> None:
    lab.write()
    with pytest.raises(ConnectionRefusedError):
        lab.ask(lab.pods[0])
    lab.write(1)
    assert lab.ask(lab.pods[0]) == lab.addresses[1]
    with pytest.raises(ConnectionRefusedError):
        lab.ask(lab.pods[0], port=81)


def test_node_ports_answer_on_the_nodes_own_address(lab: Lab) -> None:
    node_port = Frontend(Kind.NODE_PORT, "tcp", "0.0.0.0", 30080)
    lab.write(0, 1, frontend=node_port, masquerade=True)
    found = {lab.ask(lab.pods[2], "192.168.77.2", 30080) for _ in range(30)}
    assert found == set(lab.addresses[:2])


def test_a_flushed_ruleset_is_noticed_and_repaired(lab: Lab) -> None:
    lab.write(0)
    with netns.inside(lab.node):
        assert lab.writer.is_intact()
        import subprocess

        subprocess.run(["/usr/sbin/nft", "flush", "ruleset"], check=True)
        assert not lab.writer.is_intact()
    lab.write(1)  # Elements are refused, so the whole table is loaded.
    assert lab.ask(lab.pods[0]) == lab.addresses[1]


def test_more_endpoints_than_chains_bring_more_chains(lab: Lab) -> None:
    targets = tuple(Target(f"10.244.9.{n}", 8080) for n in range(1, 21))
    plan = Plan({WEB: Backend((*targets, Target(lab.addresses[0], 8080)), False)}, frozenset())
    with netns.inside(lab.node):
        lab.writer.write(Layout())
        lab.writer.write(lay_out(plan, lab.writer.layout))
        assert lab.writer.is_intact()
