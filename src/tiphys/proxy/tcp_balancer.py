"""TCP through this process: one listener for all Services, two sockets per connection.

The kernel redirects to the listener and says where the client wanted to go (SO_ORIGINAL_DST).
A connection keeps its endpoint until one side ends it, whatever happens to the Service.
Upstream: pkg/proxy/userspace/proxysocket.go (up to v1.25).
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.proxy.plan import Frontend, Target

log = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 4096  # More wait in the backlog of the listener.
BACKLOG: Final = 1024
BUFFER_BYTES_MAX: Final = 65536  # Of each direction; then the sender is not read from.
DIAL_SECONDS: Final = (0.25, 0.5, 1.0, 2.0)  # One for each endpoint tried, as upstream.
_ACCEPT_RETRY_SECONDS: Final = 0.1
_SO_ORIGINAL_DST: Final = 80  # linux/netfilter_ipv4.h

Choose = Callable[[Frontend, str, bool], Target | None]
"""(frontend, client's address, whether the last choice did not answer) -> an endpoint."""


class TcpBalancer:
    """Listens on an address of the namespace in which it was made."""

    def __init__(self, address: str, choose: Choose) -> None:
        self._choose = choose
        self._tasks = TaskSet()
        self._slots = asyncio.Semaphore(CONNECTIONS_MAX)
        self._listener = socket.create_server((address, 0), backlog=BACKLOG)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._tasks.start(keep_running("accept", self._accept), "accept")

    async def close(self) -> None:
        await self._tasks.close()
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                client, peer = await loop.sock_accept(self._listener)
            except OSError as exc:  # No file descriptor left, or the client has gone already.
                self._slots.release()
                log.warning("connection not accepted", extra={"why": str(exc)})
                await asyncio.sleep(_ACCEPT_RETRY_SECONDS)
                continue
            except BaseException:
                self._slots.release()
                raise
            self._tasks.start(self._serve(client, str(peer[0])), f"connection from {peer[0]}")

    async def _serve(self, client: socket.socket, peer: str) -> None:
        try:
            with client:
                await self._relay(client, peer)
        except OSError:
            pass  # One of the two has gone: so has the connection.
        finally:
            self._slots.release()

    async def _relay(self, client: socket.socket, peer: str) -> None:
        frontend = original_destination(client)
        client_side, endpoint_side = _Side(), _Side()
        client_side.other, endpoint_side.other = endpoint_side, client_side
        if not await self._dial(frontend, peer, endpoint_side):
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: client_side, client)
            endpoint_side.resume()
            await client_side.ended.wait()
            await endpoint_side.ended.wait()
        finally:
            client_side.abort()
            endpoint_side.abort()

    async def _dial(self, frontend: Frontend, peer: str, side: "_Side") -> bool:
        """Connect to an endpoint, or to the next where one does not answer in time."""
        loop = asyncio.get_running_loop()
        for number, seconds in enumerate(DIAL_SECONDS):
            target = self._choose(frontend, peer, number > 0)
            if target is None:
                return False
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(seconds):
                    await loop.create_connection(lambda: side, *target)
                    return True
            log.info("endpoint does not answer", extra={"address": f"{target[0]}:{target[1]}"})
        log.warning("no endpoint answers", extra={"service": f"{frontend.address}:{frontend.port}"})
        return False


def original_destination(client: socket.socket) -> Frontend:
    """Where a redirected connection was going. Raises OSError."""
    raw = client.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
    port, address = struct.unpack_from(">2xH4s", raw)
    return Frontend("tcp", socket.inet_ntoa(address), port)


class _Side(asyncio.Protocol):
    """One of the two sockets; what it reads goes to the other, at the other's pace."""

    def __init__(self) -> None:
        self.other: _Side | None = None
        self.ended = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._read_all = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)
        # Of a peer that vanished nobody would hear otherwise, and its slot would never be free.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.other is None or self.other._transport is None:
            transport.pause_reading()  # Nobody is there yet to take what comes.

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other._transport is not None:
            self.other._transport.write(data)

    def pause_writing(self) -> None:
        other = self.other
        if other is not None and other._transport is not None and not other.ended.is_set():
            other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.resume()

    def eof_received(self) -> bool:
        """The other direction may go on; when both have ended, the connection has."""
        self._read_all = True
        other = self.other
        if other is None or other._transport is None or self._transport is None:
            return False
        if other._read_all:
            other._transport.close()
            self._transport.close()
            return False
        with suppress(OSError, RuntimeError):  # It has just been closed.
            other._transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        if self.other is not None and self.other._transport is not None:
            self.other._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
