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
from typing import Final

from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.lib.tcp_relay import relay
from tiphys.proxy.plan import Frontend, Target

log = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 4096  # More wait in the backlog of the listener.
BACKLOG: Final = 1024
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
                client.setblocking(False)
                endpoint = await self._dial(original_destination(client), peer)
                if endpoint is not None:
                    with endpoint:
                        await relay(client, endpoint)
        except OSError:
            pass  # One of the two has gone: so has the connection.
        finally:
            self._slots.release()

    async def _dial(self, frontend: Frontend, peer: str) -> socket.socket | None:
        """Connect to an endpoint, or to the next where one does not answer in time."""
        loop = asyncio.get_running_loop()
        for number, seconds in enumerate(DIAL_SECONDS):
            target = self._choose(frontend, peer, number > 0)
            if target is None:
                return None
            endpoint = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                async with asyncio.timeout(seconds):
                    await loop.sock_connect(endpoint, target)
                    return endpoint
            except (OSError, TimeoutError) as exc:
                endpoint.close()
                extra = {"address": f"{target.address}:{target.port}", "why": str(exc)}
                log.info("endpoint does not answer", extra=extra)
            except BaseException:
                endpoint.close()
                raise
        log.info("no endpoint answers", extra={"service": f"{frontend.address}:{frontend.port}"})
        return None


def original_destination(client: socket.socket) -> Frontend:
    """Where a redirected connection was going. Raises OSError."""
    raw = client.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
    port, address = struct.unpack_from(">2xH4s", raw)
    return Frontend("tcp", socket.inet_ntoa(address), port)
