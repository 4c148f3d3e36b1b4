"""tcpSocket probes. Upstream: pkg/probe/tcp/tcp.go."""

import asyncio
import contextlib

from tiphys.api.meta import Obj
from tiphys.kubelet.probes.probe import Outcome, Target, dial_error, port_number


async def run(action: Obj, target: Target, timeout_seconds: int) -> Outcome:
    host = action.get("host") or target.pod_ip
    port = port_number(action["port"], target.container)
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, port)
    except OSError as exc:  # TimeoutError is one of them.
        return Outcome("failure", dial_error(host, port, exc))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Outcome("success")
