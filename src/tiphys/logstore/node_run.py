"""The log of a joined machine: its own agent and a small store, which is sent to the cluster's.

While the cluster is away lines stay here, within the store's bounds.
"""

import logging
import os
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from tiphys.client.rest import Http
from tiphys.lib.clock import Clock, SystemClock
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.logstore.agent import LogAgent
from tiphys.logstore.forwarder import Cursor, Forwarder
from tiphys.logstore.index import PODS
from tiphys.logstore.outputs.node import NodeOutput
from tiphys.logstore.push import node_body
from tiphys.logstore.store import AGE_SECONDS_MAX, LogStore
from tiphys.logstore.tail import Tail

log = logging.getLogger(__name__)

BYTES_MAX: Final = 256 << 20
STEP_SECONDS: Final = 0.2
RETRY_SECONDS: Final = 5.0
RETAIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class NodeLogConfig:
    """client: of the cluster's log, with the node's certificate."""

    directory: Path
    pod_logs: Callable[[], Mapping[str, Path]]
    client: Http


async def run(config: NodeLogConfig) -> None:
    """Until cancelled. Raises OSError, sqlite3.Error when the store cannot be opened."""
    clock = SystemClock()
    tasks = TaskSet()
    with LogStore(config.directory, bytes_max=BYTES_MAX) as store:
        agent = LogAgent(store, config.pod_logs)
        output = NodeOutput(config.client, partial(node_body, store_id(config.directory)))
        cursor = Cursor(config.directory / "outputs" / "cluster.json")
        if cursor.read() is None:
            cursor.write(0)  # From the beginning: all of it belongs to the cluster.
        tail = Tail(config.directory, {PODS})
        forwarder = Forwarder("the cluster's log", output, tail, cursor, clock)
        tasks.start(keep_running("send lines", forwarder.run), "send lines")
        tasks.start(keep_running("retention", partial(_retain, store, clock)), "retention")
        try:
            while True:
                await clock.sleep(_step(agent))
        finally:
            await tasks.close()
            agent.close()
            tail.close()
            output.close()


def _step(agent: LogAgent) -> float:
    """Seconds until the next one."""
    try:
        return 0.0 if agent.step() else STEP_SECONDS
    except (OSError, sqlite3.Error) as exc:
        log.error("lines not stored, trying again", extra={"why": str(exc)})
        return RETRY_SECONDS


async def _retain(store: LogStore, clock: Clock) -> None:
    while True:
        oldest = clock.now() - timedelta(seconds=AGE_SECONDS_MAX)
        store.retain(oldest.strftime("%Y-%m-%dT%H:%M:%S.000000000Z"))
        await clock.sleep(RETAIN_SECONDS)


def store_id(directory: Path) -> str:
    """Made with the store, and gone with it."""
    path = directory / "id"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        made = secrets.token_hex(16)
        temporary = directory / "id.new"
        temporary.write_text(made)
        fd = os.open(temporary, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        temporary.replace(path)
        return made
