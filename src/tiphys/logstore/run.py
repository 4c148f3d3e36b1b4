"""The cluster's log as a component: agent and store of one machine, until cancelled."""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from tiphys.api.meta import GroupVersionResource, Obj, labels_of, uid_of
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock, SystemClock
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.logstore import audit_files, push_server
from tiphys.logstore.agent import LogAgent
from tiphys.logstore.events import EventFollower
from tiphys.logstore.forwarder import Forwarders
from tiphys.logstore.push_server import PushConfig
from tiphys.logstore.store import AGE_SECONDS_MAX, LogStore

log = logging.getLogger(__name__)

STEP_SECONDS: Final = 0.2  # Between two looks at files that had nothing new.
RETRY_SECONDS: Final = 5.0  # After a full disk.
RETAIN_SECONDS: Final = 60.0
PODS: Final = GroupVersionResource("", "v1", "pods")


@dataclass(frozen=True, slots=True)
class LogStoreConfig:
    """pod_logs tells each node's /var/log/pods as it lies on this machine, by the node's name.

    audit_logs: where API servers of this machine write what they audit. outputs: the file of those
    who get the lines too (outputs/config.py).
    """

    directory: Path
    pod_logs: Callable[[], Mapping[str, Path]]
    audit_logs: Path
    outputs: Path
    push: PushConfig | None = None  # Where others may bring lines; None: nowhere.


async def run(config: LogStoreConfig, client: Client) -> None:
    """Raises OSError, sqlite3.Error when the store cannot be opened."""
    with LogStore(config.directory) as store:
        await _Collector(store, config, client, SystemClock()).run()


class _Collector:
    def __init__(
        self, store: LogStore, config: LogStoreConfig, client: Client, clock: Clock
    ) -> None:
        self._store = store
        self._clock = clock
        self._client = client
        self._push_config = config.push
        self._pods = Informer(client, PODS, metadata_only=True)
        self._labels: dict[str, Mapping[str, str]] = {}
        self._agent = LogAgent(
            store,
            config.pod_logs,
            self._labels_of,
            [(partial(audit_files.files, config.audit_logs), audit_files.lines)],
        )
        self._forwarders = Forwarders(config.directory, config.outputs, clock)
        self._events = EventFollower(client, store, self._labels_of, clock)

    async def run(self) -> None:
        tasks = TaskSet()
        self._pods.on_change(self._note)
        tasks.start(keep_running("informer pods", self._pods.run), "informer pods")
        tasks.start(keep_running("retention", self._retain), "retention")
        tasks.start(keep_running("events", self._events.run), "events")
        if self._push_config is not None:
            listening = partial(push_server.serve, self._push_config, self._push_server())
            tasks.start(keep_running("pushed lines", listening), "pushed lines")
        tasks.start(keep_running("outputs", self._forwarders.run), "outputs")
        try:
            while True:
                await self._clock.sleep(await self._step())
        finally:
            await tasks.close()
            self._agent.close()

    async def _step(self) -> float:
        """Seconds until the next one."""
        try:
            taken = self._agent.step()
            self._events.flush()
        except (OSError, sqlite3.Error) as exc:
            log.error("lines not stored, trying again", extra={"why": str(exc)})
            return RETRY_SECONDS
        return 0.0 if taken else STEP_SECONDS

    def _push_server(self) -> push_server.PushServer:
        assert self._push_config is not None
        gate = push_server.make_gate(self._client, self._push_config, self._clock)
        return push_server.PushServer(self._store, self._client, gate, self._labels_of)

    def _labels_of(self, uid: str) -> Mapping[str, str]:
        return self._labels.get(uid, {})

    def _note(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self._labels[uid_of(new)] = labels_of(new)
        elif old is not None:
            self._labels.pop(uid_of(old), None)

    async def _retain(self) -> None:
        while True:
            oldest = self._clock.now() - timedelta(seconds=AGE_SECONDS_MAX)
            removed = self._store.retain(oldest.strftime("%Y-%m-%dT%H:%M:%S.000000000Z"))
            if removed:
                log.info("old lines removed", extra={"segments": removed})
            await self._clock.sleep(RETAIN_SECONDS)
