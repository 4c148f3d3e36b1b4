"""The embedded registry as a component: configuration in, serve until cancelled."""

import asyncio
import logging
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tiphys.lib.logs import Secret
from tiphys.lib.netlink import netns
from tiphys.runtime.images import bundled
from tiphys.runtime.images.registry import RegistryServer
from tiphys.runtime.images.registry_storage import RegistryStorage

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 5000


@dataclass(frozen=True)
class RegistryConfig:
    """directory holds the images; bundle says whether the bundled ones are built into it.

    network_namespaces: files of namespaces to listen in, each for itself; none = the own one.
    """

    directory: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    bundle: bool = True
    push_token: Secret = field(default=Secret(""))
    network_namespaces: tuple[Path, ...] = ()


async def run(config: RegistryConfig) -> None:
    """Serve until cancelled."""
    storage = RegistryStorage(config.directory)
    if config.bundle:
        bundled.build(storage)
    server = RegistryServer(storage, config.push_token)
    sockets = listening(config)
    await server.start_on(sockets)
    for one in sockets:
        log.info("registry listening", extra={"address": one.getsockname()})
    try:
        await asyncio.Event().wait()
    finally:
        await server.close()


def listening(config: RegistryConfig) -> list[socket.socket]:
    """A socket in each namespace. Raises OSError."""
    where = (config.host, config.port)
    if not config.network_namespaces:
        return [socket.create_server(where)]
    found = []
    for path in config.network_namespaces:
        with netns.inside(path):  # A socket stays where it was made.
            found.append(socket.create_server(where))
    return found
