"""Bytes between two TCP sockets, both ways, at the pace of the slower side."""

import asyncio
import socket
from typing import Final

BUFFER_BYTES_MAX: Final = 65536  # In flight in each direction; then the sender must wait.


async def relay(client: socket.socket, server: socket.socket) -> None:
    """Both directions until both have ended. Raises OSError when one breaks."""
    for one in (client, server):
        # Of a peer that vanished nobody would hear otherwise, and its slot would never be free.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(client, server))
            both.create_task(_pump(server, client))
    except* OSError as broken:
        raise broken.exceptions[0] from None


async def _pump(source: socket.socket, sink: socket.socket) -> None:
    """One direction; its end is passed on."""
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, BUFFER_BYTES_MAX):
        await loop.sock_sendall(sink, data)
    sink.shutdown(socket.SHUT_WR)
