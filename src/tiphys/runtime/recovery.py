"""Finds again, after a restart of the runtime or of the machine, what was running.

A sandbox whose shim lives is adopted: its containers keep their ids, pids and start times, and
those that ended meanwhile are told by the shim or by their exit record. A sandbox whose shim is
gone (always after a reboot) becomes NOTREADY, its containers EXITED.
"""

import asyncio
import logging
import os
import shutil
import signal

from tiphys.runtime import shim_sockets
from tiphys.runtime.node import Node
from tiphys.runtime.records import NOT_READY, READY, RUNNING, Container, Sandbox, is_alive
from tiphys.runtime.service import Service
from tiphys.runtime.shim.launch import kill_all
from tiphys.runtime.shim_client import ShimError

log = logging.getLogger(__name__)


async def recover(node: Node, service: Service) -> None:
    """Load the records and make them true."""
    node.records.load()
    for sandbox in list(node.records.sandboxes.values()):
        if not await _adopt(node, service, sandbox):
            _give_up(node, sandbox)
    _end_strangers(node)
    for path in node.images.sweep(node.records.layers_in_use()):
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
    log.info(
        "recovered",
        extra={"sandboxes": len(node.shims), "containers": len(node.records.containers)},
    )


def _end_strangers(node: Node) -> None:
    """End shims that no record knows: their sandbox was never handed to the kubelet."""
    known = {node.config.shim_socket(sandbox_id) for sandbox_id in node.shims}
    for path, pid in shim_sockets.shims(node.config):
        if path not in known:
            log.warning("unknown shim ended", extra={"socket": path, "pid": pid})
            if pid:
                os.kill(pid, signal.SIGKILL)
            os.unlink(path)


async def _adopt(node: Node, service: Service, sandbox: Sandbox) -> bool:
    if sandbox.state != READY or not is_alive(sandbox.shim):
        return False
    client = service.sandboxes.client(sandbox)
    try:
        state = await client.connect()
    except ShimError as exc:
        log.warning("shim does not answer", extra={"sandbox": sandbox.id, "why": str(exc)})
        await client.close()
        return False
    node.shims[sandbox.id] = client
    known = {row["id"]: row for row in state["containers"]}
    for container in node.records.containers_of(sandbox.id):
        row = known.get(container.id)
        if row is not None and container.state not in (RUNNING, "CONTAINER_EXITED"):
            service.containers.adopt(container, row)  # Killed between start and record.
        if container.state == RUNNING:
            if row is None or row["exit"] is not None:
                _ended(node, container)
            else:
                service.containers.adopt(container, row)
    return True


def _give_up(node: Node, sandbox: Sandbox) -> None:
    if is_alive(sandbox.shim):
        os.kill(sandbox.shim["pid"], signal.SIGKILL)
    sandbox.shim = {}
    if sandbox.state == READY:
        sandbox.state = NOT_READY
        node.records.save_sandbox(sandbox)
    for container in node.records.containers_of(sandbox.id):
        if container.state == RUNNING:
            _ended(node, container)


def _ended(node: Node, container: Container) -> None:
    kill_all(node.cgroups.pids(container.cgroup))
    record = node.records.exit_record(container.id)
    if record is not None:
        container.ended(record)
    else:
        container.lost(node.now())
    node.cgroups.remove(container.cgroup)
    node.records.save_container(container)
