"""What it costs the API server to tell watchers: CPU per delivery, deliveries per second.

    python bench/apiserver/watch.py [--events 2000]

1, 100 and 1,000 watchers of the ConfigMaps of a namespace, each over a connection of its own in
another process, while events are made by one client after the other. What the writes cost without
watchers is measured before and taken off.
"""

import argparse
import asyncio
import json
import ssl
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import uvloop
from bench.apiserver.served import Served, cpu_seconds, served

from tiphys.lib.http.client import HttpClient

WATCHERS = (1, 100, 1000)
WRITERS = 8


class Counter(asyncio.Protocol):
    """A watch, whose events are counted and not read any further."""

    counted = 0

    def __init__(self, request: bytes) -> None:
        self._request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        Counter.counted += data.count(b'{"type":')


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=2000)
    events = options.parse_args().events
    with tempfile.TemporaryDirectory() as name, served(Path(name), {"default": 0}) as server:
        uvloop.run(measure(server, events))


async def measure(server: Served, events: int) -> None:
    trust = ssl.create_default_context(cafile=str(server.directory / "ca.crt"))
    headers = {"Authorization": f"Bearer {server.token}"}
    client = HttpClient(server.url, tls=trust, headers=headers)
    await write(client, 200, 0)
    before = cpu_seconds([server.pid])
    await write(client, events, 1)
    alone = cpu_seconds([server.pid]) - before
    for count in WATCHERS:
        sockets = [await watch(server, trust) for _ in range(count)]
        await asyncio.sleep(0.5)
        Counter.counted = 0
        before, began = cpu_seconds([server.pid]), time.monotonic()
        await write(client, events, count + 1)
        async with asyncio.timeout(120):
            while Counter.counted < events * count:  # noqa: ASYNC110 - bytes tell nobody
                await asyncio.sleep(0.005)
        took = time.monotonic() - began
        used = cpu_seconds([server.pid]) - before - alone
        deliveries = events * count
        print(
            f"{count:5} watchers x {events} events: {used / deliveries * 1e6:7.2f} us CPU per "
            f"delivery, {deliveries / took:9.0f} deliveries/s"
        )
        for transport in sockets:
            transport.abort()
        await asyncio.sleep(0.5)
    client.close()


async def watch(server: Served, trust: ssl.SSLContext) -> asyncio.Transport:
    host, _, port = server.url.removeprefix("https://").partition(":")
    request = (
        "GET /api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0 HTTP/1.1\r\n"
        f"Host: {host}\r\nAuthorization: Bearer {server.token}\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(
        lambda: Counter(request), host, int(port), ssl=trust, server_hostname=host
    )
    return transport


async def write(client: HttpClient, count: int, seed: int) -> None:
    numbers = iter(range(count))

    async def one() -> None:
        for number in numbers:
            obj = {"metadata": {"name": f"w{seed}-{number}"}, "data": {"a": "y" * 300}}
            answer = await client.request(
                "POST",
                "/api/v1/namespaces/default/configmaps",
                headers={"Content-Type": "application/json"},
                body=json.dumps(obj).encode(),
            )
            assert answer.status == 201, answer.body

    await asyncio.gather(*(one() for _ in range(WRITERS)))


if __name__ == "__main__":
    main()
