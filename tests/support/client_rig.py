"""A real API server and clients of it, in one event loop; stories are told in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from support.api_server import memory_backend, start
from support.relay import Relay
from support.throwaway_pki import Authority
from tiphys.client import kubeconfig
from tiphys.client.rest import Client
from tiphys.lib.logs import Secret

SECONDS_MAX = 30.0


class Rig:
    """Clients that talk to the server directly, and one behind a relay that a test can cut."""

    def __init__(self, directory: Path, path: Path, relay: Relay, authority: Authority) -> None:
        self.authority = authority
        self.directory = directory  # With the server's keys; sa.key signs tokens.
        self.relay = relay
        self._access = kubeconfig.load(path)
        self._clients: list[Client] = []

    def direct(self) -> Client:
        return self._kept(Client(self._access))

    def with_token(self, token: str) -> Client:
        """Somebody who has nothing but a bearer token."""
        access = replace(self._access, client_certificate=b"", client_key=b"", token=Secret(token))
        return self._kept(Client(access))

    def with_certificate(self, pem: bytes) -> Client:
        """Somebody with a certificate; pem holds its key too."""
        return self._kept(Client(replace(self._access, client_certificate=pem, client_key=b"")))

    def anonymous(self) -> Client:
        return self._kept(Client(replace(self._access, client_certificate=b"", client_key=b"")))

    def relayed(self) -> Client:
        server = f"https://127.0.0.1:{self.relay.port}"
        return self._kept(Client(replace(self._access, server=server)))

    def _kept(self, client: Client) -> Client:
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


@asynccontextmanager
async def rig(directory: Path) -> AsyncIterator[Rig]:
    running, listening = await start(directory, memory_backend())
    relay = await Relay.to(running.port)
    made = Rig(directory, running.kubeconfig(), relay, running.authority)
    try:
        async with asyncio.timeout(SECONDS_MAX):
            yield made
    finally:
        made.close()
        await relay.close()
        await listening.__aexit__()


Story = Callable[[Rig], Awaitable[None]]
Tell = Callable[[Story], None]
