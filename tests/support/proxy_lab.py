"""A node with pods and a client outside, in network namespaces, and the proxy in any mode.

    outside 192.168.77.1 -- eth0 192.168.77.2 node -- pods 10.244.0.x, each with servers

Routes lead from outside to pods, services and load balancers by the node, as `tiphys start` makes
them on the host.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from tiphys.api.meta import Obj, ObjectKey, key_of
from tiphys.cni.routed_veth import RoutedVethNetwork
from tiphys.lib import sysctl
from tiphys.lib.netlink import netns
from tiphys.lib.netlink.route import route_socket
from tiphys.proxy import modes
from tiphys.proxy.config import ProxyConfig
from tiphys.proxy.proxier import Proxier

NODE, OUTSIDE = "192.168.77.2", "192.168.77.1"
SERVICE_CIDR, POD_CIDR, BALANCED_CIDR = "10.96.0.0/16", "10.244.0.0/24", "203.0.113.0/24"
CLUSTER_IP, BALANCER, EXTERNAL = "10.96.0.7", "203.0.113.1", "203.0.113.2"
ECHO_PORT, SILENCE_SECONDS = 7007, 0.4

_T = TypeVar("_T")


class ProxyThread:
    """The proxy's event loop, inside the node."""

    def __init__(self, node: Path) -> None:
        self._loop = uvloop.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(node, ready), daemon=True)
        self._thread.start()
        assert ready.wait(5)

    def _work(self, node: Path, ready: threading.Event) -> None:
        with netns.inside(node):
            asyncio.set_event_loop(self._loop)
            self._loop.call_soon(ready.set)
            self._loop.run_forever()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


