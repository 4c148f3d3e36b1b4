"""Published ports of this machine, relayed to node ports by the process `gateway`.

Nothing of the machine's own firewall is touched. What is published: published_ports.py.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Final

from tiphys.cluster.published_ports import Published
from tiphys.lib.tasks import TaskSet
from tiphys.lib.tcp_relay import relay

log = logging.getLogger(__name__)

DIAL_SECONDS_MAX: Final = 5.0
RETRY_SECONDS: Final = 1.0  # Until a port that somebody else had is tried again.
ACCEPT_RETRY_SECONDS: Final = 0.1
BACKLOG: Final = 128


async def run(ports: Sequence[Published], node: Callable[[], str]) -> None:
    """Relay until cancelled. node: the address of a machine that is switched on."""
    async with asyncio.TaskGroup() as group:
        for one in ports:
            group.create_task(_serve(one, node))


async def _serve(one: Published, node: Callable[[], str]) -> None:
    loop = asyncio.get_running_loop()
    tasks = TaskSet()
    try:
        with await _listener(one) as listener:
            while True:
                try:
                    client, _ = await loop.sock_accept(listener)
                except OSError as exc:  # No file descriptor left, or the client has gone already.
                    log.warning("connection not accepted", extra={"why": str(exc)})
                    await asyncio.sleep(ACCEPT_RETRY_SECONDS)
                    continue
                tasks.start(_connect(client, (node(), one.node_port)), "published port")
    finally:
        await tasks.close()


async def _listener(one: Published) -> socket.socket:
    while True:
        try:
            listener = socket.create_server((one.address, one.port), backlog=BACKLOG)
        except OSError as exc:
            log.error("port not published", extra={"port": one.port, "why": str(exc)})
            await asyncio.sleep(RETRY_SECONDS)
            continue
        listener.setblocking(False)
        return listener


async def _connect(client: socket.socket, target: tuple[str, int]) -> None:
    loop = asyncio.get_running_loop()
    with client, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as upstream:
        client.setblocking(False)
        upstream.setblocking(False)
        try:
            async with asyncio.timeout(DIAL_SECONDS_MAX):
                await loop.sock_connect(upstream, target)
            await relay(client, upstream)
        except (OSError, TimeoutError):
            return  # One of the two has gone: so has the connection.
