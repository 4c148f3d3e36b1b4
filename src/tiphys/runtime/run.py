"""The container runtime of a node as a component: configuration in, serve until cancelled."""

import logging
import os

from tiphys.client.metrics_page import serve_metrics
from tiphys.cri.server import CriServer
from tiphys.lib.clock import SystemClock
from tiphys.runtime.cgroups.interface import detect
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images.store import ImageStore
from tiphys.runtime.node import Node
from tiphys.runtime.recovery import recover
from tiphys.runtime.service import Service

log = logging.getLogger(__name__)


async def run(config: RuntimeConfig) -> None:
    """Serve CRI until cancelled; sandboxes and containers go on without us."""
    for path in (config.root_dir, config.state_dir, os.path.join(config.state_dir, "shims")):
        os.makedirs(path, mode=0o711, exist_ok=True)
    node = Node(config, detect(), ImageStore(config.images_dir))
    node.zygote_socket()  # Ready before the first pod asks for it.
    service = Service(node)
    server = CriServer(service.unary(), service.streaming_calls())
    try:
        await recover(node, service)
        await service.streaming.listen(config.stream_host)
        await server.start(config.socket_path)
        log.info("runtime listening", extra={"socket": config.socket_path})
        await serve_metrics(config.metrics, server.calls.families, None, SystemClock())
    finally:
        await server.close()
        await service.streaming.stop()
        await node.close()