class Lab:
    """Pods 0 and 1 are on this node (n1), pod 2 plays one of another (n2)."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.node = self._namespace(directory / "node")
        self.outside = self._namespace(directory / "outside")
        self.pods = [self._namespace(directory / f"pod{n}") for n in range(3)]
        self.addresses: list[str] = []
        self._connect(directory)
        for pod, address in zip(self.pods, self.addresses, strict=True):
            self._serve(pod, address)
        self.services: dict[ObjectKey, Obj] = {}
        self.slices: dict[ObjectKey, Obj] = {}
        self.thread: ProxyThread | None = None
        self.proxier: Proxier | None = None

    def _namespace(self, path: Path) -> Path:
        netns.create(path)
        self._stack.callback(netns.delete, path)
        return path

    def _connect(self, directory: Path) -> None:
        with netns.inside(self.outside), route_socket() as route:
            route.set_up("lo")
            with self.node.open("rb") as there:
                route.add_veth("node", "eth0", peer_netns_fd=there.fileno())
            route.set_up("node")
            route.add_address("node", f"{OUTSIDE}/24")
            route.add_address("lo", "192.168.78.1/32")
        with netns.inside(self.node):
            sysctl.write("net.ipv4.ip_forward", "1")
            # Redirects use up the few ICMP errors that the kernel allows per second.
            for link in ("all", "eth0"):
                sysctl.write(f"net.ipv4.conf.{link}.send_redirects", "0")
            with route_socket() as route:
                for link in ("lo", "eth0"):
                    route.set_up(link)
                route.add_address("eth0", f"{NODE}/24")
                route.add_route("default", gateway=OUTSIDE)
                route.add_route(SERVICE_CIDR, interface="lo", source=NODE)
            network = RoutedVethNetwork(directory / "cni")
            network.set_pod_cidr(POD_CIDR)
            for number, pod in enumerate(self.pods):
                self.addresses += asyncio.run(network.attach(pod, str(number)))
        with netns.inside(self.outside), route_socket() as route:
            for destination in (SERVICE_CIDR, POD_CIDR, BALANCED_CIDR):
                route.add_route(destination, gateway=NODE)

    def _serve(self, pod: Path, address: str) -> None:
        """TCP: `pod's address, client's address, port`; UDP the same; and an echo over TCP."""
        with netns.inside(pod):
            for port in (8080, 8081):
                self._thread(_greet, socket.create_server((address, port), backlog=512))
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.bind((address, 8080))
            self._thread(_answer, datagrams)
            self._thread(_echo, socket.create_server((address, ECHO_PORT)))

    def _thread(self, work: Any, listener: socket.socket) -> None:
        def close() -> None:
            listener.close()

        self._stack.callback(close)
        threading.Thread(target=work, args=(listener,), daemon=True).start()

    def start(self, mode: str) -> None:
        """Start the proxy; what another mode left is cleaned up after the first sync."""
        config = ProxyConfig(
            node_name="n1",
            cluster_cidr=POD_CIDR,
            node_addresses=(NODE,),
            service_cidr=SERVICE_CIDR,
            mode=mode,
        )

        async def make() -> Proxier:
            return Proxier(modes.node_view(config), self, modes.make_writer(config))

        self.thread = ProxyThread(self.node)
        self.proxier = self.thread.run(make())
        for service in self.services.values():
            self.proxier.service_changed(None, service)
        for one in self.slices.values():
            self.proxier.slice_changed(None, one)
        self.sync()

        async def clean() -> None:
            modes.clean_up_others(mode)

        self.thread.run(clean())

    def stop(self) -> None:
        """The proxy ends; its rules stay."""
        if self.thread is not None and self.proxier is not None:
            self.thread.run(self.proxier.close())
            self.thread.stop()
        self.thread = self.proxier = None

    def get(self, key: ObjectKey) -> Obj | None:
        """As an informer of Services."""
        return self.services.get(key)

    def apply(self, *objects: Obj) -> None:
        """Services or slices, new or changed, and the sync that follows."""
        self.tell(*objects)
        self.sync()

    def tell(self, *objects: Obj) -> None:
        for obj in objects:
            kind = self.slices if "endpoints" in obj else self.services
            old = kind.get(key_of(obj))
            kind[key_of(obj)] = obj
            if self.proxier is not None:
                told = self.proxier
                (told.slice_changed if kind is self.slices else told.service_changed)(old, obj)

    def delete(self, obj: Obj) -> None:
        kind = self.slices if "endpoints" in obj else self.services
        old = kind.pop(key_of(obj))
        assert self.proxier is not None
        (self.proxier.slice_changed if kind is self.slices else self.proxier.service_changed)(
            old, None
        )
        self.sync()

    def sync(self) -> None:
        if self.thread is not None and self.proxier is not None:
            self.thread.run(self.proxier.sync())

    def check(self) -> bool:
        assert self.thread is not None
        proxier = self.proxier
        assert proxier is not None

        async def check() -> bool:
            return proxier.check()

        return self.thread.run(check())

    def ask(
        self,
        where: Path,
        address: str = CLUSTER_IP,
        port: int = 80,
        source: str = "",
        patience: float = 3,
    ) -> list[str]:
        """[pod's address, client's address as the pod saw it, pod's port]."""
        with netns.inside(where):
            connection = socket.create_connection(
                (address, port), SILENCE_SECONDS, (source, 0) if source else None
            )
        with connection:
            connection.settimeout(patience)
            return connection.recv(100).decode().split()

    def ask_udp(self, where: Path, address: str = CLUSTER_IP, port: int = 80) -> list[str]:
        with self.udp(where, address, port) as client:
            client.send(b"?")
            return client.recv(100).decode().split()

    def udp(self, where: Path, address: str = CLUSTER_IP, port: int = 80) -> socket.socket:
        """A socket that keeps its port, so that the kernel sees one flow."""
        with netns.inside(where):
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(SILENCE_SECONDS)
        client.connect((address, port))
        return client


def _greet(listener: socket.socket) -> None:
    own, port = listener.getsockname()
    while True:
        try:
            connection, (client, _) = listener.accept()
        except OSError:
            return
        with connection:
            try:
                connection.sendall(f"{own} {client} {port}".encode())
            except OSError:
                continue


def _answer(listener: socket.socket) -> None:
    own, port = listener.getsockname()
    while True:
        try:
            _, client = listener.recvfrom(100)
            listener.sendto(f"{own} {client[0]} {port}".encode(), client)
        except OSError:
            if listener.fileno() < 0:
                return


def _echo(listener: socket.socket) -> None:
    def serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def a_service(name: str = "web", **spec: Any) -> Obj:
    """Port 80 to 8080 over TCP at CLUSTER_IP, unless spec says otherwise."""
    defaults = {"clusterIP": CLUSTER_IP, "type": "ClusterIP", "ports": [{"port": 80}]}
    service: Obj = {"metadata": {"name": name, "namespace": "default"}, "spec": defaults | spec}
    if service["spec"]["type"] == "LoadBalancer":
        service["status"] = {"loadBalancer": {"ingress": [{"ip": BALANCER}]}}
    return service


def a_slice(*endpoints: Obj, name: str = "web", ports: list[Obj] | None = None) -> Obj:
    return {
        "metadata": {
            "name": f"{name}-x",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": ports or [{"port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def an_endpoint(address: str, *, node: str = "n1", **conditions: bool) -> Obj:
    return {"addresses": [address], "nodeName": node, "conditions": conditions or {"ready": True}}
