"""The embedded registry as a component: configuration in, serve until cancelled."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from tiphys.lib.logs import Secret
from tiphys.runtime.images import bundled
from tiphys.runtime.images.registry import RegistryServer
from tiphys.runtime.images.registry_storage import RegistryStorage

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 5000


@dataclass(frozen=True)
class RegistryConfig:
    """directory holds the images; bundle says whether the bundled ones are built into it."""

    directory: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    bundle: bool = True
    push_token: Secret = field(default=Secret(""))


async def run(config: RegistryConfig) -> None:
    """Serve until cancelled."""
    storage = RegistryStorage(config.directory)
    if config.bundle:
        bundled.build(storage)
    server = RegistryServer(storage, config.push_token)
    port = await server.start(config.host, config.port)
    log.info("registry listening", extra={"host": config.host, "port": port})
    try:
        await asyncio.Event().wait()
    finally:
        await server.close()
