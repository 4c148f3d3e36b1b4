"""The Ingress controller as a component of a node: it listens there and obeys the cluster."""

import asyncio
import logging
from typing import Final

from tiphys.client.rest import Client
from tiphys.ingress.builtin.service import Service
from tiphys.ingress.certificates import fake_certificate
from tiphys.ingress.config import DATA_PLANES, IngressConfig
from tiphys.ingress.controller import IngressController
from tiphys.ingress.data_plane import DataPlane, DataPlaneError, Listening
from tiphys.ingress.nginx.process import Nginx
from tiphys.lib.clock import Clock, SystemClock

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0  # Another process may have the ports.


async def run(config: IngressConfig) -> None:
    """Work until cancelled. Raises DataPlaneError when the data plane has ended by itself."""
    clock = SystemClock()
    certificate = fake_certificate(clock.now())
    listening = Listening(config.address, config.http_port, config.https_port, certificate)
    plane = make_plane(config, listening)
    client = Client.from_kubeconfig(
        config.kubeconfig, user_agent="tiphys-ingress", multiplexed=True
    )
    try:
        await _start(plane, clock)
        log.info("listening", extra={"address": config.address, "data_plane": config.data_plane})
        async with asyncio.TaskGroup() as group:
            group.create_task(IngressController(client, config, plane, clock).run())
            group.create_task(_watch(plane))
    finally:
        client.close()
        await plane.close()


def make_plane(config: IngressConfig, listening: Listening) -> DataPlane:
    """Raises ValueError."""
    if config.data_plane == "builtin":
        return Service(listening)
    if config.data_plane == "nginx":
        return Nginx(listening, config.directory)
    raise ValueError(f'no data plane "{config.data_plane}": {", ".join(DATA_PLANES)}')


async def _start(plane: DataPlane, clock: Clock) -> None:
    """Until it listens."""
    while True:
        try:
            await plane.start()
            return
        except DataPlaneError as exc:
            log.error("not listening, trying again", extra={"why": str(exc)})
            await clock.sleep(RETRY_SECONDS)


async def _watch(plane: DataPlane) -> None:
    await plane.ended()
    raise DataPlaneError("the data plane has ended")
