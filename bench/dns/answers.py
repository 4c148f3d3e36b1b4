"""How many UDP answers a second the DNS server gives on one core, and how soon a change is told.

    python bench/dns/answers.py [SERVICES]

The server has one core, the asking process another. Yardsticks in the same minute: servers that
send every datagram back and do nothing else, by asyncio (a datagram protocol on uvloop) and by a
bare socket (a loop of recvfrom and sendto).
The change: an API server of ours in this process, a Service made over HTTP, asked over UDP until
its address is told; counted from the moment of the API's answer.
"""

import asyncio
import multiprocessing
import os
import random
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.client_rig import rig
from support.dns_zone import a_zone
from tiphys.api.meta import Obj
from tiphys.client.rest import Client
from tiphys.dns import packet
from tiphys.dns.config import DnsConfig
from tiphys.dns.forward import Forwarder
from tiphys.dns.run import SERVICES as SERVICES_RESOURCE
from tiphys.dns.run import Dns
from tiphys.dns.server import DnsServer
from tiphys.lib.tasks import TaskSet

SERVICES, ROUNDS, SECONDS = 1000, 3, 1.5
WINDOW = 200  # Queries under way.
ANSWERS_MIN, CHANGE_SECONDS_MAX = 20_000, 0.1
CHANGES = 30


def query(name: str, number: int) -> bytes:
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
    head = struct.pack(">HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 1)
    opt = b"\0" + struct.pack(">HHIH", packet.OPT, 1232, 0, 0)
    return head + labels + struct.pack(">HH", packet.A, 1) + opt


def services(count: int) -> list[Obj]:
    return [
        {
            "metadata": {"name": f"s{n}", "namespace": "default"},
            "spec": {"clusterIP": f"10.96.{n >> 8}.{n & 255}", "ports": [{"port": 80}]},
        }
        for n in range(count)
    ]


def serve_dns(port: "multiprocessing.Queue[int]", count: int) -> None:
    async def run() -> None:
        forwarder = Forwarder(lambda: (), random.Random(1))
        server = DnsServer(a_zone(services(count)), forwarder)
        port.put(await server.listen("127.0.0.1", 0))
        await asyncio.Event().wait()

    os.sched_setaffinity(0, {0})
    uvloop.run(run())


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._transport.sendto(data, addr)  # type: ignore[attr-defined]


def serve_asyncio(port: "multiprocessing.Queue[int]", count: int) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(_Echo, local_addr=("127.0.0.1", 0))
        port.put(transport.get_extra_info("sockname")[1])
        await asyncio.Event().wait()

    os.sched_setaffinity(0, {0})
    uvloop.run(run())


def serve_sockets(port: "multiprocessing.Queue[int]", count: int) -> None:
    os.sched_setaffinity(0, {0})
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind(("127.0.0.1", 0))
    port.put(found.getsockname()[1])
    while True:
        data, sender = found.recvfrom(4096)
        found.sendto(data, sender)


def rate(serve: Callable[["multiprocessing.Queue[int]", int], None], count: int) -> float:
    """Answers a second."""
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=serve, args=(ports, count), daemon=True)
    process.start()
    try:
        return ask(ports.get(timeout=60), count)
    finally:
        process.kill()
        process.join()


def ask(port: int, count: int) -> float:
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.connect(("127.0.0.1", port))
    asking.settimeout(1)
    queries = [query(f"s{n}.default.svc.cluster.local", n) for n in range(count)]
    for one in queries:  # Once each: what is kept is what is asked again.
        asking.send(one)
        asking.recv(4096)
    for one in queries[:WINDOW]:
        asking.send(one)
    answers, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for _ in range(WINDOW):
            with suppress(TimeoutError):  # Lost; another one takes its place.
                asking.recv(4096)
                answers += 1
            asking.send(queries[answers % count])
    return answers / (time.perf_counter() - began)


async def change_times() -> list[float]:
    """Seconds from the API's acceptance of a Service to the first right answer."""
    with tempfile.TemporaryDirectory() as directory:
        async with rig(Path(directory)) as found:
            port = _free_port()
            config = DnsConfig(Path(), ("127.0.0.1",), port, service_cidrs=("10.96.0.0/16",))
            client = found.direct()
            tasks = TaskSet()
            tasks.start(Dns(client, config).run(), "dns")
            try:
                return [await _one_change(client, port, number) for number in range(CHANGES)]
            finally:
                await tasks.close()


async def _one_change(client: Client, port: int, number: int) -> float:
    name = f"c{number}"
    spec = {"ports": [{"port": 80}]}
    service = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    made = await client.create(SERVICES_RESOURCE, service)
    began = time.perf_counter()
    wanted = socket.inet_aton(made["spec"]["clusterIP"])
    asked = query(f"{name}.default.svc.cluster.local", number)
    while True:
        told = await asyncio.to_thread(_ask_once, port, asked)
        if wanted in told:
            return time.perf_counter() - began
        await asyncio.sleep(0.0005)


def _ask_once(port: int, asked: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.5)
        asking.connect(("127.0.0.1", port))
        try:
            asking.send(asked)
            return asking.recv(4096)
        except OSError:
            return b""  # The server has not begun.


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SERVICES
    found: dict[str, list[float]] = {"dns": [], "asyncio echo": [], "socket echo": []}
    for _ in range(ROUNDS):
        for name, serve in (
            ("dns", serve_dns),
            ("asyncio echo", serve_asyncio),
            ("socket echo", serve_sockets),
        ):
            found[name].append(rate(serve, count))
    best = {name: statistics.median(rates) for name, rates in found.items()}
    for name, each in best.items():
        print(f"{name:13}{each:9,.0f} answers/s on one core ({count} names)")
    changes = sorted(uvloop.run(change_times()))
    middle, worst = statistics.median(changes), changes[-1]
    print(f"a new Service: median {middle * 1000:.1f} ms, worst {worst * 1000:.1f} ms later")
    good = best["dns"] >= ANSWERS_MIN and worst <= CHANGE_SECONDS_MAX
    print("both as wanted" if good else "NOT as wanted")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
